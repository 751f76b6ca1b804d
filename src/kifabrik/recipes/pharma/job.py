"""Training and screening as jobs of an AI factory: `python -m kifabrik.recipes.pharma.job`, without network.

    … train /data/compounds --endpoint pIC50 --out /out/model
    … screen /data/model /data/library --out /out/hits --resume /checkpoint

What it prints is the run's log, which is sealed; metrics go to the file that `KIFABRIK_METRICS` names.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.recipes import run_log
from kifabrik.recipes.pharma.baselines import Baseline
from kifabrik.recipes.pharma.boosting import Recipe
from kifabrik.recipes.pharma.card import write_card
from kifabrik.recipes.pharma.endpoints import Bounds, limit_of
from kifabrik.recipes.pharma.evaluated import load_evaluation, save_evaluation
from kifabrik.recipes.pharma.evaluating import evaluate
from kifabrik.recipes.pharma.filters import RULES, Alerts, Filters, Limit
from kifabrik.recipes.pharma.fonts import without_system_fonts
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.measuring import Wishes
from kifabrik.recipes.pharma.model import load, save
from kifabrik.recipes.pharma.molecules import Standardiser
from kifabrik.recipes.pharma.picking import Picking
from kifabrik.recipes.pharma.prepared import load_prepared, save_prepared
from kifabrik.recipes.pharma.preparing import prepare
from kifabrik.recipes.pharma.screen import screen
from kifabrik.recipes.pharma.screening_plan import Plan, Stage
from kifabrik.recipes.pharma.sides import load_split, save_split
from kifabrik.recipes.pharma.splitting import Method, split
from kifabrik.recipes.pharma.texts import LANGUAGES
from kifabrik.recipes.pharma.training import Training, steps, train

TABLES: Final = (".csv", ".csv.gz", ".sdf", ".sdf.gz", ".smi", ".smi.gz")
_SHARE: Final = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the words after the command say; return the exit status."""
    said = _parser().parse_args(arguments)
    with TemporaryDirectory() as scratch:
        return run_log.attempt(
            lambda: _train(said, Path(scratch)) if said.work == "train" else _screen(said, Path(scratch))
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kifabrik.recipes.pharma.job", description=__doc__)
    work = parser.add_subparsers(dest="work", required=True)
    learn = work.add_parser("train", help="prepare, split, train, judge and report")
    learn.add_argument("compounds", type=Path, help="folder of tables with structures and measurements")
    learn.add_argument("--out", type=Path, required=True)
    learn.add_argument("--endpoint", default="", help="what to learn")
    learn.add_argument("--active", default="", help="make classes of numbers: `pIC50>6`")
    learn.add_argument("--by", choices=["", *(each.value for each in Method)], default="", help="how to split")
    learn.add_argument("--recipe", choices=["auto", *(each.value for each in Recipe)], default="auto")
    learn.add_argument("--members", type=int, default=1)
    learn.add_argument("--bounds", choices=[each.value for each in Bounds], default=Bounds.LEARN.value)
    learn.add_argument("--seed", type=int, default=1)
    learn.add_argument("--language", choices=LANGUAGES, default="en", help="of the report and the card")
    search = work.add_parser("screen", help="find the best molecules of a library")
    search.add_argument("model", type=Path, help="folder of a model")
    search.add_argument("library", type=Path, help="folder with one table of molecules")
    search.add_argument("--out", type=Path, required=True)
    search.add_argument("--resume", type=Path, help="folder from which another attempt goes on")
    search.add_argument("--keep", type=float, default=5.0, help="per cent of the library that the model sees")
    search.add_argument("--hits", type=int, default=1000)
    search.add_argument("--diverse", type=int, default=0, help="pick so many hits unlike each other")
    search.add_argument("--pick", choices=[each.value for each in Picking], default=Picking.MAXMIN.value)
    search.add_argument("--best", choices=("high", "low"), default="high")
    search.add_argument("--rule", action="append", default=[], help="lipinski, veber or lead-like")
    search.add_argument("--limit", action="append", default=[], help="limit of a property: logp=..5")
    search.add_argument("--alerts", action="append", default=[], choices=[each.value for each in Alerts])
    search.add_argument("--in-domain", action="store_true", help="only hits the model may be trusted with")
    search.add_argument("--seed", type=int, default=1)
    return parser


def _train(said: argparse.Namespace, scratch: Path) -> None:
    files = tables_in(said.compounds)
    standardiser = Standardiser()
    wishes = Wishes(
        endpoints=(said.endpoint,) if said.endpoint else (),
        limits=(limit_of(said.active),) if said.active else (),
    )
    with run_log.progress("structures", None) as count:
        made = prepare(files, wishes, standardiser, workers=run_log.cores(), progress=count)
    run_log.say(f"{made.rows:,} rows, {len(made.compounds):,} compounds, {len(made.rejects):,} rows left out")
    prepared, halves = scratch / "prepared", scratch / "split"
    save_prepared(made, files, prepared, standardiser)
    compounds, facts = load_prepared(prepared)
    cut = split(compounds, Method(said.by) if said.by else None, share=_SHARE, seed=said.seed)
    save_split(compounds, facts, cut, halves, share=_SHARE, seed=said.seed)
    run_log.say(f"split by {cut.method.value}: {len(cut.train):,} to train, {len(cut.test):,} to test")
    sides = load_split(halves)
    endpoint = sides.endpoint(said.endpoint)
    run_log.say(f"{made.bounds_kept[endpoint.name]:,} compounds have a bound as their value ({said.bounds})")
    training = Training(
        recipe=None if said.recipe == "auto" else Recipe(said.recipe),
        members=said.members,
        bounds=Bounds(said.bounds),
        seed=said.seed,
        workers=run_log.cores(),
    )
    facts_kept = {"data": {"tables": sides.digests, **sides.facts.plain(), "split": sides.method}}
    with run_log.progress("models", steps(training)) as count:
        model = train(
            sides.train, endpoint, training, standardiser=sides.facts.standardiser, facts=facts_kept, progress=count
        )
    save(model, said.out)
    model = load(said.out)
    with run_log.progress("judging", 1 + len(Baseline)) as count:
        found = evaluate(model, sides.train, sides.test, seed=said.seed, workers=run_log.cores(), progress=count)
    save_evaluation(found, sides, said.out)
    judged = load_evaluation(said.out)
    without_system_fonts(scratch)
    from kifabrik.recipes.pharma.report import write_report  # noqa: PLC0415 - it looks for fonts when it is imported

    write_report(model, judged, said.out, language=said.language)
    write_card(model, judged, said.out, language=said.language)
    if found.bounds.count:
        run_log.report("bounds_covered", found.bounds.covered)
        run_log.report("pairs_in_order", found.bounds.ordered)
    for measure, interval in found.measures.items():
        run_log.say(f"{measure.value} {interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})")
        run_log.report(measure.value.lower().replace(" ", "_"), interval.value)


def _screen(said: argparse.Namespace, scratch: Path) -> None:
    files = tables_in(said.library)
    if len(files) > 1:
        raise UsageError(f"{said.library} holds {len(files)} tables.", hint="Seal a library as one table.")
    unknown = sorted(set(said.rule) - set(RULES))
    if unknown:
        raise UsageError(f"There is no rule {unknown[0]}.", hint=f"There are {', '.join(RULES)}.")
    limits = [*(limit for rule in said.rule for limit in RULES[rule]), *map(Limit.from_text, said.limit)]
    folder = (said.resume or scratch) / "screen"
    plan = Plan(
        model=said.model,
        library=Library(files[0], "", ""),
        out=folder,
        keep=said.keep,
        hits=said.hits,
        diverse=said.diverse,
        picking=Picking(said.pick),
        low_is_better=said.best == "low",
        only_in_domain=said.in_domain,
        filters=Filters(tuple(limits), tuple(map(Alerts, said.alerts))),
        seed=said.seed,
        workers=run_log.cores(),
    )
    summary = screen(plan, _stages())
    said.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        if path.is_file():
            shutil.copyfile(path, said.out / path.name)
    run_log.say(f"{summary.rows:,} rows, {summary.predicted:,} predicted by the model, {summary.hits:,} hits")
    for name in ("rows", "predicted", "hits"):
        run_log.report(name, getattr(summary, name))


def _stages() -> Callable[[Stage, int, int], None]:
    """Progress of each stage, as lines of the log."""
    counts: dict[Stage, Callable[[int], None]] = {}
    stack = ExitStack()

    def count(stage: Stage, finished: int, total: int) -> None:
        if stage not in counts:
            counts[stage] = stack.enter_context(run_log.progress(stage.value.lower(), total or None))
        counts[stage](finished)

    return count


def tables_in(folder: Path) -> tuple[Path, ...]:
    """Tables of structures in a folder, by name.

    Raises:
        UsageError: There are none.
    """
    found = sorted(path for path in folder.iterdir() if path.name.lower().endswith(TABLES))
    if not found:
        raise UsageError(f"{folder} holds no table of structures.", hint=f"These are {', '.join(TABLES)}.")
    return tuple(found)


if __name__ == "__main__":
    sys.exit(main())
