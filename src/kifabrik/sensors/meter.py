"""The meter of one attempt: starts counters, keeps reading them, says what they counted."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from kifabrik.meters.reading import EnergyReading
from kifabrik.sensors.counters import CounterLostError, EnergyCounter
from kifabrik.sensors.node import node_cpu_ms
from kifabrik.sensors.nvml import open_nvml
from kifabrik.sensors.rapl import open_rapl

EVERY_S: Final = 5.0
"""How often counters are read: far below the shortest RAPL wrap, often enough to sum up a GPU's power."""


@dataclass(frozen=True)
class Counted:
    """What the node's counters counted since the start; `meters.attribution` says whose it is.

    Args:
        wall_ms: Time since the start.
        node_cpu_ms: CPU time of everything on the node since the start.
        energy: A reading for each counter that answered all the time; empty where there is none.
    """

    wall_ms: int
    node_cpu_ms: int
    energy: tuple[EnergyReading, ...]

    def since(self, earlier: "Counted") -> "Counted":
        """Return what was counted since an earlier look at the same meter; a counter lost meanwhile is left out."""
        before = {(one.source, one.device): one.millijoules for one in earlier.energy}
        return Counted(
            self.wall_ms - earlier.wall_ms,
            max(0, self.node_cpu_ms - earlier.node_cpu_ms),
            tuple(
                EnergyReading(one.source, one.device, one.millijoules - before.get((one.source, one.device), 0))
                for one in self.energy
            ),
        )


class Meter:
    """Reads counters from `start` to `stop`, in a thread of its own in between.

    Args:
        counters: What to read.
        every_s: Seconds between two readings.
        clock: Seconds that never jump.
        cpu_ms: CPU time of everything on the node, in milliseconds.
    """

    def __init__(
        self,
        counters: Sequence[EnergyCounter],
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
        cpu_ms: Callable[[], int] = node_cpu_ms,
    ) -> None:
        self._counters = list(counters)
        self._every_s = every_s
        self._clock = clock
        self._cpu_ms = cpu_ms
        self._turn = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep_reading, name="meter", daemon=True)
        self._first = self._totals()
        self._from_s, self._from_cpu_ms = clock(), cpu_ms()
        self._result: Counted | None = None

    @classmethod
    def for_node(cls, gpus: Iterable[str] = ()) -> Self:
        """Make a meter of the counters this node has, for the GPUs with these UUIDs."""
        return cls([*open_nvml(gpus), *open_rapl()])

    def start(self) -> None:
        """Begin at zero."""
        with self._turn:
            self._from_s, self._from_cpu_ms = self._clock(), self._cpu_ms()
            self._first = self._totals()
        self._thread.start()

    def read(self) -> Counted:
        """Say what was counted since the start, or up to the stop."""
        with self._turn:
            if self._result is not None:
                return self._result
            totals = self._totals()
            return Counted(
                wall_ms=round((self._clock() - self._from_s) * 1000),
                node_cpu_ms=max(0, self._cpu_ms() - self._from_cpu_ms),
                energy=tuple(
                    EnergyReading(
                        counter.source, counter.device, totals[counter.device] - self._first[counter.device]
                    )
                    for counter in self._counters
                ),
            )

    def stop(self) -> Counted:
        """End metering and say what was counted; stopping again says the same."""
        result = self.read()
        with self._turn:
            self._result = self._result or result
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        return self._result

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _totals(self) -> dict[str, int]:
        """Read all counters; drop those that do not answer."""
        totals: dict[str, int] = {}
        for counter in tuple(self._counters):
            try:
                totals[counter.device] = counter.total_mj()
            except CounterLostError:
                self._counters.remove(counter)
        return totals

    def _keep_reading(self) -> None:
        while not self._done.wait(self._every_s):
            with self._turn:
                self._totals()
