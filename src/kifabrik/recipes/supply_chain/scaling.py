"""How far safety stocks must be scaled, all alike, for a fill rate to be met, in few simulations.

What a fill rate lacks of one falls by about equal factors as safety grows by equal steps. So its logarithm is
interpolated between the greatest scale known to miss and the least known to serve, a little to the side that is
farther off, until the two are close.

Invariants:
    - A scale that is said to serve was simulated, and served.
    - What one target found out is known to the next.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MOST: Final = 16.0
"""Safety is not scaled further: capacity or outages are in the way then, not safety."""
_TINY: Final = 1e-9
_BESIDE: Final = 1 / 3
"""Of the width wanted: so far beside the interpolated scale is looked."""
_EDGE: Final = 0.02
"""Each look takes off at least this share of what is open."""
_HALVED: Final = 4
"""Each fourth look halves what is open, however badly interpolation goes."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Fill rates of scaled safety stocks.

    Attributes:
        fill_rate: Fill rate of a scale that counts: the lower end of its interval.
        known: What was found out so far, by scale.
    """

    fill_rate: Callable[[float], float]
    known: dict[float, float] = field(default_factory=dict)

    def at(self, scale: float) -> float:
        """The fill rate of a scale."""
        if scale not in self.known:
            self.known[scale] = self.fill_rate(scale)
        return self.known[scale]

    def least(self, beta: float, *, within: float, go_on: Callable[[], bool]) -> float:
        """The least scale that serves, to `within`; where none is found, the greatest that was tried.

        Args:
            beta: Fill rate to meet.
            within: How close a scale that misses must be known.
            go_on: Asked before each further look.
        """
        while not self._serving(beta):
            greatest = max(self.known, default=0.0)
            if greatest >= MOST or (self.known and not go_on()):
                return greatest
            self.at(max(1.0, 2 * greatest))
        looks = 0
        while go_on():
            low, high = self._around(beta)
            if high - low <= within:
                break
            looks += 1
            self.at((low + high) / 2 if looks % _HALVED == 0 else self._guess(low, high, beta, within))
        return self._around(beta)[1]

    def _serving(self, beta: float) -> list[float]:
        return [scale for scale, rate in self.known.items() if rate >= beta]

    def _around(self, beta: float) -> tuple[float, float]:
        """The greatest scale known to miss below the least known to serve, or zero, and that one."""
        high = min(self._serving(beta))
        return max((scale for scale in self.known if scale < high), default=0.0), high

    def _guess(self, low: float, high: float, beta: float, within: float) -> float:
        if low not in self.known:
            return (low + high) / 2
        lacking = [math.log(max(_TINY, 1 - rate)) for rate in (self.known[low], self.known[high], beta)]
        share = (lacking[0] - lacking[2]) / (lacking[0] - lacking[1]) if lacking[0] > lacking[1] else 0.5
        answer = low + min(1.0, share) * (high - low)
        beside = within * _BESIDE * (-1 if answer - low > high - answer else 1)
        edge = _EDGE * (high - low)
        return min(max(answer + beside, low + edge), high - edge)
