"""Fields of the registers filled from a study and from meters: each says what it rests on, gaps stay gaps."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, Final

import numpy as np

from kifabrik.plant.law.rows import Register, RegisterField
from kifabrik.plant.load import Floats
from kifabrik.plant.studies import Study

_CLASSES: Final = (
    (500, "< 500 kW"), (1000, "< 1 MW"), (5000, "< 5 MW"), (10_000, "< 10 MW"), (50_000, "< 50 MW"),
    (100_000, "< 100 MW"),
)  # fmt: skip
WHOLE: Final = 0.999
"""Share of a year from which on a meter counts as complete."""
_WARM_DAY: Final = 24.0
_COMFORT: Final = 21.0
"""Eurostat's cooling degree days: days whose mean is 24 °C or more count with what it is above 21 °C."""


class Basis(Enum):
    """What a value rests on."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    STATED = "stated"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Filled:
    """A field with its value.

    Attributes:
        field: Which.
        value: Number or words; None: a gap.
        basis: What it rests on.
        remark: Why it is a gap, or what more is to say.
    """

    field: RegisterField
    value: Any
    basis: Basis
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Metered:
    """What a meter gave for a year.

    Attributes:
        value: In the unit of the field.
        coverage: Share of the year with readings.
    """

    value: float
    coverage: float


def fill(register: Register, study: Study, metered: Mapping[str, Metered] | None = None) -> list[Filled]:
    """Fill a register's fields.

    Args:
        register: Which.
        study: A simulated year: what it gives is estimated.
        metered: By the id of a field: what meters gave; taken if it covers the whole year, and else remarked.
    """
    stated, estimated = _stated(study), _estimated(study)
    measured = with_ratios(metered or {})
    return [_filled(field, stated, estimated, measured) for field in register.fields]


def with_ratios(metered: Mapping[str, Metered]) -> dict[str, Metered]:
    """Meters' values and the figures of merit that follow from them alone."""
    found = dict(metered)
    total, it = metered.get("electricity_total"), metered.get("electricity_it")
    for figure, above, below, factor in (
        ("pue", total, it, 1.0),
        ("erf", metered.get("heat_reused"), total, 100.0),
        ("wue", metered.get("water_withdrawn"), it, 1000.0),
    ):
        if above and below and below.value > 0:
            found[figure] = Metered(factor * above.value / below.value, min(above.coverage, below.coverage))
    return found


def concerned(register: Register, study: Study) -> bool:
    """Whether the site is large enough for a register."""
    site = study.site
    return (
        site.electricity.connection / 1000 >= register.least_connection_kw
        and site.fleet().full_watts / 1000 >= register.least_it_kw
    )


def runs_since(study: Study, year: int) -> date | None:
    """When operation began, if that was within a year or after it.

    Article 3 (1) of Delegated Regulation (EU) 2024/1364: such a data centre reports only the period since then, and
    says which it is. EnEfG, Anlage 3, no. 2 asks for the last whole calendar year.
    """
    start = study.site.operator.in_operation_since
    return start if start is not None and start > date(year, 1, 1) else None


def _filled(
    field: RegisterField, stated: Mapping[str, Any], estimated: Mapping[str, float], metered: Mapping[str, Metered]
) -> Filled:
    reading = metered.get(field.id)
    remark = ""
    if reading is not None:
        if reading.coverage >= WHOLE:
            return Filled(field, reading.value, Basis.MEASURED)
        remark = f"the meter covers {reading.coverage:.1%} of the year: not used"
    if stated.get(field.id) not in {None, ""}:
        return Filled(field, stated[field.id], Basis.STATED, remark)
    if field.id in estimated:
        return Filled(field, estimated[field.id], Basis.ESTIMATED, remark)
    return Filled(field, None, Basis.GAP, remark or "not in the site file, and nothing measures it")


def _stated(study: Study) -> dict[str, Any]:
    site = study.site
    operator = site.operator
    it = site.fleet().full_watts / 1000
    return {
        "site_name": operator.site_name,
        "owner": operator.owner,
        "operator": operator.operator,
        "postcode": operator.postcode,
        "floor_area": operator.floor_area,
        "in_operation_since": str(operator.in_operation_since or ""),
        "size_class": next((name for top, name in _CLASSES if it < top), ">= 100 MW"),
        "it_power": it,
        "connection": site.electricity.connection / 1000,
        **operator.stated,
    }


def _estimated(study: Study) -> dict[str, float]:
    summary, hourly, power = study.summary, study.hourly, study.site.electricity
    own = power.own_generation / 3.6e6
    core = summary.electricity - summary.upgrade
    renewable = power.renewable * core
    return {
        "electricity_total": core,
        "electricity_bought": max(core - own, 0.0),
        "electricity_fed_back": max(own - core, 0.0),
        "electricity_it": summary.it,
        "ref": 100 * summary.ref,
        "pue": summary.pue,
        "erf": 100 * summary.erf,
        "cer": summary.cer,
        "wue": summary.wue_withdrawn,
        "heat_air": summary.to_air,
        "heat_air_temperature": _weighed(hourly["air"] + study.site.cooling.dry_cooler.air_rise, hourly["to_air"]),
        "heat_water": summary.to_river,
        "heat_water_temperature": _weighed(hourly["river"] + study.site.cooling.river.rise, hourly["to_river"]),
        "heat_ground": summary.to_ground,
        "heat_ground_temperature": _weighed(
            (hourly["network_flow"] + study.site.heat.network.back) / 2, hourly["to_ground"]
        ),
        "heat_delivered": summary.to_customers,
        "heat_delivered_temperature": _weighed(hourly["network_flow"], hourly["to_customers"]),
        "heat_reused": summary.source_heat,
        "heat_reused_temperature": float(np.mean(hourly["loop_back"])),
        "water_withdrawn": summary.withdrawn + summary.consumed,
        "water_potable": summary.consumed,
        "cooling_degree_days": cooling_degree_days(hourly["air"]),
        "renewable_total": renewable,
        "renewable_own": min(own, core),
    }


def cooling_degree_days(celsius: Floats) -> float:
    """Cooling degree days of a year after Eurostat, K·d.

    Args:
        celsius: Outdoor temperature by the hour; shape (hours,).
    """
    days = celsius.reshape(-1, 24).mean(axis=1)
    return float((days - _COMFORT)[days >= _WARM_DAY].sum())


def _weighed(celsius: Floats, watts: Floats) -> float:
    weights = np.maximum(watts, 0.0)
    return float(np.average(celsius, weights=weights)) if weights.sum() > 0 else float("nan")
