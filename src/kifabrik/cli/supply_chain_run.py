"""`kifabrik supply-chain run`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.supply_chain_study import plain_values, settings_of, show_number, study_options, studying
from kifabrik.cli.terminal import remark, show_json, show_table

if TYPE_CHECKING:
    from kifabrik.recipes.supply_chain.network import Network
    from kifabrik.recipes.supply_chain.results import Results, Settings
    from kifabrik.recipes.supply_chain.studies import CriticalNode, OutageResult

_SECOND_LOOK = 500


@click.command(
    epilog="""\b
    Examples:
      kifabrik supply-chain run pumps --scenarios 10000 --periods 365
      kifabrik supply-chain run pumps --what-if growth --out growth-results --language de
    """
)
@click.argument("folder", type=click.Path(path_type=Path))
@study_options
@click.option("--what-if", default="", help="A name of the table scenarios.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where results go. [FOLDER-results]")
@click.option("--language", type=click.Choice(["de", "en"]), default="en", show_default=True, help="Of the report.")
@click.option(
    "--critical",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Name so many most critical nodes: each fails for two weeks. 0: none.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Threads. [one for each core]")
@json_option
def run(
    folder: Path,
    scenarios: int,
    periods: int,
    warm_up: int,
    seed: int,
    what_if: str,
    out: Path | None,
    language: Literal["de", "en"],
    critical: int,
    workers: int | None,
    as_json: bool,
) -> None:
    """Simulate the network in FOLDER (or a workbook) and write tables and a report."""
    from kifabrik.recipes.supply_chain.engine import simulate  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.supply_chain.report import write_report  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.saving import save  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.tables import read_network  # noqa: PLC0415

    network = read_network(folder, what_if)
    settings = settings_of(scenarios, periods, warm_up, seed)
    watch = tuple(node.name for node in network.nodes if node.demand)[:6]
    with studying("simulating", scenarios, quiet=as_json) as progress:
        results = simulate(network, settings, watch=watch, workers=workers, progress=progress)
    found = _second_look(network, settings, critical, quiet=as_json)
    target = out or Path(f"{os.fspath(folder).rstrip('/')}-results")
    save(results, target, **found)
    page = write_report(results, target, language=language, **found)
    if as_json:
        figures = {name: results.interval(name) for name in results.scenarios}
        show_json(
            {"figures": plain_values(figures), "folder": str(target), "report": str(page), **plain_values(found)}
        )
        return
    _show(results)
    for node in found["critical"][:3]:
        remark(f"Two weeks without {node.name} cost {show_number(node.cost)} {network.currency}.")
    remark(f"Tables and report: {page}")


def _second_look(network: "Network", settings: "Settings", critical: int, *, quiet: bool) -> dict[str, Any]:
    """Outages with a date, and the most critical nodes, on fewer scenarios."""
    from dataclasses import replace  # noqa: PLC0415

    from kifabrik.recipes.supply_chain import comparing  # noqa: PLC0415

    few = replace(settings, scenarios=min(settings.scenarios, _SECOND_LOOK))
    events = tuple(
        one
        for one in network.disruptions
        if one.start is not None and settings.warm_up <= one.start and one.start + one.duration < settings.periods
    )
    outages: tuple[OutageResult, ...] = ()
    nodes: tuple[CriticalNode, ...] = ()
    if events:
        calm = replace(network, disruptions=tuple(one for one in network.disruptions if one not in events))
        with studying("outages", few.scenarios * (len(events) + 1), quiet=quiet) as progress:
            outages = comparing.stress(calm, events, few, progress=progress)
    room = (settings.periods - settings.warm_up) * 0.75 * network.period_days
    if critical and room > 14:  # noqa: PLR2004 - two weeks
        with studying("failures", few.scenarios * (len(network.nodes) + 1), quiet=quiet) as progress:
            nodes = comparing.critical_nodes(network, few, most=critical, progress=progress)
    return {"outages": outages, "critical": nodes}


def _show(results: "Results") -> None:
    import numpy as np  # noqa: PLC0415

    currency = results.network.currency
    rows = []
    for label, figure, unit in (
        ("fill rate β (units met at once)", "beta", "share"),
        ("cycle service α (periods without shortage)", "alpha", "share"),  # noqa: RUF001 - its usual name
        ("cost", "cost", currency),
        ("revenue", "revenue", currency),
        ("value of stock, mean", "stock_value", currency),
        ("backlog, mean", "backlog", "units"),
    ):
        mean, low, high = results.interval(figure)
        values = results.scenarios[figure]
        tail = float(np.quantile(values, 0.05 if unit == "share" else 0.95))
        if unit == "share":
            rows.append((label, f"{mean:.2%}", f"{low:.2%} to {high:.2%}", f"{tail:.2%}"))
        else:
            rows.append(
                (
                    f"{label} ({unit})",
                    show_number(mean),
                    f"{show_number(low)} to {show_number(high)}",
                    show_number(tail),
                )
            )
    show_table(["FIGURE", "MEAN", "95 % INTERVAL", "BAD 5 %"], rows, right=(1, 2, 3))
