"""What a year of a site says for runs' footprints: the factors an operator states to its factory.

Each is measured where meters cover the whole year, and the twin's estimate where not; carbon is what the site
file or its tables say, weighed by the electricity of each minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kifabrik.plant.law.filling import WHOLE, Basis, Metered
from kifabrik.plant.studies import Study

_GRAMS: Final = 1000.0
_LITRES: Final = 1000.0
_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor.

    Attributes:
        name: As `[site]` of factory.toml has it.
        value: In the unit its name says; whole where the factory wants a whole number.
        basis: What it rests on.
        meaning: In words.
    """

    name: str
    value: float
    basis: Basis
    meaning: str


def factors(study: Study, metered: Mapping[str, Metered] | None = None) -> list[Factor]:
    """The factors of a year.

    Args:
        study: A simulated year: what it gives is estimated.
        metered: By the id of a register's field: what meters gave.
    """
    summary, it = study.summary, study.summary.it
    whole = {name: one.value for name, one in (metered or {}).items() if one.coverage >= WHOLE}
    found = [
        Factor(
            "carbon_g_per_kwh",
            _share(summary.carbon_location, summary.electricity, _GRAMS),
            Basis.STATED,
            "location-based, grid mix",
        ),
        Factor(
            "market_g_per_kwh",
            _share(summary.carbon_market, summary.electricity, _GRAMS),
            Basis.STATED,
            "market-based, contracts",
        ),
    ]
    for name, above, estimate, factor, meaning in (
        ("pue_percent", "electricity_total", summary.pue * it, _PERCENT, "all but heat's upgrade / IT"),
        (
            "reused_percent",
            "heat_reused",
            summary.source_heat,
            _PERCENT,
            "heat handed on / IT",
        ),
        (
            "water_withdrawn_l_per_kwh",
            "water_withdrawn",
            summary.withdrawn,
            _LITRES,
            "withdrawn, flows back",
        ),
        ("water_consumed_l_per_kwh", "water_potable", summary.consumed, _LITRES, "consumed: evaporated"),
    ):
        meters = above in whole and whole.get("electricity_it", 0.0) > 0
        value = _share(whole[above], whole["electricity_it"], factor) if meters else _share(estimate, it, factor)
        found.append(Factor(name, value, Basis.MEASURED if meters else Basis.ESTIMATED, meaning))
    return [_rounded(one) for one in found]


def _share(part: float, of: float, factor: float) -> float:
    return factor * part / of if of > 0 else 0.0


def _rounded(one: Factor) -> Factor:
    digits = 4 if one.name.startswith("water") else 0
    return Factor(one.name, round(one.value, digits), one.basis, one.meaning)
