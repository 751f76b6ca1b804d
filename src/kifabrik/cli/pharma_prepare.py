"""`kifabrik pharma prepare`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.pharma_running import workers_option
from kifabrik.cli.terminal import remark, show_json, show_table, warn

if TYPE_CHECKING:
    from kifabrik.recipes.pharma.preparing import Prepared


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma prepare herg.csv --out prepared
      kifabrik pharma prepare a.csv.gz b.sdf --endpoint IC50 --unit IC50=nM --active 'IC50<1000' --out prepared
    """
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the result."
)
@click.option("--endpoint", "endpoints", multiple=True, help="Column of measurements; once for each.")
@click.option("--smiles-column", default="", help="Column of structures. [the one usually called so]")
@click.option("--id-column", default="", help="Column of names. [the one usually called so]")
@click.option("--unit", "units", multiple=True, metavar="ENDPOINT=UNIT", help="Unit to come to. [the most common]")
@click.option(
    "--active", "limits", multiple=True, metavar="ENDPOINT<VALUE", help="Make classes: 1 on this side of the value."
)
@click.option(
    "--censored",
    type=click.Choice(["keep", "drop"]),
    default="keep",
    show_default=True,
    help="What becomes of <10: kept as a bound, which train takes as it is told, or left out.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Most that replicates may differ; for concentrations, decades.",
)
@click.option(
    "--decimal", type=click.Choice(["point", "comma"]), help="What stands before decimals. [as the columns show]"
)
@click.option("--tautomers", is_flag=True, help="Choose one tautomer for all; ten times slower.")
@click.option(
    "--keep",
    "kept",
    type=click.Choice(["salts", "charges"]),
    multiple=True,
    help="Let models see it; compounds that differ in it stay the same compound.",
)
@click.option("--most-atoms", type=click.IntRange(min=1), default=150, show_default=True, help="Heavy atoms.")
@workers_option
@json_option
def prepare(
    files: tuple[Path, ...],
    out: Path,
    endpoints: tuple[str, ...],
    smiles_column: str,
    id_column: str,
    units: tuple[str, ...],
    limits: tuple[str, ...],
    censored: str,
    tolerance: float | None,
    decimal: str | None,
    *,
    tautomers: bool,
    kept: tuple[str, ...],
    most_atoms: int,
    workers: int,
    as_json: bool,
) -> None:
    """Make one row of each compound in FILES (CSV, SDF or SMILES; .gz): cleaned up, deduplicated, in one unit.

    What is left out stands in rejects.csv, with the reason.
    """
    from kifabrik.recipes.pharma.endpoints import Censored, limit_of  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.measuring import Wishes  # noqa: PLC0415
    from kifabrik.recipes.pharma.molecules import Standardiser  # noqa: PLC0415
    from kifabrik.recipes.pharma.numbers import Decimal  # noqa: PLC0415
    from kifabrik.recipes.pharma.prepared import save_prepared  # noqa: PLC0415
    from kifabrik.recipes.pharma.preparing import prepare as make  # noqa: PLC0415
    from kifabrik.recipes.pharma.units import units_wished  # noqa: PLC0415

    wishes = Wishes(
        endpoints=endpoints,
        smiles_column=smiles_column,
        id_column=id_column,
        units=units_wished(units),
        limits=tuple(limit_of(text) for text in limits),
        censored=Censored(censored),
        tolerance=tolerance,
        decimal=Decimal(decimal) if decimal else Decimal.UNKNOWN,
    )
    standardiser = Standardiser(
        tautomers=tautomers, most_atoms=most_atoms, salts="salts" in kept, charges="charges" in kept
    )
    with counting("structures", None, quiet=as_json) as progress:
        made = make(files, wishes, standardiser, workers=workers, progress=progress)
    save_prepared(made, files, out, standardiser)
    if as_json:
        show_json({**_plain(made), "folder": str(out)})
    else:
        _show(made, out)


def _plain(made: "Prepared") -> dict[str, Any]:
    from kifabrik.recipes.pharma.piles import piles_at  # noqa: PLC0415 - slow to import

    return {
        "rows": made.rows,
        "compounds": len(made.compounds),
        "endpoints": [
            {
                "name": one.name,
                "kind": one.kind.value,
                "unit": one.unit,
                "compounds": len(made.compounds.measured(one.name)),
                "bounds": made.bounds_kept[one.name],
                "bounds_left_out": made.bounds[one.name],
                "piles": [pile.plain() for pile in piles_at(made.compounds, one)],
            }
            for one in made.endpoints
        ],
        "rejects": Counter(one.reason.value for one in made.rejects),
    }


def _show(made: "Prepared", out: Path) -> None:
    from kifabrik.recipes.pharma.numbers import Relation  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.piles import piles_at  # noqa: PLC0415
    from kifabrik.recipes.pharma.prepared import COMPOUNDS, REJECTS  # noqa: PLC0415

    measured = {one.name: len(made.compounds.measured(one.name)) for one in made.endpoints}
    show_table(
        ["ENDPOINT", "KIND", "UNIT", "COMPOUNDS", "BOUNDS"],
        [
            (one.name, one.kind.value, one.says or one.unit or "-", measured[one.name], made.bounds_kept[one.name])
            for one in made.endpoints
        ],
        right=(3, 4),
    )
    remark(f"{made.rows:,} rows, {len(made.compounds):,} compounds: {out / COMPOUNDS}")
    for reason, count in Counter(one.reason.value for one in made.rejects).most_common():
        remark(f"  left out {count:,}: {reason}")
    if made.rejects:
        remark(f"Each of them with its reason: {out / REJECTS}")
    for one in made.endpoints:
        for pile in piles_at(made.compounds, one):
            end = "low" if pile.side is Relation.BELOW else "high"
            warn(
                f"{pile.count:,} of {measured[one.name]:,} compounds have {one.name} = {pile.value:g}, "
                f"at the {end} end: if that is a limit of the assay, write it as {pile.side.value}{pile.value:g}, "
                "and models learn from it as a bound; as it is, they take it as measured."
            )
