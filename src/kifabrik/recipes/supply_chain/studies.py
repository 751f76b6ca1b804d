"""What studies beyond a single run find out: outages, critical nodes, the trade of service against cash.

Invariants:
    - Differences are paired: both sides saw the same luck, scenario by scenario, so `Estimate.paired` of them
      is an interval of the difference itself, not of two means laid side by side.
    - Money in the network's currency, times in periods, shares from 0 to 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kifabrik.errors import UsageError

Floats = NDArray[np.float64]
CONFIDENCE: Final = 0.95
"""Probability that an interval holds the true mean."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with the ends of its confidence interval.

    Attributes:
        mean: The mean.
        low: Lower end; minus infinity where one scenario alone was seen.
        high: Upper end.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: ArrayLike, confidence: float = CONFIDENCE) -> Self:
        """Mean of independent values and its interval (Student's t).

        Args:
            values: One value a scenario.
            confidence: Probability that the interval holds the true mean.

        Raises:
            UsageError: If there is no value.
        """
        from scipy import stats  # noqa: PLC0415 - slow to import

        seen = np.asarray(values, dtype=np.float64).ravel()
        if not seen.size:
            raise UsageError("There is no scenario to estimate a mean from.")
        mean = float(seen.mean())
        if seen.size == 1:
            return cls(mean, -math.inf, math.inf)
        error = float(seen.std(ddof=1)) / math.sqrt(seen.size)
        reach = float(stats.t.ppf((1 + confidence) / 2, seen.size - 1)) * error
        return cls(mean, mean - reach, mean + reach)

    @classmethod
    def paired(cls, changed: ArrayLike, base: ArrayLike) -> Self:
        """Interval of the mean of `changed - base`, scenario by scenario.

        Raises:
            UsageError: If the two have different numbers of scenarios.
        """
        after, before = np.asarray(changed, dtype=np.float64), np.asarray(base, dtype=np.float64)
        if after.shape != before.shape:
            raise UsageError(
                f"{after.size} scenarios cannot be paired with {before.size}.",
                hint="Simulate both with the same scenarios and the same seed.",
            )
        return cls.of(after - before)

    @property
    def is_distinct(self) -> bool:
        """Whether the interval leaves out zero: a difference that luck alone would rarely show."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How soon scenarios are over an outage.

    Attributes:
        median: Periods from its end, median of the scenarios that recovered; NaN if none did.
        p95: 95th percentile of all; infinite if those scenarios did not recover in the time simulated.
        unrecovered: Share of the scenarios that did not.
    """

    median: float
    p95: float
    unrecovered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageResult:
    """What an outage does, against the same scenarios without it.

    Attributes:
        name: Of the outage, or of what fails.
        start: First period of the outage.
        periods: How long it lasts.
        cost_difference: Cost of a scenario with it, less the cost without.
        recovery: How soon the backlog is back at what it would have been, see `recovering`.
        backlog_with: Mean backlog, outside customers' units [period].
        backlog_without: The same without the outage [period].
        beta_difference: Fill rate with it, less without; None if not known.

    Raises:
        UsageError: If the two courses differ in length.
    """

    name: str
    start: int
    periods: int
    cost_difference: Estimate
    recovery: Recovery
    backlog_with: Floats = field(compare=False)
    backlog_without: Floats = field(compare=False)
    beta_difference: Estimate | None = None

    def __post_init__(self) -> None:
        if len(self.backlog_with) != len(self.backlog_without):
            raise UsageError(f"The two courses of the outage {self.name} differ in length.")

    @property
    def periods_left(self) -> int:
        """Periods simulated after its end."""
        return len(self.backlog_with) - self.start - self.periods


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalNode:
    """What it costs when a node fails for a while.

    Attributes:
        name: Of the node.
        cost: Mean cost of the failure: paired difference to the same scenarios without it.
        error: Standard error of that mean.
        periods: How long it fails.
    """

    name: str
    cost: float
    error: float
    periods: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierPoint:
    """A plan: what it binds and how well it serves.

    Attributes:
        name: Of the plan, such as `today` or `beta 0.98`.
        stock_value: Money bound in stock, mean over periods.
        beta: Fill rate.
        cost: Cost of a scenario.
        stock_difference: Stock value less that of the current plan, paired; None for the current one.
        beta_difference: The same for the fill rate.
        cost_difference: The same for the cost.
        target: Fill rate that was asked for; None: none was.
        is_current: Whether it is what is done today.
        is_chosen: Whether it is the plan proposed.
    """

    name: str
    stock_value: Estimate
    beta: Estimate
    cost: Estimate
    stock_difference: Estimate | None = None
    beta_difference: Estimate | None = None
    cost_difference: Estimate | None = None
    target: float | None = None
    is_current: bool = False
    is_chosen: bool = False


TODAY: Final = "today"
"""Name of the plan of today."""


def by_target(beta: float) -> str:
    """Name of a plan for a fill rate."""
    return f"beta {beta:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """Plans that trade service against cash, checked on scenarios they were not found with.

    Attributes:
        points: Plans, the current one among them where it is known.
        scenarios: How many scenarios today's and the proposed plan were checked on.
        confidence: Of all intervals.
        compared: How many of these the other plans were checked on; 0: all.
    """

    points: tuple[FrontierPoint, ...]
    scenarios: int
    confidence: float = CONFIDENCE
    compared: int = 0


def by_cost(nodes: Sequence[CriticalNode]) -> tuple[CriticalNode, ...]:
    """The dearest failure first; those without a figure last."""
    return tuple(sorted(nodes, key=lambda node: (not math.isfinite(node.cost), -node.cost, node.name)))
