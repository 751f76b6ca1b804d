"""A monthly statement as CSV and as JSON."""

import csv
import io
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from kifabrik.customer.monthly import MonthlyStatement, Sums

MJ_PER_KWH: Final = 3_600_000_000
_MS_PER_HOUR: Final = 3_600_000
_PER_MILLION: Final = 1_000_000

COLUMNS: Final[dict[str, Callable[[Sums], float | int]]] = {
    "attempts": lambda one: one.attempts,
    "gpu_hours": lambda one: one.gpu_ms / _MS_PER_HOUR,
    "cpu_hours": lambda one: one.cpu_ms / _MS_PER_HOUR,
    "eur": lambda one: one.cost_micro_eur / _PER_MILLION,
    "energy_kwh": lambda one: one.energy_mj / MJ_PER_KWH,
    "energy_measured_kwh": lambda one: one.measured_mj / MJ_PER_KWH,
    "energy_with_overhead_kwh": lambda one: one.drawn_mj / MJ_PER_KWH,
    "heat_handed_on_kwh": lambda one: one.heat_mj / MJ_PER_KWH,
    "water_withdrawn_l": lambda one: one.withdrawn_ml / 1000,
    "water_consumed_l": lambda one: one.consumed_ml / 1000,
    "co2e_location_kg": lambda one: one.carbon_mg / _PER_MILLION,
    "co2e_market_kg": lambda one: one.market_mg / _PER_MILLION,
    "uncertainty_percent": lambda one: one.uncertain_percent,
    "attempts_without_factors": lambda one: one.unstated,
    "attempts_without_market_factor": lambda one: one.without_market,
}
"""Figures of a line, in the units their names say."""


def as_csv(found: MonthlyStatement) -> str:
    """One row for each order, and the total last."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["month", "job", "run", "runs", *COLUMNS])
    for line in found.lines:
        rows.writerow([found.month, line.name, line.run, line.runs, *cells(line.sums)])
    rows.writerow([found.month, "total", "", sum(line.runs for line in found.lines), *cells(found.total)])
    return text.getvalue()


def as_json(found: MonthlyStatement) -> dict[str, Any]:
    """All of it; exact whole amounts stand beside the figures people read."""
    return {
        "version": 1,
        "tenant": found.tenant,
        "month": found.month,
        "log": {"size": found.log_size, "root": found.log_root},
        "lines": [
            {
                "job": line.name,
                "run": line.run,
                "runs": line.runs,
                **_figures(line.sums),
                "exact": asdict(line.sums),
            }
            for line in found.lines
        ],
        "total": {**_figures(found.total), "exact": asdict(found.total)},
        "without_footprint": list(found.without),
        "site_factors": [asdict(site) for site in found.sites],
    }


def cells(sums: Sums) -> list[str]:
    """The figures as cells of a table: never in powers of ten, which not every program reads."""
    return [
        str(value) if isinstance(value, int) else f"{value:.9f}".rstrip("0").rstrip(".")
        for value in _figures(sums).values()
    ]


def _figures(sums: Sums) -> dict[str, float | int]:
    return {name: round(value, 9) for name, value in ((name, of(sums)) for name, of in COLUMNS.items())}
