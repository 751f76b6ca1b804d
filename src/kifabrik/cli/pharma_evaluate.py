"""`kifabrik pharma evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.pharma_running import cache_option, show_figure, workers_option
from kifabrik.cli.terminal import remark, show_json, show_table

if TYPE_CHECKING:
    from kifabrik.recipes.pharma.evaluating import Evaluation
    from kifabrik.recipes.pharma.learning import Step


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
@click.option("--learning-curve", is_flag=True, help="Also train with an eighth, a quarter and half of the data.")
@cache_option
@workers_option
@json_option
def evaluate(
    model: Path,
    folder: Path,
    seed: int,
    cache: Path | None,
    workers: int,
    *,
    learning_curve: bool,
    as_json: bool,
) -> None:
    """Judge MODEL on the test data in FOLDER, which `split` wrote; the result is kept beside the model."""
    from kifabrik.recipes.pharma.baselines import Baseline  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.evaluated import save_evaluation  # noqa: PLC0415
    from kifabrik.recipes.pharma.evaluating import evaluate as judge  # noqa: PLC0415
    from kifabrik.recipes.pharma.learning import PARTS  # noqa: PLC0415
    from kifabrik.recipes.pharma.learning import learning_curve as curve  # noqa: PLC0415
    from kifabrik.recipes.pharma.model import load  # noqa: PLC0415
    from kifabrik.recipes.pharma.sides import load_split  # noqa: PLC0415

    trained, sides = load(model), load_split(folder)
    with counting("models", 1 + len(Baseline), quiet=as_json) as progress:
        found = judge(trained, sides.train, sides.test, seed=seed, workers=workers, cache=cache, progress=progress)
    steps: Sequence[Step] = ()
    if learning_curve:
        with counting("learning curve", len(PARTS), quiet=as_json) as progress:
            steps = curve(
                trained, sides.train, sides.test, seed=seed, workers=workers, cache=cache, progress=progress
            )
    save_evaluation(found, sides, model, learning=steps)
    if as_json:
        show_json({"model": str(model), "endpoint": trained.endpoint.name, **found.plain()})
        return
    _show(found, trained.level)
    for step in steps:
        remark(f"Trained with {step.compounds:,} compounds: {step.value:.3f}")
    remark(f"Kept in {model}; the report for chemists: kifabrik pharma report {model}")


def _show(found: "Evaluation", level: float) -> None:
    from kifabrik.recipes.pharma.evaluating import FAR, is_short  # noqa: PLC0415 - slow to import

    short = {"mean": "MEAN", "nearest neighbour": "NEAREST", "random forest on Morgan": "FOREST"}
    columns = ["MEASURE", "MODEL", "95 % INTERVAL", "IN DOMAIN"]
    columns += [short[which.value] for which in found.baselines]
    rows = [
        (
            name.value,
            show_figure(value.value),
            f"{value.low:.3f} to {value.high:.3f}",
            show_figure(found.in_domain[name].value) if found.in_domain else "-",
            *(show_figure(measures[name]) for measures in found.baselines.values()),
        )
        for name, value in found.measures.items()
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
    remark(f"{found.count:,} test compounds, {found.inside:,} of them in the model's domain.")
    if found.covered is not None:
        remark(f"Intervals promise {level:.0%} and cover {found.covered:.1%} of the test data.")
    if found.covered_far is not None:
        falls = is_short(found.covered_far, found.count_far, level)
        remark(
            f"Below a similarity of {FAR} to the training compounds they cover {'only ' if falls else ''}"
            f"{found.covered_far:.1%} of {found.count_far:,}{': do not rely on them there.' if falls else '.'}"
        )
    if found.bounds.count:
        held = "" if is_class else f"; the interval of {found.bounds.covered:.1%} reaches beyond it"
        remark(
            f"{found.bounds.count:,} more test compounds have a bound (< or >) and are in no figure above: "
            f"{found.bounds.agree:.1%} are predicted beyond it{held}."
        )
        remark(
            f"Of pairs whose order is known, with bounds, {found.bounds.ordered:.1%} are predicted in that order: "
            "compare by it, not by errors, models that took bounds in different ways."
        )
    if found.cliffs.compounds:
        count = found.cliffs.compounds
        remark(
            f"Activity cliffs: {count} test compound{'s' if count > 1 else ''}; error {found.cliffs.error:.3f}, "
            f"elsewhere {found.cliffs.other_error:.3f}."
        )
