"""How much an optimisation still has to simulate, at most: it learns on the way what it can spare.

Invariants:
    - What is done and what is left at most are counted in scenarios, of all stages together; each takes as long.
    - What is left at most never grows.
    - Who is told hears of one thing after the other, whichever thread it is told by.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock


class Stage(StrEnum):
    """What is being done."""

    PLACING = "placing safety stock"
    SEEKING = "seeking levels"
    CHECKING = "checking"
    COMPARING = "other fill rates"


Told = Callable[[Stage, int, int | None], None]
"""Is told what is being done, scenarios done so far, and how many it will be at most; None: not known yet."""


@dataclass
class WorkLeft:
    """Scenarios simulated, and to simulate at most, by stage. Threads may count side by side.

    Attributes:
        told: Who is told; None: nobody.
        most: Scenarios of each stage, at most.
    """

    told: Told | None = None
    most: dict[Stage, int] = field(default_factory=dict)
    _done: dict[Stage, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def begin(self, stage: Stage) -> Callable[[int], None]:
        """Say that a stage begins, so all before it have done their work; returns what counts its scenarios."""
        with self._lock:
            for earlier in self._done:
                self.most[earlier] = self._done[earlier]
            self._done[stage] = 0
            self._tell(stage)

        def count(scenarios: int) -> None:
            with self._lock:
                self._done[stage] += scenarios
                self._tell(stage)

        return count

    def _tell(self, stage: Stage) -> None:
        if self.told:
            most = sum(max(self._done.get(each, 0), most) for each, most in self.most.items())
            self.told(stage, sum(self._done.values()), most or None)
