"""The simulated span: one calendar year in steps of a minute, in Central European Time without summer time."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from kifabrik.plant.load import Floats

STEP: Final = 60.0
"""Seconds of a step."""
HOUR_STEPS: Final = 60
DAY_STEPS: Final = 24 * HOUR_STEPS


@dataclass(frozen=True, slots=True)
class Span:
    """A calendar year.

    Attributes:
        year: Which.
    """

    year: int

    @property
    def days(self) -> int:
        """365 or 366."""
        return (date(self.year + 1, 1, 1) - date(self.year, 1, 1)).days

    @property
    def hours(self) -> int:
        """Of the year."""
        return self.days * 24

    @property
    def steps(self) -> int:
        """Minutes of the year."""
        return self.days * DAY_STEPS

    @property
    def seconds(self) -> float:
        """Of the year."""
        return self.days * 86_400.0

    def day_of(self, day: tuple[int, int]) -> int:
        """Number of a day, from 0; 29 February is 1 March where there is none."""
        month, number = day
        if day == (2, 29) and self.days == 365:  # noqa: PLR2004
            month, number = 3, 1
        return (date(self.year, month, number) - date(self.year, 1, 1)).days

    def months(self) -> Floats:
        """Month (1 to 12) of each day; shape (days,)."""
        first = np.datetime64(f"{self.year}-01-01")
        days = first + np.arange(self.days)
        return (days.astype("datetime64[M]").astype(int) % 12 + 1).astype(np.float64)
