"""The keyholder's time: the machine's clock, except that it never goes back.

Invariants:
- no time that was once told is left again while the process lives: setting the clock back revives neither grants
  nor orders;
- a time becomes durable with the decision or the cosignature that relied on it, so no restart leaves it either.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from kifabrik.keyholder.settings import Setting, Settings
from kifabrik.values import format_time, now_utc, parse_time

_TOLERATED_S: Final = 120


class Clock:
    """Tells the time.

    Args:
        settings: Where the latest time is kept.
        wall: The machine's clock.
    """

    def __init__(self, settings: Settings, wall: Callable[[], datetime] = now_utc) -> None:
        self._settings = settings
        self._wall = wall
        self._told = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the present, or the latest time reached before if that is later."""
        self._told = max(self._wall(), self._latest())
        return self._told

    def text(self) -> str:
        """Return `now` as statements hold it."""
        return format_time(self.now())

    def keep(self) -> None:
        """Make the present durable; within the transaction of whatever relies on it."""
        now = self.now()
        if now > parse_time(self._settings.get(Setting.LATEST_TIME)):
            self._settings.set(Setting.LATEST_TIME, format_time(now))

    def set_back_s(self) -> float:
        """Return by how many seconds the machine's clock lies behind, 0 where it is within two minutes."""
        behind = (self._latest() - self._wall()).total_seconds()
        return behind if behind > _TOLERATED_S else 0

    def _latest(self) -> datetime:
        return max(self._told, parse_time(self._settings.get(Setting.LATEST_TIME)))
