"""The law as rows: thresholds, duties and registers with their dates, as `rules.yaml` holds them."""

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Annotated, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kifabrik.plant.site import Day

_FILE: Final = "rules.yaml"


class Row(BaseModel):
    """Any row: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Row):
    """A text that rows were held against, word by word.

    Attributes:
        name: Of the text.
        name_de: In German, if that is another.
        as_of: Day whose wording it is.
        at: Public address of the text that was read.
        official: Address at which its publisher keeps it.
    """

    name: str
    name_de: str = ""
    as_of: date
    at: str
    official: str


class Pending(Row):
    """What is drafted and not law, when it was last looked at."""

    law: str
    law_de: str = ""
    as_of: date
    at: str
    de: str
    en: str


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
    seen: str | None = None

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


class Duty(Row):
    """Something else that the law asks of an operator; whether it was done is for people to say."""

    law: str
    begin: Annotated[date, Field(alias="from")]
    until: date = date.max
    least_connection_kw: float = 0.0
    de: str
    en: str
    seen: str | None = None


class RegisterField(Row):
    """A field of a register; `clause` is where it stands in the register's text."""

    id: str
    clause: str = ""
    de: str
    en: str
    unit: str = ""
    symbol: str = ""


class Register(Row):
    """A register: from which size on, until when, with which fields."""

    id: str
    law: str
    law_de: str = ""
    begin: Annotated[date, Field(alias="from")]
    until: date = date.max
    least_connection_kw: float = 0.0
    least_it_kw: float = 0.0
    due: Day
    seen: str | None = None
    fields: tuple[RegisterField, ...]


class Rules(Row):
    """All rows."""

    sources: dict[str, Source]
    pending: tuple[Pending, ...] = ()
    thresholds: tuple[Threshold, ...]
    duties: tuple[Duty, ...] = ()
    registers: tuple[Register, ...]

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
        rows: tuple[Threshold | Duty | Register, ...] = (*self.thresholds, *self.duties, *self.registers)
        for row in rows:
            if row.seen is not None and row.seen not in self.sources:
                message = f"{row.law} was seen in {row.seen}, which is no source"
                raise ValueError(message)
        return self

    def checked(self, row: Threshold | Duty | Register) -> str:
        """How a row was checked, in words."""
        if row.seen is None:
            return "not checked against the text"
        source = self.sources[row.seen]
        return f"against the text of {source.name} as of {source.as_of}: {source.at}"

    def asked_to_state(self) -> frozenset[str]:
        """Ids of all registers' fields."""
        return frozenset(field.id for register in self.registers for field in register.fields)

    def owed(self, connection_kw: float, day: date) -> tuple[Duty, ...]:
        """Duties of a data centre with a connection of so many kW on a day."""
        return tuple(
            one for one in self.duties if one.begin <= day <= one.until and connection_kw >= one.least_connection_kw
        )


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
