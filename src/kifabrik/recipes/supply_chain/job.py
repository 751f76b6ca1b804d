"""The study as a job of an AI factory: `python -m kifabrik.recipes.supply_chain`, in a room without network.

    … run /data/network --out /out/study --scenarios 10000        one run does it all
    … run /data/network --out /out/part --scenarios 10000 --part 2/8
    … gather /data/part-1 … /data/part-8 --out /out/study

What it prints is the run's log, which is sealed; metrics go to the file that `KIFABRIK_METRICS` names.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kifabrik.recipes import run_log
from kifabrik.recipes.supply_chain import portable
from kifabrik.recipes.supply_chain.calibrating import calibrate, draw_fit
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.follow_up import follow_up, watched
from kifabrik.recipes.supply_chain.history import with_history
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.report import write_report
from kifabrik.recipes.supply_chain.results import Results, Settings
from kifabrik.recipes.supply_chain.saving import save
from kifabrik.recipes.supply_chain.spreading import Part, gather, load_part, save_part, share
from kifabrik.recipes.supply_chain.tables import read_network

HISTORY: Final = ("history.csv", "history.parquet", "history.xlsx")
METRICS: Final = ("beta", "alpha", "cost", "stock_value")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the words after the command say; return the exit status."""
    said = _parser().parse_args(arguments)
    return run_log.attempt(lambda: _run(said) if said.work == "run" else _gather(said))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kifabrik.recipes.supply_chain", description="A study.")
    work = parser.add_subparsers(dest="work", required=True)
    run = work.add_parser("run", help="simulate")
    run.add_argument("network", type=Path, help="folder or workbook of tables, perhaps with a history beside them")
    run.add_argument("--scenarios", type=int, default=10_000)
    run.add_argument("--periods", type=int, default=365)
    run.add_argument("--warm-up", type=int, default=0)
    run.add_argument("--seed", type=int, default=1)
    run.add_argument("--what-if", default="", help="name of a row of the table scenarios")
    run.add_argument("--part", default="", metavar="N/PARTS", help="simulate this share of the scenarios only")
    together = work.add_parser("gather", help="make one study of its parts")
    together.add_argument("parts", type=Path, nargs="+")
    for each in (run, together):
        each.add_argument("--out", type=Path, required=True)
        each.add_argument("--critical", type=int, default=10, help="name so many most critical nodes")
        each.add_argument("--language", choices=("de", "en"), default="en")
    return parser


def _run(said: argparse.Namespace) -> None:
    network = _network(said.network, said.what_if, said.out)
    whole = Settings(scenarios=said.scenarios, periods=said.periods, warm_up=said.warm_up, seed=said.seed)
    part, _, parts = said.part.partition("/")
    settings = share(whole, int(part), int(parts)) if said.part else whole
    run_log.say(f"{len(network.nodes)} nodes, {len(network.lanes)} lanes; {settings.scenarios:,} scenarios")
    if not portable.is_taken():
        run_log.say("The first period comes after up to half a minute of compiling.")
    with run_log.progress("simulating", settings.scenarios) as progress:
        results = simulate(
            network,
            settings,
            watch=watched(network),
            workers=run_log.cores(),
            progress=progress,
            tallied=bool(said.part),
        )
    if said.part:
        save_part(Part(results, whole), said.out)
    else:
        _conclude(results, said)


def _network(path: Path, what_if: str, out: Path) -> Network:
    """The network of the tables, with the demand of a history beside them, by which levels are sized too."""
    history = next((path / name for name in HISTORY if (path / name).is_file()), None) if path.is_dir() else None
    if history is None:
        return read_network(path, what_if)
    return read_network(path, what_if, amended=lambda network: _with_history(network, history, out / "fits"))


def _with_history(network: Network, history: Path, folder: Path) -> Network:
    fits = calibrate(history, remark=lambda sentence: run_log.say(f"{history.name}: {sentence}"))
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(fits, 1):
        draw_fit(one, folder / f"{number:04d}.svg")
        kind, chance = one.fit.distribution.kind.value, one.fit.p_value
        run_log.say(f"history of {one.series.name}: {kind}, P {chance:.3f}, season {one.season or 'none'}")
    return with_history(network, fits)


def _gather(said: argparse.Namespace) -> None:
    _conclude(gather([load_part(part) for part in said.parts]), said)


def _conclude(results: Results, said: argparse.Namespace) -> None:
    found = follow_up(
        results.network, results.settings, said.critical, bar=run_log.progress, workers=run_log.cores()
    )
    save(results, said.out, outages=found.outages, critical=found.critical)
    write_report(results, said.out, language=said.language, outages=found.outages, critical=found.critical)
    for name in METRICS:
        mean, low, high = results.interval(name)
        run_log.say(f"{name} {mean:.6g}, 95 % interval {low:.6g} to {high:.6g}")
        run_log.report(name, mean)
    for node in (node for node in found.critical if math.isfinite(node.cost)):
        run_log.say(f"two weeks without {node.name} cost {round(node.cost):,} {results.network.currency}")
