"""`kifabrik supply-chain optimise`."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from kifabrik.cli.counting import counting, in_stages
from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.supply_chain_study import (
    plain_values,
    show_estimate,
    show_number,
    show_share,
    study_options,
)
from kifabrik.cli.terminal import done, remark, show_json, show_table, warn

if TYPE_CHECKING:
    from kifabrik.recipes.supply_chain.optimum import NodePlan, Optimum
    from kifabrik.recipes.supply_chain.results import Settings

_SHOWN: Final = 20
_NETWORK: Final = "network"
"""Folder of the proposed network's tables."""


@click.command(
    epilog="""\b
    Examples:
      kifabrik supply-chain optimise network/ --beta 0.98
      kifabrik supply-chain optimise network/ --beta 0.98 --out plan/ --language de
      kifabrik supply-chain optimise network.xlsx --scenarios 2000 --json > plan.json
    """
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--beta", type=float, default=0.95, show_default=True, help="Fill rate to reach.")
@click.option("--what-if", default="", help="A name of the table scenarios.")
@click.option(
    "--simulations", type=click.IntRange(min=3), default=120, show_default=True, help="Most in the search."
)
@click.option("--seconds", type=float, default=60, show_default=True, help="Most for the placement of stock.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for tables and report of the proposed plan, and for its network.",
)
@language_option("Of the report.")
@click.option("--all", "show_all", is_flag=True, help=f"Show every node, not the {_SHOWN} that change most.")
@study_options
@json_option
def optimise(
    folder: Path,
    beta: float,
    what_if: str,
    simulations: int,
    seconds: float,
    out: Path | None,
    language: Literal["de", "en"],
    show_all: bool,
    settings: "Settings",
    workers: int | None,
    as_json: bool,
) -> None:
    """Find stock levels that reach a fill rate, cheaply, and check them on fresh scenarios.

    Reached means: the lower end of its 95 % interval is not below it.
    FOLDER holds the tables of the network (or is an XLSX file). Cost counts revenue that is lost.
    """
    from kifabrik.recipes.supply_chain.optimising import optimise as find  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.supply_chain.tables import read_network  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.supply_chain.tables.write import refuse_existing  # noqa: PLC0415

    if out:
        refuse_existing(out / _NETWORK)
    network = read_network(folder, what_if)
    with in_stages(quiet=as_json) as progress:
        found = find(
            network,
            settings,
            beta=beta,
            seconds=seconds,
            simulations=simulations,
            progress=progress,
            workers=workers,
        )
    page = _write(found, out, language, workers, quiet=as_json) if out else None
    if as_json:
        show_json({**plain_values(found), "gap": found.placement.gap})
        return
    _show_plans(found)
    click.echo()
    _show_nodes(found, len(found.nodes) if show_all else _SHOWN)
    _tell_search(found)
    _tell_verdict(found)
    if page:
        remark(f"Tables and report: {page}; the proposed network: {page.parent / _NETWORK}")


def _write(found: "Optimum", out: Path, language: Literal["de", "en"], workers: int | None, *, quiet: bool) -> Path:
    """Tables and report of the proposed plan with the frontier, and the network with its levels."""
    from kifabrik.recipes.supply_chain.engine import simulate  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.supply_chain.follow_up import watched  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.report import write_report  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.results import Settings  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.saving import save  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.tables.write import write_tables  # noqa: PLC0415

    write_tables(found.network, out / _NETWORK)
    fresh = found.fresh
    traced = Settings(
        scenarios=fresh.scenarios, periods=fresh.periods, warm_up=fresh.warm_up, seed=fresh.seed, first=fresh.first
    )
    with counting("simulating the plan", traced.scenarios, quiet=quiet) as progress:
        results = simulate(found.network, traced, watch=watched(found.network), workers=workers, progress=progress)
    save(results, out, frontier=found.frontier)
    return write_report(results, out, language=language, frontier=found.frontier)


def _show_plans(found: "Optimum") -> None:
    points = [
        (
            f"{point.name}{' *' if point.is_chosen else ''}",
            show_share(point.beta),
            show_estimate(point.stock_value),
            show_estimate(point.cost_difference) if not point.is_current else "today's",
        )
        for point in found.frontier.points
    ]
    money = f" ({found.network.currency})"
    columns = ["PLAN", "FILL RATE (BETA)", f"STOCK VALUE{money}", f"COST AGAINST TODAY{money}"]
    show_table(columns, points, right=(1, 2, 3))


def _show_nodes(found: "Optimum", shown: int) -> None:
    changed = sorted(found.nodes, key=_change, reverse=True)[:shown]
    rows = [
        (
            node.name,
            show_number(node.level_now),
            show_number(node.level),
            show_number(node.safety_now),
            show_number(node.safety),
            show_number(node.service_time),
        )
        for node in changed
    ]
    show_table(
        ["NODE", "LEVEL NOW", "SHOULD BE", "SAFETY NOW", "SHOULD BE", "PROMISE"], rows, right=(1, 2, 3, 4, 5)
    )
    if len(changed) < len(found.nodes):
        remark(f"{len(found.nodes) - len(changed)} more nodes change less; --all shows them.")


def _tell_search(found: "Optimum") -> None:
    from kifabrik.recipes.supply_chain.optimum import Start  # noqa: PLC0415 - slow to import

    proven = "proven least" if found.placement.is_proven else f"at most {found.placement.gap:.2%} above the least"
    frontier = found.frontier
    fewer = (
        f", {frontier.compared:,} of them for other fill rates" if frontier.compared < frontier.scenarios else ""
    )
    each = f"{found.searched:,} scenarios in the search, {frontier.scenarios:,} fresh ones in the check{fewer}"
    remark(f"Placement by guaranteed service: {proven}. {found.simulations} simulations: {each}.")
    if found.start is not Start.GUARANTEED_SERVICE:
        whose = "Safety at every node" if found.start is Start.EVERYWHERE else "Today's safety"
        remark(f"{whose} was scaled: in the simulation that is cheaper than where the placement puts it.")


def _tell_verdict(found: "Optimum") -> None:
    reached = f"fresh scenarios: beta {show_share(found.proposed.beta)}, asked for {found.target:.2%}"
    dearest = found.proposed.cost.low
    if any(
        point.cost.high < dearest and point.beta.mean > found.proposed.beta.mean for point in found.frontier.points
    ):
        remark("More safety serves better and costs less in all: consider a higher --beta.")
    if found.now.beta.low >= found.target and found.now.cost.mean < found.proposed.cost.mean:
        warn("Today's plan meets the fill rate and costs less than what was found: keep it.")
    if not found.is_reached:
        scarce = "where the placement puts it, at every node or as it is today, up to 16 times as much"
        warn(f"Safety stock {scarce}, does not reach the fill rate; {reached}. Capacity or outages may limit it.")
    elif found.proposed.beta.high < found.target:
        warn(f"The plan does not hold: {reached}. Search with more scenarios.")
    elif not found.holds:
        warn(f"The plan may just miss it: {reached}. Search with more scenarios, or ask for a little more.")
    else:
        done(f"The plan holds on {reached}.")


def _change(node: "NodePlan") -> float:
    change = abs(node.level - node.level_now)
    return change if change == change else -1.0  # noqa: PLR0124 - not a number
