"""What of the permitted power is taken, and for whom it is kept: the account of one pass of the queue.

Power counts by GPUs, and by cores where no node has a GPU.

Invariants:
- what is at work and what starts never exceeds the permit together; what was at work before is left alone;
- there is one reservation at a time, for the first run that was short: by then its power is free at the latest, if
  what runs keeps to its longest duration and the permit does not fall.
"""

import math
from collections.abc import Sequence

from kifabrik.factory.capacity import Demand, Node, Placement
from kifabrik.plant.governor.rules import Permit


class PowerBook:
    """The account.

    Args:
        nodes: Of the factory.
        permit: What the plant's governor permits; None where there is none.
        now: Seconds since the epoch.
    """

    def __init__(self, nodes: Sequence[Node], permit: Permit | None, now: float) -> None:
        self._permit = permit if permit is not None and permit.share < 1 else None
        self._now = now
        gpus = sum(len(node.gpus) for node in nodes)
        self._by_gpu = gpus > 0
        self._all = gpus or sum(node.cpus for node in nodes)
        self._taken: list[tuple[float, int]] = []  # until when, how many
        self._kept: tuple[float, int] | None = None  # when the reservation begins, what is left beside it then

    def add(self, placement: Placement, ends: float) -> None:
        """Something is at work on these shares until then at the latest."""
        count = sum(len(share.gpus) if self._by_gpu else share.cpus for share in placement)
        self._taken.append((ends, count))
        if self._kept is not None and ends > self._kept[0]:
            self._kept = (self._kept[0], self._kept[1] - count)

    def short(self, demand: Demand, lasting: float) -> str:
        """Why power does not suffice for a run now, as a sentence; empty if it does.

        Args:
            demand: What it needs.
            lasting: Longest time it holds it, seconds.
        """
        more = self._asked(demand)
        if self._permit is None or not more:
            return ""
        if self._used(self._now) + more > self._permit.most(self._all):
            return f"Waits for power. {self._permit.reason}"
        if self._kept is not None and self._now + lasting > self._kept[0] and more > self._kept[1]:
            return f"Waits for power, which is kept for an earlier run. {self._permit.reason}"
        return ""

    def reserve(self, demand: Demand) -> None:
        """Keep the power that comes free for a run that is short of it, if none is kept yet.

        A run that this permit never suffices for waits for its end; where nobody knows that, nothing is kept, and
        others use what it cannot.
        """
        if self._kept is not None or self._permit is None:
            return
        more = self._asked(demand)
        moments = [self._now, *(ends for ends, _ in self._taken), self._permit.until]
        for moment in sorted(moment for moment in moments if moment >= self._now):
            left = self._permitted(moment) - self._used(moment) - more
            if left >= 0:
                self._kept = (moment, left)
                return
        self._kept = (math.inf, 0)

    def _asked(self, demand: Demand) -> int:
        asked = demand.resources
        return (asked.gpu_count if self._by_gpu else asked.cpus) * asked.nodes

    def _used(self, moment: float) -> int:
        return sum(count for ends, count in self._taken if ends > moment)

    def _permitted(self, moment: float) -> int:
        if self._permit is None or self._now < self._permit.until <= moment:
            return self._all
        return self._permit.most(self._all)
