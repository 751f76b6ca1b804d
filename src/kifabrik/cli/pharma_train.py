"""`kifabrik pharma train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.pharma_running import cache_option, show_figure, workers_option
from kifabrik.cli.terminal import remark, show_json, show_table

if TYPE_CHECKING:
    from kifabrik.recipes.pharma.model import Model


_LEFT_TO_REPORT: Final = frozenset({"balanced accuracy", "calibration error", "RMSE"})
_SAID_OF_BOUNDS: Final = {
    "learn": "{count:,} compounds have a bound (< or >): learnt from as such, and in no figure above.",
    "value": "{count:,} compounds have a bound (< or >): taken as if it had been measured, also in the figures.",
    "leave-out": "{count:,} compounds have a bound (< or >): left out.",
}


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma train split --out model
      kifabrik pharma train split --endpoint IC50 --recipe fast --members 5 --seed 3 --out model
      kifabrik pharma train split --endpoint IC50 --also Ki --recipe chemprop --out model
    """
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the model."
)
@click.option("--endpoint", default="", help="What to learn. [the only one there is]")
@click.option("--also", "helpers", multiple=True, help="Another endpoint of the data that may help; once for each.")
@click.option(
    "--recipe",
    type=click.Choice(["auto", "maplight", "fast", "chemprop"]),
    default="auto",
    show_default=True,
    help="How to grow trees; auto: the better by inner cross-validation. chemprop: a graph network instead.",
)
@click.option("--trees", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="In a set.")
@click.option("--epochs", type=click.IntRange(3, 10_000), default=50, show_default=True, help="Of chemprop.")
@click.option(
    "--members",
    type=click.IntRange(1, 50),
    default=1,
    show_default=True,
    help="Sets of trees, or networks, to take the mean of.",
)
@click.option("--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="Inner cross-validation.")
@click.option(
    "--level",
    type=click.FloatRange(0.5, 0.99),
    default=0.9,
    show_default=True,
    help="Share that intervals are to cover.",
)
@click.option(
    "--bounds",
    type=click.Choice(["learn", "value", "leave-out"]),
    default="learn",
    show_default=True,
    help="How to take <10: as what it says, as 10, or not at all. Networks leave out what they could learn.",
)
@click.option("--log/--no-log", default=None, help="Take logarithms. [if values span two decades]")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of luck.")
@click.option(
    "--show-neighbours",
    is_flag=True,
    help="Keep training structures in the model and show the nearest with predictions: this discloses them.",
)
@cache_option
@workers_option
@json_option
def train(
    folder: Path,
    out: Path,
    endpoint: str,
    helpers: tuple[str, ...],
    recipe: str,
    trees: int,
    epochs: int,
    members: int,
    folds: int,
    level: float,
    bounds: str,
    log: bool | None,
    seed: int,
    *,
    show_neighbours: bool,
    cache: Path | None,
    workers: int,
    as_json: bool,
) -> None:
    """Train a model on the training data in FOLDER, which `split` wrote; its test data is not looked at."""
    from kifabrik.recipes.pharma.boosting import Recipe  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.card import write_card  # noqa: PLC0415
    from kifabrik.recipes.pharma.endpoints import Bounds  # noqa: PLC0415
    from kifabrik.recipes.pharma.model import save  # noqa: PLC0415
    from kifabrik.recipes.pharma.sides import load_split  # noqa: PLC0415
    from kifabrik.recipes.pharma.training import Training, steps  # noqa: PLC0415
    from kifabrik.recipes.pharma.training import train as make  # noqa: PLC0415

    sides = load_split(folder)
    wishes = Training(
        recipe=None if recipe == "auto" else Recipe(recipe),
        trees=trees,
        epochs=epochs,
        members=members,
        folds=folds,
        level=level,
        bounds=Bounds(bounds),
        log=log,
        seed=seed,
        shows_neighbours=show_neighbours,
        helpers=tuple(sides.endpoint(name) for name in helpers),
        workers=workers,
        cache=cache,
    )
    facts = {
        "data": {"tables": sides.digests, **sides.facts.plain(), "split": sides.method},
    }
    with counting("models", steps(wishes), quiet=as_json) as progress:
        model = make(
            sides.train,
            sides.endpoint(endpoint),
            wishes,
            standardiser=sides.facts.standardiser,
            facts=facts,
            progress=progress,
        )
    save(model, out)
    write_card(model, None, out)
    if as_json:
        show_json({"model": str(out), "recipe": model.recipe.value, **model.facts})
        return
    _show(model)
    remark(f"Model of {model.endpoint.name} from {model.facts['compounds']:,} compounds: {out}")
    remark(f"Judge it on the test data: kifabrik pharma evaluate {out} {folder}")


def _show(model: "Model") -> None:
    names = [name for name in model.facts["inner"]["recipe"] if name not in _LEFT_TO_REPORT]
    rows = []
    for which, found in model.facts["inner"].items():
        learner = "Chemprop" if model.networks else f"CatBoost, {model.recipe.value}"
        label = learner if which == "recipe" else which
        rows.append((label, *(show_figure(found[name]) for name in names)))
    right = tuple(range(1, len(names) + 1))
    show_table(["LEFT-OUT SCAFFOLDS", *(name.upper() for name in names)], rows, right=right)
    if model.facts["compared"]:
        said = ", ".join(f"{name} {value:.3f}" for name, value in model.facts["compared"].items())
        remark(f"Recipe {model.recipe.value}, chosen on two folds: {said}.")
    if sum(model.facts["bounds"].values()):
        remark(_SAID_OF_BOUNDS[model.bounds.value].format(count=sum(model.facts["bounds"].values())))
    if model.facts["flagged"]:
        remark(f"{model.facts['flagged']} compounds have features that are not finite; taken as missing.")
