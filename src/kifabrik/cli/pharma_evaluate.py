"""`kifabrik pharma evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.pharma_running import cache_option, counting, show_figure, show_interval, workers_option
from kifabrik.cli.terminal import remark, show_json, show_table

if TYPE_CHECKING:
    from kifabrik.recipes.pharma.evaluating import Evaluation


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma evaluate model split
      kifabrik pharma evaluate model split --json
    """
)
@click.argument("model", type=click.Path(path_type=Path, file_okay=False))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of resampling.")
@cache_option
@workers_option
@json_option
def evaluate(model: Path, folder: Path, seed: int, cache: Path | None, workers: int, *, as_json: bool) -> None:
    """Judge MODEL on the test data in FOLDER, which `split` wrote; the result is kept beside the model."""
    from kifabrik.recipes.pharma.baselines import Baseline  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.evaluated import save_evaluation  # noqa: PLC0415
    from kifabrik.recipes.pharma.evaluating import evaluate as judge  # noqa: PLC0415
    from kifabrik.recipes.pharma.model import load  # noqa: PLC0415
    from kifabrik.recipes.pharma.sides import load_split  # noqa: PLC0415

    trained, sides = load(model), load_split(folder)
    with counting("models", 1 + len(Baseline), quiet=as_json) as progress:
        found = judge(trained, sides.train, sides.test, seed=seed, workers=workers, cache=cache, progress=progress)
    save_evaluation(found, sides, model)
    if as_json:
        show_json({"model": str(model), "endpoint": trained.endpoint.name, **found.plain()})
        return
    _show(found, trained.level)
    remark(f"Kept in {model}; the report for chemists: kifabrik pharma report {model}")


def _show(found: "Evaluation", level: float) -> None:
    names = list(found.measures)
    columns = ["MEASURE", f"MODEL, {found.count} TEST COMPOUNDS", f"IN DOMAIN, {found.inside}"]
    columns += [which.value.upper().replace(" ON MORGAN", "") for which in found.baselines]
    rows = [
        (
            name.value,
            show_interval(found.measures[name]),
            show_figure(found.in_domain[name].value) if found.in_domain else "-",
            *(show_figure(measures[name].value) for measures in found.baselines.values()),
        )
        for name in names
    ]
    show_table(columns, rows, right=tuple(range(1, len(columns))))
    click.echo()
    is_class = found.covered is None
    bins = [
        (
            f"{one.low:.1f} to {one.high:.1f}",
            one.count,
            show_figure(one.error),
            *(() if one.covered is None else (f"{one.covered:.0%}",)),
        )
        for one in found.bins
    ]
    error = "WRONG" if is_class else "MEAN ERROR"
    show_table(["SIMILARITY TO NEAREST", "TEST", error, *([] if is_class else ["COVERED"])], bins, right=(1, 2, 3))
    if found.covered is not None:
        remark(f"Intervals promise {level:.0%} and cover {found.covered:.1%} of the test data.")
    if found.cliffs.compounds:
        remark(
            f"Activity cliffs: {found.cliffs.compounds} test compounds; error {found.cliffs.error:.3f}, "
            f"elsewhere {found.cliffs.other_error:.3f}."
        )
