"""`kifabrik supply-chain gather`."""

from pathlib import Path
from typing import Literal

import click

from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.supply_chain_run import conclude_study
from kifabrik.cli.supply_chain_study import workers_option


@click.command(
    epilog="""\b
    Examples:
      kifabrik supply-chain gather pumps-part-* --out pumps-results
    """
)
@click.argument("parts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where results go.")
@language_option("Of the report.")
@click.option(
    "--critical",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Name so many most critical nodes: each fails for two weeks. 0: none.",
)
@workers_option
@json_option
def gather(
    parts: tuple[Path, ...],
    out: Path,
    language: Literal["de", "en"],
    critical: int,
    workers: int | None,
    as_json: bool,
) -> None:
    """Make one study of its PARTS, the folders that `run --part` wrote, in any order.

    The figures are, bit for bit, those of the same study in one piece.
    """
    from kifabrik.recipes.supply_chain import spreading  # noqa: PLC0415 - slow to import

    results = spreading.gather([spreading.load_part(part) for part in parts])
    conclude_study(results, out, critical, language, workers=workers, as_json=as_json)
