"""`kifabrik supply-chain report`."""

from pathlib import Path
from typing import Literal

import click

from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.terminal import remark, show_json


@click.command(
    epilog="""\b
    Examples:
      kifabrik supply-chain report results
      kifabrik supply-chain report results --language de
    """
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@language_option("Language of the report, and how numbers are written.")
@json_option
def report(folder: Path, language: Literal["de", "en"], *, as_json: bool) -> None:
    """Write the report of the results in FOLDER, as one HTML file in it."""
    from kifabrik.recipes.supply_chain.report import write_report  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.supply_chain.saving import load_study  # noqa: PLC0415

    study = load_study(folder)
    path = write_report(
        study.results,
        folder,
        language=language,
        outages=study.outages,
        critical=study.critical,
        frontier=study.frontier,
    )
    if as_json:
        show_json({"report": str(path)})
        return
    remark(f"Report: {path}")
