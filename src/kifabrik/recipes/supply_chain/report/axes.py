"""The frame of a chart: scales, round marks, thin lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from markupsafe import Markup

from kifabrik.recipes.supply_chain.report.numerals import Numerals, digits_of
from kifabrik.recipes.supply_chain.report.svg import line, text

_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_MARKS: Final = 5
_SAME: Final = 1e-9
"""Values closer than this share of their size are drawn as one: marks could not tell them apart."""
_LEAST: Final = 1e-290


@dataclass(frozen=True, slots=True)
class Scale:
    """Values laid out along an axis.

    Attributes:
        low: Value at `start`.
        high: Value at `end`.
        start: Coordinate of the lowest value.
        end: Coordinate of the highest.
    """

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float, *, zero: bool = True) -> "Scale":
        """A scale that holds the finite values, with zero if wanted, and with room around one value alone."""
        seen = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(seen), max(seen)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        size = max(abs(low), abs(high))
        if high - low <= _SAME * max(size, _LEAST):
            room = 0.05 * size or 1.0
            low, high = (low if zero and low == 0 else low - room), high + room
        return cls(low, high, start, end)

    def __call__(self, value: float) -> float:
        """Coordinate of a value; one beyond an end lies on it."""
        held = min(max(value, self.low), self.high)
        return self.start + (held - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def step(self) -> float:
        """Distance of round marks."""
        rough = (self.high - self.low) / _MARKS
        size = 10.0 ** math.floor(math.log10(rough))
        return next((size * step for step in _STEPS if size * step >= rough * 0.999), 10 * size)

    def marks(self) -> list[float]:
        """Round values on the axis."""
        step = self.step
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [step * number for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Frame:
    """The place of a chart in its drawing.

    Attributes:
        width: Of the drawing.
        height: Of the drawing.
        left: Free at the left, for marks.
        right: Free at the right.
        top: Free at the top.
        bottom: Free at the bottom, for marks.
    """

    width: float = 520.0
    height: float = 250.0
    left: float = 58.0
    right: float = 14.0
    top: float = 12.0
    bottom: float = 40.0
    numerals: Numerals = field(default_factory=lambda: Numerals("en"))

    def across(self, values: Sequence[float], *, zero: bool = False) -> Scale:
        """Scale from left to right."""
        return Scale.around(values, self.left, self.width - self.right, zero=zero)

    def up(self, values: Sequence[float], *, zero: bool = True) -> Scale:
        """Scale from bottom to top."""
        return Scale.around(values, self.height - self.bottom, self.top, zero=zero)

    def grid(self, x: Scale, y: Scale, x_label: str, *, percent: bool = False) -> list[Markup]:
        """Thin lines and marks of both axes; `percent` writes the upright one in per cent."""
        parts: list[Markup] = []
        right, floor = self.width - self.right, self.height - self.bottom
        for value in y.marks():
            at = y(value)
            words = (
                self.numerals.percent(value, digits_of(100 * y.step))
                if percent
                else self.numerals.tick(value, y.step)
            )
            parts += [
                line((self.left, at), (right, at), class_="axis" if value == 0 else "grid"),
                text(self.left - 8, at + 3.6, words, class_="tick", text_anchor="end"),
            ]
        for value in x.marks():
            parts += [
                line((x(value), floor), (x(value), floor + 4), class_="axis"),
                text(x(value), floor + 17, self.numerals.tick(value, x.step), class_="tick", text_anchor="middle"),
            ]
        parts.append(text(right, floor + 33, x_label, class_="label", text_anchor="end"))
        return parts
