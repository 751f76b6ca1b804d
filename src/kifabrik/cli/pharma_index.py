"""`kifabrik pharma index`."""

from pathlib import Path

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.pharma_library import library_of, library_options
from kifabrik.cli.pharma_running import workers_option
from kifabrik.cli.terminal import done, show_json, warn


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma index library.smi.gz --out library.index
      kifabrik pharma index library.parquet --out library.index --substructure
      kifabrik pharma index library.csv --smiles-column Structure --out library.index
    """
)
@click.argument("library", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the index.")
@click.option("--substructure", is_flag=True, help="Also make what quickens substructure search.")
@library_options
@workers_option
@json_option
def index(
    library: Path,
    out: Path,
    substructure: bool,
    smiles_column: str,
    id_column: str,
    workers: int,
    *,
    as_json: bool,
) -> None:
    """Make an index of LIBRARY (.smi, .csv, .tsv, each also .gz; .parquet) to search.

    Rows that cannot be read are left out; rejects.csv in the index says why.
    """
    from kifabrik.recipes.pharma.index import build  # noqa: PLC0415 - slow to import

    file = library_of(library, smiles_column, id_column)
    with counting("molecules", file.count(), quiet=as_json) as progress:
        header = build(file, out, workers=workers, patterns=substructure, progress=progress)
    if as_json:
        show_json({"index": str(out), "molecules": header.molecules, "rejected": header.rejected})
        return
    done(f"{header.molecules:,} molecules: {out}")
    if header.rejected:
        warn(f"{header.rejected:,} rows could not be read; {out / 'rejects.csv'} says why.")
