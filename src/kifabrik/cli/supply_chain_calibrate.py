"""`kifabrik supply-chain calibrate`."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.supply_chain_study import plain_values, show_number, show_p
from kifabrik.cli.terminal import remark, show_json, show_table, warn
from kifabrik.errors import UsageError

if TYPE_CHECKING:
    from kifabrik.recipes.supply_chain.calibrating import Calibration


@click.command(
    epilog="""\b
    Examples:
      kifabrik supply-chain calibrate sales.csv
      kifabrik supply-chain calibrate sales.csv --plots plots/ --tables fitted/
      kifabrik supply-chain calibrate sales.parquet --plots plots/ --json > fits.json
    """
)
@click.argument("history", type=click.Path(path_type=Path))
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Folder for a drawing of each fit.")
@click.option(
    "--tables",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for a table demand.csv with what was fitted.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the bootstrap.")
@json_option
def calibrate(history: Path, plots: Path | None, tables: Path | None, seed: int, as_json: bool) -> None:
    """Fit demand or lead times to HISTORY, a CSV, Parquet or XLSX file.

    Columns: product, site, date or period, quantity (Artikel, Werk, Datum, Menge); or lane, lead_time. Decimal
    commas, 31.12.2026, semicolons and the letters of Windows are read. Days that are all Mondays stand for weeks,
    firsts of months for months. The family is chosen by AIC. P is the chance that a true family lies farther from
    its history, by Kolmogorov's distance; P χ² the same, of whole numbers, by how often classes of them were seen
    (chi-square); both by parametric bootstrap. What fits no family (one of them below 0.01) is kept as it was seen.
    """
    from kifabrik.recipes.supply_chain.calibrating import (  # noqa: PLC0415 - slow to import
        calibrate_past,
        draw_fit,
        too_short,
    )
    from kifabrik.recipes.supply_chain.past import read_past  # noqa: PLC0415

    past = read_past(history)
    with counting("fitting", len(past.series), quiet=as_json) as progress:
        found = calibrate_past(past, seed=seed, name=history.name, progress=progress)
    remarks = (*past.remarks, *too_short(past, found))
    if tables:
        _write_tables(found, tables)
    if plots:
        plots.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(found, 1):
            draw_fit(one, plots / f"{number:04d}.svg")
    if as_json:
        show_json({"series": [_document(one) for one in found], "remarks": list(remarks)})
        return
    rows = [_row(one) for one in found]
    columns = ["SERIES", "SEEN", "CLASS", "FAMILY", "MEAN", "SD", "P", "P χ²", "SEASON"]
    show_table(columns, rows, right=(1, 4, 5, 6, 7))
    for sentence in remarks:
        warn(sentence)
    doubtful = [one.series.name for one in found if one.fit.is_doubtful]
    if doubtful:
        warn(f"No family fits {', '.join(doubtful[:5])}: kept as seen.")
    if plots:
        remark(f"{len(found)} {'drawing' if len(found) == 1 else 'drawings'} in {plots}, in this order.")
    if tables:
        remark(
            f"Demand as a table: {tables / 'demand.csv'}. Period 0 must be a Monday or 1 January for its seasons."
        )


def _write_tables(found: tuple["Calibration", ...], folder: Path) -> None:
    from kifabrik.recipes.supply_chain.calibrating import demand_rows  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.supply_chain.tables.write import write_csvs  # noqa: PLC0415

    rows = demand_rows(found)
    if not rows:
        raise UsageError(
            "There is no demand in this history to write.", hint="It has lead times; leave out --tables."
        )
    write_csvs({"demand": rows}, folder)


def _row(one: "Calibration") -> tuple[str, ...]:
    fitted = one.fit
    return (
        one.series.name,
        str(fitted.seen),
        fitted.pattern.value,
        fitted.distribution.kind.value,
        show_number(fitted.distribution.expected()),
        show_number(fitted.distribution.deviation()),
        show_p(fitted.p_value),
        "-" if isnan(fitted.chi_square_p) else show_p(fitted.chi_square_p),
        one.season or "-",
    )


def _document(one: "Calibration") -> dict[str, object]:
    return {
        "name": one.series.name,
        "factors": list(one.factors),
        "season": one.season,
        "season_p": one.season_p,
        "period": one.series.step.value,
        "fit": plain_values(one.fit),
    }
