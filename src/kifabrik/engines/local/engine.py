"""The engine of one machine: a detached process per attempt, found again after any restart.

Invariants:
- `<folder>/<attempt>.json` names the process before it is told what to do, so a launcher that knows its
  attempt is always findable;
- a launcher leads a session of its own: no signal to the service reaches it;
- only the line on its standard input holds the token.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kifabrik.engines.local.exits import Exits
from kifabrik.engines.local.forge import Forge
from kifabrik.engines.local.processes import ProcessId
from kifabrik.errors import UnavailableError
from kifabrik.factory.engine import Life, Task


class LocalEngine:
    """Starts launchers as processes of this machine.

    Args:
        node: Id of this machine's node.
        folder: `launchers` below the node's folder; made if missing.
        command: Starts the template of launchers, see `kifabrik.engines.local.template`.
        factory: URL launchers reach the service at.
        ca_pem: Certificate authority they trust besides the system's.
        on_exit: Called when a launcher has ended; must return at once.
    """

    def __init__(
        self,
        node: str,
        folder: Path,
        command: Sequence[str],
        factory: str,
        *,
        ca_pem: str = "",
        on_exit: Callable[[], None] = lambda: None,
    ) -> None:
        self._node = node
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._factory = factory
        self._ca_pem = ca_pem
        self._forge = Forge(command, folder)
        self._exits = Exits(on_exit)
        self._watch_those_before()

    def warm_up(self) -> None:
        """Get ready, so that the first launcher starts as fast as the others."""
        self._forge.warm_up()

    def close(self) -> None:
        """Stop starting and watching; launchers that work go on."""
        self._forge.close()
        self._exits.close()

    def serves(self, node: str) -> bool:
        """Whether this is the machine's own node."""
        return node == self._node

    def submit(self, task: Task) -> None:
        """Start the launcher of an attempt unless it is alive.

        Raises:
            UnavailableError: It could not be started now.
        """
        if self._alive(task.attempt):
            return
        started = self._forge.start(self._log(task.attempt))
        try:
            self._note(task.attempt, started.identity)
        except OSError as error:
            started.dismiss()
            raise UnavailableError(
                f"launchers cannot be noted in {self._folder}: {error.strerror or error}",
                hint="Without its note a launcher is not found again, so none is started. Is the disk full?",
            ) from error
        self._exits.watch(started.identity.pid)
        started.tell(self._line(task))

    def poll(self) -> Mapping[str, Life]:
        """Every attempt with a note in the folder, alive or gone."""
        return {
            note.stem: Life.ALIVE if self._alive(note.stem) else Life.GONE for note in self._folder.glob("a-*.json")
        }

    def kill(self, attempt: str) -> None:
        """Kill a launcher and its process group; what it started dies with it."""
        identity = self._identity(attempt)
        if identity is not None:
            identity.kill_group()

    def forget(self, attempt: str) -> None:
        """Drop the note of a launcher that is gone; its log stays for the operator if it says anything."""
        if self._alive(attempt):
            return
        self._path(attempt).unlink(missing_ok=True)
        log = self._log(attempt)
        if log.exists() and log.stat().st_size == 0:
            log.unlink()

    def _line(self, task: Task) -> bytes:
        line: dict[str, Any] = {
            "factory": self._factory,
            "ca_pem": self._ca_pem,
            "attempt": task.attempt,
            "token": task.token,
            "tenant": task.tenant,
            "gpus": list(task.placement[0].gpus),
        }
        return json.dumps(line).encode() + b"\n"

    def _note(self, attempt: str, identity: ProcessId) -> None:
        partial = self._path(attempt).with_suffix(".partial")
        with partial.open("w") as file:
            json.dump(asdict(identity), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path(attempt))

    def _path(self, attempt: str) -> Path:
        return self._folder / f"{attempt}.json"

    def _log(self, attempt: str) -> Path:
        return self._folder / f"{attempt}.log"

    def _identity(self, attempt: str) -> ProcessId | None:
        try:
            return ProcessId(**json.loads(self._path(attempt).read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return ProcessId(0, 0, "")

    def _alive(self, attempt: str) -> bool:
        identity = self._identity(attempt)
        return identity is not None and identity.alive()

    def _watch_those_before(self) -> None:
        """Watch the launchers that an engine before this one has started."""
        for attempt, life in self.poll().items():
            identity = self._identity(attempt)
            if life is Life.ALIVE and identity is not None:
                self._exits.watch(identity.pid)
