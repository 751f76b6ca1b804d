# ruff: noqa: RUF001 - the dash and the minus of print are meant
"""Numbers as people of a language write them: 1.234,5 in German, 1,234.5 in English."""

import math
from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["de", "en"]
NONE: Final = "–"
"""Stands for a figure that is not there, or is not a number."""

_THIN: Final = "\u202f"
_MARKS: Final[dict[Language, tuple[str, str]]] = {"de": (".", ","), "en": (",", ".")}
_SCALES: Final[dict[Language, tuple[tuple[float, str], ...]]] = {
    "de": ((1e12, "Bio."), (1e9, "Mrd."), (1e6, "Mio.")),
    "en": ((1e12, "tn"), (1e9, "bn"), (1e6, "m")),
}
_WHOLE_FROM: Final = 100.0
_DIGITS: Final = 3
_MOST_PLACES: Final = 6
_TOO_LARGE: Final = 1e16


@dataclass(frozen=True, slots=True)
class Numerals:
    """How numbers are written.

    Attributes:
        language: Of the reader.
    """

    language: Language

    def number(self, value: float, digits: int = 0) -> str:
        """A number with its thousands grouped; a dash for what is not finite."""
        if not math.isfinite(value):
            return NONE
        if abs(value) >= _TOO_LARGE:
            return f"{value:.2e}".replace(".", _MARKS[self.language][1]).replace("-", "−")
        group, point = _MARKS[self.language]
        text = f"{abs(value):,.{digits}f}".replace(",", "\0").replace(".", point).replace("\0", group)
        negative = value < 0 and any(letter in "123456789" for letter in text)
        return f"−{text}" if negative else text

    def amount(self, value: float) -> str:
        """A number short enough to be read at a glance: three digits that count, millions named."""
        if not math.isfinite(value):
            return NONE
        for size, word in _SCALES[self.language]:
            if abs(value) >= size * 0.9995:
                return f"{self.number(value / size, _places(value / size))}\u00a0{word}"
        return self.number(value, _places(value))

    def ends(self, low: float, high: float) -> tuple[str, str]:
        """Both ends of an interval, as short as they can be and still differ by tens in their last digits."""
        size, word = next(
            ((size, f"\u00a0{word}") for size, word in _SCALES[self.language] if abs(high) >= size * 0.9995),
            (1.0, ""),
        )
        apart = abs(high - low) / size
        needed = 1 - math.floor(math.log10(apart)) if apart > 0 else 0
        digits = max(_places(high / size), min(_MOST_PLACES, needed))
        if not word and abs(high) >= _WHOLE_FROM:
            digits = min(digits, 1)
        return f"{self.number(low / size, digits)}{word}", f"{self.number(high / size, digits)}{word}"

    def tick(self, value: float, step: float) -> str:
        """A number on an axis whose marks are `step` apart: no digit more than the step needs."""
        for size, word in _SCALES[self.language]:
            if abs(value) >= size:
                return f"{self.number(value / size, digits_of(step / size))}\u00a0{word}"
        return self.number(value, digits_of(step))

    def percent(self, share: float, digits: int = 1) -> str:
        """A share as a percentage."""
        text = self.number(100 * share, digits)
        return text if text == NONE else f"{text}{_THIN}%"

    def between(self, low: str, high: str) -> str:
        """Two ends, already written."""
        word = "bis" if self.language == "de" else "to"
        return f"{low} {word} {high}"


def _places(value: float) -> int:
    size = abs(value)
    if size >= _WHOLE_FROM or size == 0:
        return 0
    return max(0, min(_MOST_PLACES, _DIGITS - 1 - math.floor(math.log10(size))))


def digits_of(step: float) -> int:
    """Digits after the point that marks `step` apart need, at most six."""
    return next((digits for digits in range(6) if math.isclose(step * 10**digits, round(step * 10**digits))), 6)
