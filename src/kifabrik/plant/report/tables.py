"""The tables of a report: rows of words and numbers."""

import re
from typing import Final

from kifabrik.plant.courses import NO_TABLE, NONE_NAMED
from kifabrik.plant.report.words import Speaker
from kifabrik.plant.studies import Study
from kifabrik.plant.tariffs import CONSTANT, NOT_FOUND

Row = tuple[str, str]
_FINEST: Final = 0.001
"""Per cent; what is nearer is said to be so near."""


_CONSTANT_LOAD: Final = re.compile(r"constant:([\d.]+)")
_DAILY_LOAD: Final = re.compile(r"daily:([\d.]+)-([\d.]+)")


def load_words(load: str, say: Speaker) -> str:
    """A load as `plant run --load` names it, in words; a file or a trace keeps its name."""
    if found := _CONSTANT_LOAD.fullmatch(load):
        return say("constant_load", share=say.plain(100 * float(found[1])))
    if found := _DAILY_LOAD.fullmatch(load):
        low, high = (say.plain(100 * float(one)) for one in found.groups())
        return say("daily_load", low=low, high=high)
    return load


def source_words(source: str, say: Speaker) -> str:
    """Where a course came from, in words; a table keeps its name."""
    return (
        say({NONE_NAMED: "none_named", NO_TABLE: "no_table"}[source])
        if source in {NONE_NAMED, NO_TABLE}
        else source
    )


def merit_rows(study: Study, say: Speaker) -> list[Row]:
    """Figures of merit."""
    summary = study.summary
    return [
        (say("pue"), say.number(summary.pue, 3)),
        (say("pue_all"), say.number(summary.pue_all, 3)),
        (say("erf"), say.with_unit(100 * summary.erf, 1, "%")),
        (say("ref"), say.with_unit(100 * summary.ref, 1, "%")),
        (say("cer"), say.number(summary.cer, 1)),
        (say("cue_location"), say.with_unit(summary.cue_location, 3, "kg/kWh")),
        (say("cue_market"), say.with_unit(summary.cue_market, 3, "kg/kWh")),
        (say("wue_withdrawn"), say.with_unit(summary.wue_withdrawn, 1, "l/kWh")),
        (say("wue_consumed"), say.with_unit(summary.wue_consumed, 5, "l/kWh")),
    ]


def balance_rows(study: Study, say: Speaker) -> list[tuple[str, str, str, str]]:
    """Electricity in and heat out, side by side."""
    summary = study.summary
    core = summary.electricity - summary.upgrade
    rest = summary.to_ground + summary.to_store
    return [
        (say("it"), say.energy(summary.it), say("to_river"), say.energy(summary.to_river)),
        (say("other"), say.energy(core - summary.it), say("to_air"), say.energy(summary.to_air)),
        (say("upgrade"), say.energy(summary.upgrade), say("to_customers"), say.energy(summary.to_customers)),
        ("", "", say("to_ground"), say.energy(rest)),
        (
            say("all"),
            say.energy(summary.electricity),
            say("all"),
            say.energy(summary.to_river + summary.to_air + summary.to_customers + rest),
        ),
    ]


def place_rows(study: Study, say: Speaker) -> list[Row]:
    """River, heat and money."""
    summary, number = study.summary, say.number
    return [
        (say("warming"), f"{number(summary.river_warming_mean, 2)} / {number(summary.river_warming_most, 2)} K"),
        (say("warmest"), f"{number(summary.river_alone_highest)} / {number(summary.river_highest)} °C"),
        (say("limit_hours"), say.with_unit(summary.limit_hours, 0, "h")),
        (say("forbidden"), say.with_unit(summary.forbidden_hours, 0, "h")),
        (say("fallback"), f"{number(summary.dry_hours, 0)} / {number(summary.chiller_hours, 0)} h"),
        (say("cut"), f"{number(summary.curtailed_hours, 0)} h, {say.energy(summary.curtailed)}"),
        (say("demand"), f"{say.energy(summary.demand)} / {say.energy(summary.to_customers)}"),
        (say("covered"), say.with_unit(100 * summary.covered, 1, "%")),
        (say("cop"), number(summary.heat_pump_cop, 2)),
        (say("water_withdrawn"), say.with_unit(summary.withdrawn / 1e6, 2, f"{say('million')} m³")),
        (say("water_consumed"), say.with_unit(summary.consumed, 0, "m³")),
        (
            say("carbon"),
            f"{number(summary.carbon_location / 1000, 0)} / {number(summary.carbon_market / 1000, 0)} t",
        ),
        (say("cost"), say.with_unit(summary.cost / 1e6, 2, f"{say('million')} €")),
        (say("revenue"), say.with_unit(summary.heat_revenue / 1e6, 2, f"{say('million')} €")),
    ]


def closing(study: Study, say: Speaker) -> str:
    """Whether the balance closes."""
    error = f"{say.number(max(100 * abs(study.summary.balance), _FINEST), 3)} %"
    return say("closes" if study.summary.closed else "open", error=error)


def origins(study: Study, say: Speaker) -> list[str]:
    """Where the inputs came from, and what is estimated."""
    river, weather = (source_words(one, say) for one in (study.river_source, study.weather_source))
    told = [say("simulated"), say("from_tables", river=river, weather=weather)]
    if not study.measured:
        told.append(say("estimated"))
    if any(source != CONSTANT for source in study.tariff_sources):
        said = {CONSTANT: say("constant"), NOT_FOUND: say("not_found")}
        price, location, market = (said.get(source, source) for source in study.tariff_sources)
        told.append(say("tariff", price=price, location=location, market=market))
    if study.bridged:
        told.append(say("bridged", days=study.bridged))
    return told
