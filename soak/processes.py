"""Which processes belong to this play: found by ancestry and by the notes of the node, never by name alone."""

import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kifabrik.engines.local.look import node_processes
from kifabrik.engines.local.processes import ProcessId
from kifabrik.sandbox.uids import DEFAULT_RANGE

PROC = Path("/proc")


@dataclass(frozen=True)
class Seen:
    """A process at one moment."""

    pid: int
    parent: int
    uid: int
    name: str
    identity: ProcessId

    @property
    def in_a_room(self):
        """Whether it is a run's: its user is one of those set aside for runs."""
        return DEFAULT_RANGE.first <= self.uid < DEFAULT_RANGE.first + DEFAULT_RANGE.count

    def send(self, number):
        """Send a signal if it is still the same process; whether it was."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.identity.alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True


def every_process():
    """All processes by id."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                identity = ProcessId.of(int(entry.name))
                fields = (entry / "stat").read_text(errors="replace")
                parent = int(fields.rpartition(") ")[2].split()[1])
                name = fields.partition("(")[2].rpartition(")")[0]
                uid = int((entry / "status").read_text(errors="replace").partition("Uid:")[2].split()[0])
                if identity is not None:
                    found[int(entry.name)] = Seen(int(entry.name), parent, uid, name, identity)
    return found


class Processes:
    """The processes of the factory's node.

    Args:
        node: Folder of the node.
    """

    def __init__(self, node):
        self._node = node

    def launchers(self):
        """Living launchers by attempt."""
        everyone, found = every_process(), {}
        for attempt, pid in self._noted().items():
            if pid in everyone:
                found[attempt] = everyone[pid]
        return found

    def template(self, service):
        """The template of the service with this process id, or None."""
        everyone = every_process()
        noted = set(self._noted().values())
        for process in node_processes(self._node):
            if process.parent == service and process.pid not in noted and process.pid in everyone:
                return everyone[process.pid]
        return None

    def rooms(self):
        """Everything below launchers, as (attempt, process)."""
        everyone = every_process()
        owners = {pid: attempt for attempt, pid in self._noted().items() if pid in everyone}
        found = []
        for process in everyone.values():
            above, depth = process, 0
            while above.pid not in owners and above.parent in everyone and depth < 30:
                above, depth = everyone[above.parent], depth + 1
            if above.pid in owners and above.pid != process.pid:
                found.append((owners[above.pid], process))
        return found

    def _noted(self):
        found = {}
        for note in (self._node / "launchers").glob("a-*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                identity = ProcessId(**json.loads(note.read_text()))
                if identity.alive():
                    found[note.stem] = identity.pid
        return found
