# ruff: noqa: RUF001 - the dash and the minus of print
"""Figures and times in the reader's language: 1.234,5 and 18.01.2026 05:10, or 1,234.5 and 2026-01-18 05:10."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kifabrik.recipes.maintenance.reading import LeftOut, Readings, Reason
from kifabrik.recipes.maintenance.words import WORDS, Language

_MOST_DIGITS: Final = 6
_WHOLE_FROM: Final = 10
"""From here on a duration needs no digit behind the point."""


@dataclass(frozen=True)
class Sayer:
    """Says things in one language.

    Attributes:
        language: Of the reader.
    """

    language: Language

    @property
    def separator(self) -> str:
        """What stands between the columns of a CSV file."""
        return ";" if self.language == "de" else ","

    def words(self, key: str, **figures: Any) -> str:
        """A text with its figures."""
        return WORDS[self.language][key].format(**figures)

    def counted(self, count: int, key: str) -> str:
        """A number of things: the texts are called `key_one` and `key_many`."""
        return self.words(f"{key}_one" if count == 1 else f"{key}_many", count=self.number(count))

    def number(self, value: float, digits: int = 0) -> str:
        """A number with its thousands grouped."""
        return self._marked(f"{value:,.{digits}f}")

    def figure(self, value: float) -> str:
        """A number with the digits that count."""
        if value == 0 or not math.isfinite(value):
            return self.number(value) if value == 0 else "–"
        if value == round(value):
            return self.number(value)
        return self.number(value, _digits(value))

    def plain(self, value: float) -> str:
        """A number for a spreadsheet: no groups, four digits."""
        return f"{value:.4g}".replace(".", "," if self.language == "de" else ".")

    def percent(self, share: float) -> str:
        """A share in per cent."""
        return f"{self.number(100 * share)}\u202f%"

    def time(self, when: np.datetime64, readings: Readings) -> str:
        """A time; the number of the row, where the readings have no times."""
        if not readings.timed:
            return self.words("row", row=self.number(int(np.searchsorted(readings.times, when)) + 1))
        pattern = "%d.%m.%Y %H:%M" if self.language == "de" else "%Y-%m-%d %H:%M"
        return str(when.astype("datetime64[s]").item().strftime(pattern))

    def hours(self, duration: np.timedelta64 | None) -> str:
        """A duration in hours for a spreadsheet; empty for none."""
        return "" if duration is None else self.plain(float(duration / np.timedelta64(1, "h")))

    def duration(self, duration: np.timedelta64, *, after_in: bool = False) -> str:
        """A duration in two figures: 3 days, 31 hours, 40 minutes; `after_in` as it is said after a preposition."""
        seconds = float(duration / np.timedelta64(1, "s"))
        for size, least, key in ((86_400, 3, "days"), (3600, 1.5, "hours"), (60, 1.5, "minutes")):
            if seconds >= least * size:
                amount = seconds / size
                digits = 0 if amount >= _WHOLE_FROM or amount == round(amount) else 1
                return self.words(f"{key}_of" if after_in else key, count=self.number(amount, digits))
        return self.words("seconds_of" if after_in else "seconds", count=self.number(seconds))

    def left_out(self, column: LeftOut) -> str:
        """Why a column is not used."""
        example = f" ({column.example})" if column.reason is Reason.TEXT else ""
        return self.words(f"left_{column.reason.value}") + example

    def read(self, readings: Readings) -> str:
        """What was read, in a sentence."""
        return self.words(
            "said_read",
            files=self.counted(readings.files, "file"),
            rows=self.number(len(readings.times)),
            sensors=self.counted(len(readings.names), "sensor"),
            start=self.time(readings.times[0], readings),
            end=self.time(readings.times[-1], readings),
        )

    def remarks(self, readings: Readings) -> list[str]:
        """What was read otherwise than one might think: a sentence each."""
        said = [
            self.words("said_lacking", file=file, columns=", ".join(columns)) for file, columns in readings.lacking
        ]
        said += [self.words("said_ignored", files=", ".join(readings.ignored))] if readings.ignored else []
        said += [self.words("said_doubled", count=self.number(readings.doubled))] if readings.doubled else []
        said += [self.words("said_dropped", count=self.number(readings.dropped))] if readings.dropped else []
        return said + [
            self.words("said_ended", sensor=sensor, time=self.time(since, readings))
            for sensor, since in readings.ended
        ]

    def pair(self, value: float, expected: float) -> tuple[str, str]:
        """A figure and what was expected, with as many digits as tell them apart."""
        if not (math.isfinite(value) and math.isfinite(expected)) or value == expected:
            return self.figure(value), self.figure(expected)
        digits = _digits(expected)
        if self.number(value, digits) != self.number(expected, digits):
            return self.figure(value), self.figure(expected)
        while digits < _MOST_DIGITS and self.number(value, digits) == self.number(expected, digits):
            digits += 1
        return self.number(value, digits), self.number(expected, digits)

    def _marked(self, text: str) -> str:
        text = text.replace("-", "−")
        return text.translate(str.maketrans(",.", ".,")) if self.language == "de" else text


def _digits(value: float) -> int:
    """Digits behind the point, for three that count."""
    return max(0, min(_MOST_DIGITS, 2 - math.floor(math.log10(abs(value))))) if value else 2
