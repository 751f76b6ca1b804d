"""Whether this machine's own node agrees with the database: launchers, processes, memory, groups, folders.

What is in the middle of happening does not agree for a moment. So it looks twice, a little apart, and only
what was there both times counts.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from kifabrik.engines.local.look import node_processes, noted_launchers
from kifabrik.engines.local.processes import ProcessId
from kifabrik.factory.factory import Factory
from kifabrik.factory.findings import Finding
from kifabrik.factory.ports import Clock, Store
from kifabrik.factory.run_records import Attempt
from kifabrik.launcher.care import NodeCare
from kifabrik.sandbox.remains import find_remains
from kifabrik.sandbox.uids import DEFAULT_RANGE, UidRange
from kifabrik.values import parse_time
from kifabrik.wiring.node import FILE, LAUNCHERS, RUNS, NodeConfig, read_node
from kifabrik.wiring.runs import NODE

_PAUSE_S: Final = 3.0
_LEAVING: Final = timedelta(seconds=90)
"""The service gives a launcher a minute to leave, and looks every few seconds."""

_START: Final = "Start the factory: it ends the attempt, and tries again if the order says so."
_LATE: Final = "A running service ends it within a minute; else end its process group: kill -9 -- -{pid}"
_ORPHAN: Final = "The service that started it is gone and it should have gone too: kill -9 {pid}"
_FOLDER: Final = "A running service removes it when a launcher next ends; by hand: rm -r {path}"
_NOTE: Final = "Delete the note once no process works on the attempt."


class MachineCheck:
    """Compares a node's processes, memory, control groups and folders with the attempts that go on.

    Args:
        store: Rows.
        node: Folder of its node.
        config: What the node's folder says.
        clock: For how long ago something ended.
        uids: User ids of runs.
        pause_s: Between the two looks.
    """

    def __init__(
        self,
        store: Store,
        node: Path,
        config: NodeConfig,
        clock: Clock,
        *,
        uids: UidRange = DEFAULT_RANGE,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._store = store
        self._node = node
        self._config = config
        self._clock = clock
        self._uids = uids
        self._pause_s = pause_s
        self._runs = (Path(config.runs) if config.runs else node / RUNS).resolve()

    def run(self) -> Iterator[Finding]:
        """Yield everything that does not agree, twice in a row."""
        first = dict.fromkeys(self._look())
        if first:
            time.sleep(self._pause_s)
            again = set(self._look())
            yield from (finding for finding in first if finding in again)

    def _look(self) -> Iterator[Finding]:
        noted = noted_launchers(self._node / LAUNCHERS)
        alive = {name: process for name, process in noted.items() if process is not None and process.alive()}
        with self._store.read() as transaction:
            here = [one for one in transaction.runs.unfinished_attempts() if self._is_here(one)]
            ended = {one.attempt: one for one in transaction.runs.attempts_named(alive.keys())}
        for name in (name for name, process in noted.items() if process is None):
            yield Finding("", f"the note of launcher {name} says nothing", _NOTE)
        yield from self._lost(here, alive)
        yield from self._idle({one.attempt for one in here}, alive, ended)
        yield from self._orphans(alive)
        yield from self._folders(alive)
        yield from (Finding("", one.what, one.do) for one in find_remains(self._runs, self._uids))

    def _is_here(self, attempt: Attempt) -> bool:
        return any(share.node == self._config.node for share in attempt.placement)

    def _lost(self, here: list[Attempt], alive: dict[str, ProcessId]) -> Iterator[Finding]:
        """Attempts that go on without a launcher."""
        for one in here:
            begun = one.taken or self._clock() - parse_time(one.created) > _LEAVING
            if one.attempt not in alive and begun:
                yield Finding(one.tenant, f"attempt {one.attempt} goes on, and no launcher works on it", _START)

    def _idle(self, here: set[str], alive: dict[str, ProcessId], ended: dict[str, Attempt]) -> Iterator[Finding]:
        """Launchers without an attempt that goes on."""
        for name, process in alive.items():
            attempt = ended.get(name)
            leaving = attempt is not None and (
                not attempt.finished or self._clock() - parse_time(attempt.finished) < _LEAVING
            )
            if name not in here and not leaving:
                what = f"launcher {name}, process {process.pid}, works on no attempt that goes on"
                yield Finding(attempt.tenant if attempt else "", what, _LATE.format(pid=process.pid))

    def _orphans(self, alive: dict[str, ProcessId]) -> Iterator[Finding]:
        """Processes of this node that no note names, and whose service is gone."""
        known = {process.pid for process in alive.values()}
        for process in node_processes(self._node):
            if process.abandoned and process.pid not in known:
                what = f"process {process.pid} of node {self._config.name} is a launcher nobody knows"
                yield Finding("", what, _ORPHAN.format(pid=process.pid))

    def _folders(self, alive: dict[str, ProcessId]) -> Iterator[Finding]:
        if self._runs.is_dir():
            for path in sorted(self._runs.iterdir()):
                if path.name not in alive:
                    what = f"the folder {path} belongs to no launcher that lives"
                    yield Finding("", what, _FOLDER.format(path=path))


def machine_check(home: Path, factory: Factory) -> MachineCheck | None:
    """Join the check of this machine's own node; None where the factory's home has none.

    Raises:
        UsageError: The node's home says something wrong.
    """
    node = home / NODE
    if not (node / FILE).exists():
        return None
    uids = NodeCare.load(node).uids
    return MachineCheck(factory.store, node, read_node(node), factory.log.clock, uids=uids)
