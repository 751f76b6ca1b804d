"""Which launchers a node's folder names, and which processes of that node there are: for checks.

Reads only, and needs no engine that runs.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.engines.local.processes import ProcessId

_INIT: Final = 1
_TEMPLATE: Final = b"kifabrik.engines.local.template"


@dataclass(frozen=True)
class NodeProcess:
    """A template or launcher that lives.

    Args:
        pid: Process id.
        parent: Process id of its parent; 1 once that is dead.
    """

    pid: int
    parent: int

    @property
    def abandoned(self) -> bool:
        """Whether whoever started it is gone."""
        return self.parent == _INIT


def noted_launchers(folder: Path) -> Mapping[str, ProcessId | None]:
    """Every attempt with a note in `launchers`, and its process; None where the note cannot be read."""
    found: dict[str, ProcessId | None] = {}
    for note in folder.glob("a-*.json"):
        try:
            found[note.stem] = ProcessId(**json.loads(note.read_text()))
        except FileNotFoundError:
            continue  # forgotten meanwhile
        except (ValueError, TypeError):
            found[note.stem] = None
    return found


def node_processes(node_home: Path) -> Iterator[NodeProcess]:
    """Every living template and launcher of a node: a launcher keeps the arguments of its template."""
    home = str(node_home.resolve()).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, IndexError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if _TEMPLATE in words and home in words:
                fields = (entry / "stat").read_text(errors="replace").rpartition(") ")[2].split()
                if fields[0] not in "ZXx":
                    yield NodeProcess(int(entry.name), int(fields[1]))
