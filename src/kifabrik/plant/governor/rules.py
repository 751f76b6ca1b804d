"""From hours to come to a permit: the IT power that may be drawn now, and why.

Invariants:
    - it is never above what any of the next hours permits, so that running work need not be stopped when an hour
      comes that permits less;
    - it falls at once, but rises only after it has stood for a while and by more than a little: small changes of
      the forecast start and stop nothing;
    - it never falls below the floor, which keeps alive what must run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.plant.governor.flexible import worth
from kifabrik.plant.governor.river import SAYS, Binding, Level

MOST_HOURS: Final = 7 * 24
"""Hours of the outlook a permit carries."""
_HOUR: Final = 3600.0
_MEGA: Final = 1e6


@dataclass(frozen=True)
class Rules:
    """How cautious the governor is.

    Attributes:
        ahead_hours: Hours to come that are heeded.
        floor_watts: IT power that is always permitted.
        rise_share: A permit rises only by more than this share of full power.
        settle_s: And only after it has stood for so many seconds.
    """

    ahead_hours: int = 3
    floor_watts: float = 0.0
    rise_share: float = 0.02
    settle_s: float = 1800.0

    def __post_init__(self) -> None:
        if self.ahead_hours < 1 or self.floor_watts < 0 or not 0 <= self.rise_share < 1 or self.settle_s < 0:
            raise UsageError(
                "The governor's rules make no sense: hours ahead from 1, floor and seconds from 0, rise below 1."
            )


@dataclass(frozen=True)
class Permit:
    """What may be drawn.

    Attributes:
        watts: IT power.
        full_watts: IT power with every GPU at work.
        idle_watts: IT power with nothing running.
        since: When this amount was set, seconds since the epoch.
        until: When nothing will bind any more; 0 where nothing binds now or no end is in sight.
        reason: One sentence.
        outlook: When each coming hour begins, and what it is worth to work that may wait (`flexible`).
    """

    watts: float
    full_watts: float
    idle_watts: float
    since: float
    until: float
    reason: str
    outlook: tuple[tuple[float, float], ...] = ()

    @property
    def share(self) -> float:
        """Of all GPUs, how many may be at work: 1 where nothing binds."""
        return min(1.0, max(0.0, (self.watts - self.idle_watts) / (self.full_watts - self.idle_watts)))

    def most(self, count: int) -> int:
        """Of so many equal things, how many may be at work."""
        return math.floor(count * self.share + 1e-9)


def decide(
    levels: Sequence[Level],
    now: float,
    rules: Rules,
    *,
    full_watts: float,
    idle_watts: float,
    before: Permit | None = None,
) -> Permit:
    """The permit from now on.

    Args:
        levels: What each hour permits, in order; those that have ended are passed over.
        now: Seconds since the epoch.
        rules: How cautious to be.
        full_watts: IT power with every GPU at work.
        idle_watts: IT power with nothing running.
        before: The permit that holds until now.

    Raises:
        UsageError: No hour reaches beyond now.
    """
    coming = [level for level in levels if level.at + _HOUR > now]
    if not coming:
        raise UsageError("The forecast has ended.", hint="Give hours that reach beyond now.")
    least = min(coming[: rules.ahead_hours], key=lambda level: level.watts)
    watts = max(least.watts, min(rules.floor_watts, full_watts))
    until = _until(coming, rules)
    outlook = tuple((level.at, worth(level, full_watts)) for level in coming[:MOST_HOURS])
    if before is not None and watts > before.watts:
        little = watts - before.watts <= rules.rise_share * full_watts and watts < full_watts
        if little or now - before.since < rules.settle_s:
            return replace(before, outlook=outlook)
    reason = _reason(full_watts, watts, least, until)
    since = before.since if before is not None and before.watts == watts else now
    return Permit(watts, full_watts, idle_watts, since, until, reason, outlook)


def _until(levels: Sequence[Level], rules: Rules) -> float:
    """When the moment comes from which nothing binds in the hours heeded; 0 if none is known, or it is now."""
    for number in range(len(levels)):
        if all(level.binding is Binding.NOTHING for level in levels[number : number + rules.ahead_hours]):
            return levels[number].at if number else 0.0
    return 0.0


def _reason(full: float, watts: float, least: Level, until: float) -> str:
    if least.binding is Binding.NOTHING:
        return f"{SAYS[least.binding]}."
    end = f" until about {datetime.fromtimestamp(until, UTC):%H:%M} UTC" if until else ""
    floor = ", the least that always is" if watts > least.watts else ""
    return f"{SAYS[least.binding]}{end}: {watts / _MEGA:.3g} of {full / _MEGA:.3g} MW are permitted{floor}."
