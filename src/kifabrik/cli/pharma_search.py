"""`kifabrik pharma search`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.pharma_library import library_of, library_options
from kifabrik.cli.pharma_running import workers_option
from kifabrik.cli.terminal import done, remark, show_json, show_table
from kifabrik.errors import UsageError

if TYPE_CHECKING:
    from kifabrik.recipes.pharma.searching import Found

_SHOWN = 20
_STRUCTURE_SHOWN = 34


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma search library.index "CC(=O)Oc1ccccc1C(=O)O"
      kifabrik pharma search library.index --queries leads.smi --threshold 0.6 --out near.csv
      kifabrik pharma search library.index "c1ccncc1CN" --tversky 0.9 0.1 --most 50
      kifabrik pharma search library.index "[#7]1~[#6]~[#6]~[#7]~[#6]~[#6]1" --substructure
    """
)
@click.argument("index", type=click.Path(path_type=Path, file_okay=False))
@click.argument("query", required=False)
@click.option("--queries", type=click.Path(path_type=Path, dir_okay=False), help="File of queries instead of one.")
@click.option("--most", type=click.IntRange(min=1), help="Hits of each query. [10; with --threshold, all]")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Least similarity of a hit.")
@click.option(
    "--tversky",
    type=click.FloatRange(min=0),
    nargs=2,
    metavar="A B",
    help="Weigh what only the query has by A, what only the molecule has by B. [Tanimoto: 1 1]",
)
@click.option("--substructure", is_flag=True, help="QUERY is SMARTS that hits must contain.")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="cuda: by torch on a GPU; worth it for thousands of queries. Hits are the same.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="CSV file for all hits.")
@library_options
@workers_option
@json_option
def search(
    index: Path,
    query: str | None,
    queries: Path | None,
    most: int | None,
    threshold: float | None,
    tversky: tuple[float, float] | None,
    substructure: bool,
    device: str,
    out: Path | None,
    smiles_column: str,
    id_column: str,
    workers: int,
    *,
    as_json: bool,
) -> None:
    """Find molecules in INDEX like QUERY (SMILES), or that contain it.

    Similarity is Tanimoto's on Morgan fingerprints (radius 2, 2,048 bits), as RDKit computes it.
    """
    if (query is None) == (queries is None):
        raise UsageError("There must be one query, or a file of them.", hint="Give QUERY or --queries FILE.")
    if substructure and (queries or tversky or threshold is not None or device != "cpu"):
        raise UsageError(
            "A substructure is there or not: --queries, --tversky, --threshold and --device do not go with it.",
            hint="Leave them out, or leave --substructure out.",
        )
    from kifabrik.recipes.pharma.index import open_index  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.search import TANIMOTO  # noqa: PLC0415
    from kifabrik.recipes.pharma.searching import containing, like, write  # noqa: PLC0415
    from kifabrik.recipes.pharma.torch_search import Device  # noqa: PLC0415

    opened = open_index(index)
    if substructure:
        if opened.patterns is None and not as_json:
            remark("The index was made without --substructure: each molecule is looked at.")
        with counting("molecules", opened.header.molecules, quiet=as_json) as progress:
            found = containing(opened, query or "", most=most, workers=workers, progress=progress)
    else:
        file = library_of(queries, smiles_column, id_column) if queries else None
        found = like(
            opened,
            file or query or "",
            most=most if most or threshold is not None else 10,
            threshold=threshold or 0.0,
            weights=tversky or TANIMOTO,
            workers=workers,
            device=None if device == "cpu" else Device(device),
        )
    if out:
        write(found, out)
    if as_json:
        show_json(_as_json(found))
        return
    _show(found, whole=out is None)
    if out:
        done(f"{len(found.hits):,} hits: {out}")


def _as_json(found: "Found") -> dict[str, Any]:
    names = ("query", "rank", "id", "smiles", "similarity", "row")
    return {
        "unread_queries": list(found.unread),
        "hits": [dict(zip(names, hit, strict=True)) for hit in found.hits],
    }


def _show(found: "Found", *, whole: bool) -> None:
    for name in found.unread[:5]:
        remark(f"RDKit cannot read the query {name}; it has no hits.")
    rows = [
        [hit[0], hit[1], "-" if hit[4] is None else f"{hit[4]:.3f}", hit[2], _short(hit[3])]
        for hit in found.hits[:_SHOWN]
    ]
    if rows:
        show_table(("query", "rank", "similarity", "id", "smiles"), rows, right=(1, 2))
    else:
        remark("No hits.")
    if len(found.hits) > _SHOWN:
        more = f"{len(found.hits) - _SHOWN:,} further hits"
        remark(f"{more}; --out FILE or --json has them all." if whole else f"{more} are in the file.")


def _short(smiles: str) -> str:
    return smiles if len(smiles) <= _STRUCTURE_SHOWN else f"{smiles[: _STRUCTURE_SHOWN - 1]}…"
