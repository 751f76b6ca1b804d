"""The law as rows: thresholds and registers with their dates, as `rules.yaml` holds them."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from kifabrik.plant.site import Day

_FILE: Final = "rules.yaml"


class Row(BaseModel):
    """Any row: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Seen(StrEnum):
    """How a row was checked."""

    TEXT = "text"
    SUMMARIES = "summaries"
    NO = "no"


class Threshold(Row):
    """A bound on a figure of merit."""

    law: str
    figure: str
    at_most: float | None = None
    at_least: float | None = None
    started_from: date = date.min
    started_before: date = date.max
    begin: Annotated[date, Field(alias="from")]
    until: date = date.max
    years_after_start: int = 0
    seen: Seen = Seen.NO

    def binds_from(self, start: date) -> date:
        """First day on which it binds a data centre that began to operate then."""
        return (
            max(self.begin, _years_later(start, self.years_after_start)) if self.years_after_start else self.begin
        )

    def concerns(self, start: date) -> bool:
        """Whether it is for data centres that began to operate then."""
        return self.started_from <= start < self.started_before

    def met(self, value: float) -> bool:
        """Whether a value keeps it."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)


class RegisterField(Row):
    """A field of a register."""

    id: str
    de: str
    en: str
    unit: str = ""
    symbol: str = ""


class Register(Row):
    """A register: from which size on, until when, with which fields."""

    id: str
    law: str
    begin: Annotated[date, Field(alias="from")]
    until: date = date.max
    least_connection_kw: float = 0.0
    least_it_kw: float = 0.0
    due: Day
    seen: Seen = Seen.NO
    fields: tuple[RegisterField, ...]


class Rules(Row):
    """All rows."""

    thresholds: tuple[Threshold, ...]
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a threshold says of a year.

    Attributes:
        threshold: Which.
        value: Of the figure.
        binding: Whether it binds at the end of that year.
        since: From when on it binds this data centre.
        met: Whether the value keeps it; None if there is no value.
    """

    threshold: Threshold
    value: float
    binding: bool
    since: date
    met: bool


@cache
def rules() -> Rules:
    """The rows that come with kifabrik."""
    text = (resources.files("kifabrik.plant.law") / _FILE).read_text(encoding="utf-8")
    return Rules.model_validate(yaml.safe_load(text))


def verdicts(figures: dict[str, float], start: date, year: int) -> list[Verdict]:
    """What the thresholds say of a year: those that bind at its end, and those that are to come.

    Args:
        figures: Values of `pue`, `pue_all`, `erf`, `ref`.
        start: When the data centre began to operate.
        year: Calendar year of the values.
    """
    last = date(year, 12, 31)
    found = []
    for threshold in rules().thresholds:
        since = threshold.binds_from(start)
        if threshold.concerns(start) and threshold.until >= last:
            value = figures[threshold.figure]
            found.append(Verdict(threshold, value, since <= last, since, threshold.met(value)))
    return found


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return date(day.year + years, 3, 1)
