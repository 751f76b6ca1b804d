"""`python -m kifabrik.launcher --node-home FOLDER`: waits for one assignment on its standard input.

Everything is imported before it waits, so an engine can keep one ready. Nothing about the assignment is
in the argument list or the environment, and the process cannot be dumped or traced by others of its user.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from kifabrik.errors import KifabrikError
from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.attempt import AttemptRunner
from kifabrik.launcher.node import Node
from kifabrik.launcher.privacy import keep_memory_private
from kifabrik.launcher.readiness import get_ready
from kifabrik.sandbox.memory import PrivateMounts, enter_private_mounts

__all__ = ["get_ready", "main"]


def main() -> int:
    """Work on one assignment; the exit status is for the operator only, the factory learns all by HTTP."""
    parser = argparse.ArgumentParser(prog="kifabrik-launcher", description=__doc__)
    parser.add_argument("--node-home", type=Path, required=True, help="folder with node.toml and node.key")
    node_home = parser.parse_args().node_home
    threading.excepthook = lambda failure: _say(failure.exc_type.__name__)
    os.environ.pop("KIFABRIK_HOME", None)
    try:
        mounts = enter_private_mounts()
        keep_memory_private()
        line = sys.stdin.readline()
        if line:
            return _work(Assignment.from_json(line), Node.load(node_home), mounts)
    except KifabrikError as error:
        _say(f"{type(error).__name__}: {error.message}")
        return error.exit_status
    except Exception as error:  # noqa: BLE001 - a traceback could quote names and content of the job
        _say(type(error).__name__)
        return KifabrikError.exit_status
    return 0


def _work(assignment: Assignment, node: Node, mounts: PrivateMounts) -> int:
    """Work on an assignment; 0 if its program succeeded, else the program's status, or 1."""
    runner = AttemptRunner(assignment, node, mounts)
    signal.signal(signal.SIGTERM, lambda *_: runner.give_way())
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _: runner.pass_on(number))
    status = runner.run()
    if assignment.verdict:
        Path(assignment.verdict).write_text(str(status), encoding="ascii")
    return status


def _say(text: str) -> None:
    """Write to the operator's log: classes of errors, and messages from before anything was opened."""
    print(text, file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
