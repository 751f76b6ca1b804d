# ruff: noqa: RUF001 - marks of print
"""How the report and the model card speak: their texts in one language, and its way of writing figures."""

import math
from typing import Final

from kifabrik.recipes.pharma.texts import WORDS, Language

NONE: Final = "–"
"""Stands for a figure that is not there."""
_THIN: Final = "\u202f"
_MARKS: Final[dict[Language, tuple[str, str]]] = {"de": (".", ","), "en": (",", ".")}


class Words:
    """The texts of one language, and how it writes figures.

    Args:
        language: Of the reader.
    """

    def __init__(self, language: Language) -> None:
        self.language: Final = language
        self._texts = WORDS[language]

    def __call__(self, key: str, /, **parts: str) -> str:
        """A text with its parts filled in; it is not escaped yet.

        Raises:
            KeyError: If there is no such text, or a part is missing.
        """
        return self._texts[key].format(**parts)

    def name(self, name: str) -> str:
        """A measure, a simple model or a method, by the name that files carry."""
        return self._texts.get(name, name)

    def figure(self, value: float | None, digits: int = 3) -> str:
        """A figure with fixed decimals; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return NONE
        group, point = _MARKS[self.language]
        return f"{value:,.{digits}f}".replace(",", "\0").replace(".", point).replace("\0", group).replace("-", "−")

    def short(self, value: float) -> str:
        """A figure of four digits that count."""
        return f"{value:.4g}".replace(".", _MARKS[self.language][1]).replace("-", "−")

    def whole(self, number: int) -> str:
        """A count, its thousands grouped."""
        return self.figure(number, 0)

    def percent(self, share: float, digits: int = 0) -> str:
        """A share as a percentage."""
        text = self.figure(100 * share, digits)
        return text if text == NONE else f"{text}{_THIN}%"

    def between(self, low: float | None, high: float | None, digits: int = 3) -> str:
        """Two ends of an interval."""
        return self("between", low=self.figure(low, digits), high=self.figure(high, digits))
