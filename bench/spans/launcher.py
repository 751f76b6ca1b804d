"""The launcher, with its steps timed: named in a node's `node.toml` as its launcher.

A template of launchers inherits no variable, so the file to write to is found beside the node's own.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import spans

spans.watch(Path(sys.argv[sys.argv.index("--node-home") + 1]) / "spans.txt")

from kifabrik.launcher.__main__ import get_ready, main

__all__ = ["get_ready", "main"]
