"""`kifabrik pharma report`."""

from pathlib import Path
from typing import Literal

import click

from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.terminal import remark, show_json


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma report model
      kifabrik pharma report model --language de
    """
)
@click.argument("model", type=click.Path(path_type=Path, file_okay=False))
@language_option("Language of the report and the card, and how numbers are written.")
@json_option
def report(model: Path, language: Literal["de", "en"], *, as_json: bool) -> None:
    """Write the report of MODEL, which `evaluate` has judged: report.html and card.md in its folder."""
    from kifabrik.recipes.pharma.card import write_card  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.evaluated import load_evaluation  # noqa: PLC0415
    from kifabrik.recipes.pharma.model import load  # noqa: PLC0415
    from kifabrik.recipes.pharma.report import write_report  # noqa: PLC0415

    trained = load(model)
    evaluation = load_evaluation(model)
    page = write_report(trained, evaluation, model, language=language)
    card = write_card(trained, evaluation, model, language=language)
    if as_json:
        show_json({"report": str(page), "card": str(card)})
        return
    remark(f"Report: {page}")
    remark(f"Model card: {card}")
