"""The governor over hours that are known already, by a simulated clock: how often it changes its mind, and when.

The same rules as in service, asked every so many minutes with nothing but the hours from then on; each permit is
given to whoever wants it, so a test can write it where a factory would find it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.plant.governor.river import Level
from kifabrik.plant.governor.rules import MOST_HOURS, Permit, Rules, decide

_HOUR: Final = 3600.0


@dataclass(frozen=True)
class Change:
    """A permit that differs from the one before.

    Attributes:
        at: When it was given, seconds since the epoch.
        watts: IT power it permits.
        reason: Its sentence.
    """

    at: float
    watts: float
    reason: str


@dataclass(frozen=True)
class Replay:
    """What a governor did over some hours.

    Attributes:
        full_watts: IT power with every GPU at work.
        hours: How many were played.
        held: Hours in which less than all was permitted.
        changes: Every permit that differed from the one before, in order; the first one is among them.
        least_watts: Lowest permit.
        withheld: Energy between what was permitted and all, J.
        needless: Part of that which the hours themselves would have permitted: the price of looking ahead and of
            waiting with a rise, J.
        beyond: Energy that was permitted above what an hour could take: the floor's, J.
    """

    full_watts: float
    hours: int
    held: float
    changes: tuple[Change, ...]
    least_watts: float
    withheld: float
    needless: float
    beyond: float

    @property
    def most_in_a_day(self) -> int:
        """Changes within any 24 hours, at most."""
        times = [change.at for change in self.changes[1:]]
        return max((sum(at <= one < at + 24 * _HOUR for one in times) for at in times), default=0)


def replay(
    levels: Sequence[Level],
    rules: Rules,
    *,
    full_watts: float,
    idle_watts: float,
    every_s: float = _HOUR,
    given: Callable[[Permit, float], None] = lambda _permit, _now: None,
) -> Replay:
    """Let a governor decide from the first hour to the last.

    Args:
        levels: What each hour permits, an hour apart, in order.
        rules: How cautious it is.
        full_watts: IT power with every GPU at work.
        idle_watts: IT power with nothing running.
        every_s: Seconds between two decisions; an hour is a multiple of it.
        given: Called with each permit and the time it was given.

    Raises:
        UsageError: There are no hours, or decisions do not fit into an hour.
    """
    if not levels:
        raise UsageError("There are no hours to play.", hint="Give at least one.")
    if not 0 < every_s <= _HOUR or _HOUR % every_s:
        raise UsageError(f"{every_s:g} seconds do not divide an hour.", hint="For example 600.")
    permit: Permit | None = None
    changes: list[Change] = []
    held = withheld = needless = beyond = 0.0
    for number, level in enumerate(levels):
        ahead = levels[number : number + MOST_HOURS]
        for part in range(round(_HOUR / every_s)):
            now = level.at + part * every_s
            after = decide(ahead, now, rules, full_watts=full_watts, idle_watts=idle_watts, before=permit)
            if permit is None or after.watts != permit.watts:
                changes.append(Change(now, after.watts, after.reason))
            permit = after
            given(permit, now)
            held += every_s * (permit.watts < full_watts)
            withheld += every_s * (full_watts - permit.watts)
            needless += every_s * max(0.0, min(level.watts, full_watts) - permit.watts)
            beyond += every_s * max(0.0, permit.watts - level.watts)
    return Replay(
        full_watts,
        len(levels),
        held / _HOUR,
        tuple(changes),
        min(change.watts for change in changes),
        withheld,
        needless,
        beyond,
    )
