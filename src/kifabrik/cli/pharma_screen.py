"""`kifabrik pharma screen`."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.pharma_library import library_of, library_options
from kifabrik.cli.pharma_running import workers_option
from kifabrik.cli.terminal import done, remark, show_json, show_table, warn
from kifabrik.errors import UsageError
from kifabrik.values import format_duration

if TYPE_CHECKING:
    from kifabrik.recipes.pharma.filters import Filters
    from kifabrik.recipes.pharma.hits import Summary
    from kifabrik.recipes.pharma.screening_plan import Stage

_WEAK = 0.6
"""Rank correlation below which the first stage is a poor guide."""


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma screen model library.smi.gz --out screened
      kifabrik pharma screen model library.parquet --out screened --keep 10 --rule lipinski --alerts pains
      kifabrik pharma screen model library.csv --out screened --limit weight=200..450 --low --diverse 50
      kifabrik pharma screen model library.csv --out screened --diverse 50 --pick butina
      kifabrik pharma screen model library.smi --out screened --first similarity --actives actives.smi
    """
)
@click.argument("model", type=click.Path(path_type=Path, file_okay=False))
@click.argument("library", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the results."
)
@click.option(
    "--first",
    type=click.Choice(["learnt", "similarity", "none"]),
    default="learnt",
    show_default=True,
    help="Quick first stage; with none the model sees every molecule.",
)
@click.option("--actives", type=click.Path(path_type=Path, dir_okay=False), help="Known actives, for similarity.")
@click.option("--keep", type=float, default=5.0, show_default=True, help="Per cent that the model sees.")
@click.option("--sample", type=click.IntRange(min=500), default=5000, show_default=True, help="To learn from.")
@click.option("--hits", type=click.IntRange(min=1), default=1000, show_default=True, help="How many to write.")
@click.option("--diverse", type=click.IntRange(min=0), default=0, help="Pick so many hits unlike each other.")
@click.option(
    "--pick",
    type=click.Choice(["maxmin", "butina"]),
    default="maxmin",
    show_default=True,
    help="How: least like those picked before, or the best of each cluster.",
)
@click.option("--low", is_flag=True, help="The smallest values are the best. [the largest]")
@click.option("--in-domain", is_flag=True, help="Only hits the model may be trusted with.")
@click.option("--rule", type=click.Choice(["lipinski", "veber", "lead-like"]), multiple=True, help="Named limits.")
@click.option("--limit", metavar="PROPERTY=LOW..HIGH", multiple=True, help="Limit of a property: logp=..5.")
@click.option("--alerts", type=click.Choice(["pains", "brenk", "nih"]), multiple=True, help="Structural alerts.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of all luck.")
@library_options
@workers_option
@json_option
def screen(
    model: Path,
    library: Path,
    out: Path,
    actives: Path | None,
    smiles_column: str,
    id_column: str,
    *,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Find the best molecules of LIBRARY by MODEL. The library may be of any size.

    A small model learns from a sample what MODEL would say, and scores the library; MODEL then sees the best.
    The same command goes on where it was ended. OUT gets hits.csv, hits.sdf, rejects.csv and summary.json.
    """
    from kifabrik.recipes.pharma.picking import Picking  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.screen import screen as run  # noqa: PLC0415
    from kifabrik.recipes.pharma.screening_plan import First, Plan  # noqa: PLC0415

    if wishes["pick"] != Picking.MAXMIN.value and not wishes["diverse"]:
        raise UsageError(f"--pick {wishes['pick']} picks nothing.", hint="Say how many hits with --diverse.")
    plan = Plan(
        model=model,
        library=library_of(library, smiles_column, id_column),
        out=out,
        first=First(wishes["first"]),
        actives=library_of(actives, "", "") if actives else None,
        keep=wishes["keep"],
        sample=wishes["sample"],
        hits=wishes["hits"],
        diverse=wishes["diverse"],
        picking=Picking(wishes["pick"]),
        low_is_better=wishes["low"],
        only_in_domain=wishes["in_domain"],
        filters=_filters(wishes["rule"], wishes["limit"], wishes["alerts"]),
        seed=wishes["seed"],
        workers=wishes["workers"],
    )
    begun = time.monotonic()
    with _stages(quiet=as_json) as progress:
        summary = run(plan, progress)
    if as_json:
        show_json({"out": str(out), **{name: getattr(summary, name) for name in summary.__dataclass_fields__}})
        return
    _show(summary, plan.sample, out)
    done(f"{summary.hits:,} hits in {format_duration(round(time.monotonic() - begun))}: {out / 'hits.csv'}")


def _filters(rules: tuple[str, ...], limits: tuple[str, ...], alerts: tuple[str, ...]) -> "Filters":
    from kifabrik.recipes.pharma.filters import RULES, Alerts, Filters, Limit  # noqa: PLC0415 - slow to import

    named = [limit for rule in rules for limit in RULES[rule]]
    return Filters((*named, *map(Limit.from_text, limits)), tuple(map(Alerts, alerts)))


def _show(summary: "Summary", sample: int, out: Path) -> None:
    stages = [("rows of the library", summary.rows)]
    if not summary.single_stage:
        stages.append(("could not be read", summary.unread))
    stages += [
        ("left out by filters or the model", summary.left_out),
        ("predicted by the model", summary.predicted),
        ("of them in its domain", summary.in_domain),
        ("hits", summary.hits),
    ]
    if summary.clusters:
        stages.append(("clusters of them", summary.clusters))
    if summary.picked:
        stages.append(("picked to be unlike each other", summary.picked))
    show_table(("molecules", "number"), [(name, f"{number:,}") for name, number in stages], right=(1,))
    if summary.rank_correlation is not None:
        share = f"{summary.rank_correlation:.2f}"
        remark(f"On {sample // 5:,} molecules it had not seen, the first stage ranks with r = {share}.")
        if summary.rank_correlation < _WEAK:
            warn("That is a poor guide: a larger --sample or --keep loses fewer hits; --first none loses none.")
    if summary.hits == 0:
        raise UsageError(
            f"No molecule is a hit; {summary.left_out + summary.unread:,} of {summary.rows:,} were left out.",
            hint=f"{out / 'rejects.csv'} says why; loosen --limit, --rule, --alerts or --in-domain.",
        )


@contextmanager
def _stages(*, quiet: bool) -> Iterator[Callable[["Stage", int, int], None]]:
    """Show a bar for the stage that is on, with the time that is left."""
    with ExitStack() as shown:
        current: Stage | None = None
        count: Callable[[int], None] | None = None

        def told(stage: "Stage", finished: int, total: int) -> None:
            nonlocal current, count
            if stage is not current:
                shown.close()
                current, count = stage, shown.enter_context(counting(stage.value, total or None, quiet=quiet))
            if count:
                count(finished)

        yield told
