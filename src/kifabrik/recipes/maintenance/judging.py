"""Whether alarms were worth it: faults announced, how early, and alarms for nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.maintenance.alarms import MONTH, Span
from kifabrik.recipes.maintenance.faults import Fault, near

_SURE: Final = 0.95
_MANY: Final = 400
"""From here on the normal distribution is close enough."""


@dataclass(frozen=True)
class Seen:
    """What became of one fault.

    Attributes:
        fault: Which.
        lead: From the first alarm to its beginning; None if no alarm came before it.
        late: No alarm came before it, but one while it went on.
    """

    fault: Fault
    lead: np.timedelta64 | None
    late: bool


@dataclass(frozen=True)
class Verdict:
    """What alarms were worth.

    Attributes:
        seen: The faults while the machine was watched, in order.
        false: Numbers of the alarms that belong to no fault, from 0.
        months: Time watched in which no fault was near.
    """

    seen: tuple[Seen, ...]
    false: tuple[int, ...]
    months: float

    @property
    def announced(self) -> int:
        """How many faults an alarm came before."""
        return sum(one.lead is not None for one in self.seen)

    @property
    def middle_lead(self) -> np.timedelta64 | None:
        """Median lead of those announced."""
        leads = [one.lead for one in self.seen if one.lead is not None]
        return np.median(np.array(leads)).astype("timedelta64[s]") if leads else None

    @property
    def false_a_month(self) -> float:
        """False alarms in a month."""
        return len(self.false) / max(self.months, 1e-9)

    @property
    def false_at_most(self) -> float:
        """The most false alarms a month that fit what was counted, with 95 % confidence (Garwood, 1936)."""
        return poisson_upper(len(self.false)) / max(self.months, 1e-9)


def judge(
    alarms: Sequence[Span],
    faults: Sequence[Fault],
    times: NDArray[np.datetime64],
    before: np.timedelta64,
    watched: int,
) -> Verdict:
    """Hold alarms against faults.

    Args:
        alarms: In order.
        faults: In order.
        times: Of all rows.
        before: An alarm this long before a fault, or less, announces it.
        watched: First row that was watched.
    """
    start, end = times[watched], times[-1]
    during = [fault for fault in faults if fault.end >= start and fault.start <= end]
    seen, used = [], set()
    for fault in during:
        early = [at for at, alarm in enumerate(alarms) if _meets(alarm, times, fault.start - before, fault.start)]
        late = [at for at, alarm in enumerate(alarms) if _meets(alarm, times, fault.start, fault.end)]
        used |= {*early, *late}
        begun = [times[alarms[at].first] for at in early if times[alarms[at].first] < fault.start]
        seen.append(Seen(fault, fault.start - min(begun) if begun else None, not begun and bool(late)))
    quiet = ~near(times[watched:], during, before)
    steps = np.diff(times[watched:], append=end).astype("timedelta64[s]").astype(float)
    months = float(np.minimum(steps, _longest_step(steps))[quiet].sum()) / float(MONTH.astype(float))
    return Verdict(tuple(seen), tuple(at for at in range(len(alarms)) if at not in used), months)


def poisson_upper(count: int) -> float:
    """The largest mean that a count still fits at 95 %: where so few or fewer come in one case of twenty."""
    if count > _MANY:
        return count + 1.645 * math.sqrt(count)
    low, high = float(count), count + 10.0 * math.sqrt(count + 1.0)
    for _ in range(60):
        middle = (low + high) / 2
        term, total = math.exp(-middle), 0.0
        for at in range(count + 1):
            total += term
            term *= middle / (at + 1)
        low, high = (middle, high) if total > 1 - _SURE else (low, middle)
    return high


def _longest_step(steps: NDArray[np.float64]) -> float:
    """A pause longer than this was not watched: a hundred usual steps."""
    return 100.0 * float(np.median(steps)) if len(steps) else 0.0


def _meets(alarm: Span, times: NDArray[np.datetime64], start: np.datetime64, end: np.datetime64) -> bool:
    return bool(times[alarm.first] <= end and times[alarm.last] >= start)
