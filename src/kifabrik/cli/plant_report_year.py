"""`kifabrik plant report year`."""

from pathlib import Path
from typing import Literal

import click

from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.terminal import clock, remark, show_json


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant report year results
      kifabrik plant report year results --language de
    """
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@language_option("Of the HTML.")
@json_option
def year(folder: Path, language: Literal["de", "en"], *, as_json: bool) -> None:
    """Write the report of the year in FOLDER: one HTML file, and one page of PDF in German."""
    from kifabrik.plant.report import write_report, write_sheet  # noqa: PLC0415 - slow to import
    from kifabrik.plant.saving import load  # noqa: PLC0415

    with clock("Drawing the report"):
        study = load(folder)
        page, sheet = write_report(study, folder, language), write_sheet(study, folder)
    if as_json:
        show_json({"report": str(page), "sheet": str(sheet)})
        return
    remark(f"Report: {page}")
    remark(f"One page: {sheet}")
