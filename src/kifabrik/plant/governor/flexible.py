"""When work that may wait should start: plain rules over the coming hours.

Invariants:
    - it never starts so late that, by its longest duration, it would end after its deadline;
    - nothing waits unless a later hour is better by more than a little; of equally good ones the earliest is taken.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from kifabrik.plant.governor.river import Level

_HOUR: Final = 3600.0
_BETTER: Final = 0.05
"""By how much of a fully wanted, fully permitted hour another must be better on average to be worth waiting for."""


def worth(level: Level, full_watts: float) -> float:
    """How good an hour is for work that may wait: half by the heat wanted, half by the power permitted: 0 to 1.

    Where electricity has a price by the hour, less where it is dearer and more where it is cheaper than on average.
    """
    heat, power = min(1.0, max(0.0, level.heat_wanted)), min(1.0, max(0.0, level.watts / full_watts))
    return (heat + power - level.dear) / 2


def best_start(outlook: Sequence[tuple[float, float]], now: float, lasting: float, until: float) -> float:
    """When to start.

    Args:
        outlook: Hours in order: when each begins, seconds since the epoch, and what it is worth.
        now: Seconds since the epoch.
        lasting: Longest duration, seconds.
        until: When it must have ended.

    Returns:
        `now`, or the beginning of a later hour.
    """
    best, best_mean = now, _mean(outlook, now, now + lasting) + _BETTER
    for at, _ in outlook:
        if now < at <= until - lasting and at < outlook[-1][0] + _HOUR:
            mean = _mean(outlook, at, at + lasting)
            if mean > best_mean:
                best, best_mean = at, mean
    return best


def waits_until(outlook: Sequence[tuple[float, float]], now: float, lasting: float, until: float) -> str:
    """Why work that may wait does not start now, as a sentence; empty if it should."""
    start = best_start(outlook, now, lasting, until)
    if start <= now:
        return ""
    clock = datetime.fromtimestamp(start, UTC).strftime("%H:%M UTC")
    return (
        f"May wait, and does: from about {clock} its heat is wanted more, the river is cooler or power is cheaper."
    )


def _mean(outlook: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """Mean worth of the hours of a stretch, as far as they are known; minus infinity where none is."""
    total, weight = 0.0, 0.0
    for at, value in outlook:
        part = min(end, at + _HOUR) - max(begin, at)
        if part > 0:
            total += part * value
            weight += part
    return total / weight if weight > 0 else -math.inf
