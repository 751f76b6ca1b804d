"""Says figures in the reader's language: words, numbers, periods and money together."""

import math
from dataclasses import dataclass
from typing import Final

from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.report.numerals import NONE, Language, Numerals
from kifabrik.recipes.supply_chain.report.words import Words
from kifabrik.recipes.supply_chain.studies import Estimate

_PERIOD_WORDS: Final = {1.0: ("day", "days"), 7.0: ("week", "weeks")}


@dataclass(frozen=True, slots=True)
class Teller:
    """How one network's figures are said in one language.

    Attributes:
        words: Texts.
        numerals: Numbers.
        currency: Of the network's money.
        period_days: Length of a period.
    """

    words: Words
    numerals: Numerals
    currency: str
    period_days: float

    @classmethod
    def of(cls, network: Network, language: Language) -> "Teller":
        """The teller for a network in a language."""
        return cls(Words(language), Numerals(language), network.currency, network.period_days)

    @property
    def period(self) -> str:
        """What one period is called."""
        return self.words(self._names()[0])

    @property
    def periods(self) -> str:
        """What several are called."""
        return self.words(self._names()[1])

    @property
    def in_periods(self) -> str:
        """What several are called after a preposition."""
        return self.words(f"{self._names()[1]}_of")

    def length(self, periods: float, *, after_of: bool = False) -> str:
        """A number of periods; `after_of` in the case that follows a preposition."""
        if periods == 1:
            return f"1\u00a0{self.period}"
        digits = 0 if periods == round(periods) else 1
        name = self.in_periods if after_of else self.periods
        return f"{self.numerals.number(periods, digits)}\u00a0{name}"

    def estimate(self, value: Estimate, *, is_share: bool = False) -> str:
        """A mean with half the width of its interval."""
        written = self._share if is_share else self.numerals.amount
        if not math.isfinite(value.mean):
            return NONE
        reach = (value.high - value.low) / 2
        return (
            f"{written(value.mean)}\u00a0±\u00a0{written(reach)}" if math.isfinite(reach) else written(value.mean)
        )

    def interval(self, value: Estimate, *, is_share: bool = False) -> str:
        """The ends of an interval, as a sentence."""
        if not math.isfinite(value.mean):
            return ""
        if not (math.isfinite(value.low) and math.isfinite(value.high)):
            return self.words("interval_none")
        low, high = max(0.0, value.low), value.high
        if is_share:
            ends = self.numerals.between(self._share(low), self._share(min(1.0, high)))
        else:
            ends = self.numerals.between(*self.numerals.ends(value.low, high))
        return self.words("interval", between=ends)

    def _share(self, value: float) -> str:
        return self.numerals.percent(value, 2)

    def _names(self) -> tuple[str, str]:
        return _PERIOD_WORDS.get(self.period_days, ("period", "periods"))
