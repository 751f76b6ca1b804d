"""`kifabrik pharma report`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import remark, show_json


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma report model
      kifabrik pharma report model --json
    """
)
@click.argument("model", type=click.Path(path_type=Path, file_okay=False))
@json_option
def report(model: Path, *, as_json: bool) -> None:
    """Write the report of MODEL, which `evaluate` has judged: report.html and card.md in its folder."""
    from kifabrik.recipes.pharma.card import write_card  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.evaluated import load_evaluation  # noqa: PLC0415
    from kifabrik.recipes.pharma.model import load  # noqa: PLC0415
    from kifabrik.recipes.pharma.report import write_report  # noqa: PLC0415

    trained = load(model)
    evaluation = load_evaluation(model)
    page = write_report(trained, evaluation, model)
    card = write_card(trained, evaluation, model)
    if as_json:
        show_json({"report": str(page), "card": str(card)})
        return
    remark(f"Report: {page}")
    remark(f"Model card: {card}")
