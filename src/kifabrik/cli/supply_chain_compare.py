"""`kifabrik supply-chain compare` and `stress`."""

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.supply_chain_study import (
    plain_values,
    show_estimate,
    show_number,
    show_p,
    study_options,
    tried,
)
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.errors import UsageError

if TYPE_CHECKING:
    from kifabrik.recipes.supply_chain.network import Disruption, Network
    from kifabrik.recipes.supply_chain.results import Settings


@click.command(
    epilog="""\b
    Examples:
      kifabrik supply-chain compare today/ tomorrow/
      kifabrik supply-chain compare network/ --what-if growth --what-if lean
    """
)
@click.argument("folders", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--what-if", "what_ifs", multiple=True, help="A name of the table scenarios of the first folder.")
@study_options
@json_option
def compare(
    folders: tuple[Path, ...],
    what_ifs: tuple[str, ...],
    settings: "Settings",
    workers: int | None,
    as_json: bool,
) -> None:
    """Compare plans or what-ifs to the first of FOLDERS, each scenario with the same luck."""
    from dataclasses import replace  # noqa: PLC0415

    from kifabrik.recipes.supply_chain.comparing import compare as find  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.supply_chain.tables import read_network  # noqa: PLC0415 - slow to import

    networks = [replace(read_network(folder), name=str(folder)) for folder in folders]
    networks += [replace(read_network(folders[0], name), name=name) for name in what_ifs]
    with counting("simulating", settings.scenarios * len(networks), quiet=as_json) as progress:
        found = find(networks, settings, progress=progress, workers=workers)
    if as_json:
        show_json({"comparisons": plain_values(found)})
        return
    for one in found:
        click.secho(f"{one.name} against {one.base}", bold=True)
        rows = [
            (
                each.figure,
                show_number(each.base.mean),
                show_number(each.changed.mean),
                show_estimate(each.difference),
                show_p(each.p_value),
            )
            for each in one.differences
        ]
        show_table(["FIGURE", "FIRST", "OTHER", "DIFFERENCE (95 %)", "P"], rows, right=(1, 2, 3, 4))
    remark(f"{settings.scenarios} pairs of scenarios with the same luck; P: paired t test.")


@click.command(
    epilog="""\b
    Examples:
      kifabrik supply-chain stress network/ --outage pump@Ulm:100:14
      kifabrik supply-chain stress network/ --critical 10 --weeks 2
    """
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--outage", "outages", multiple=True, metavar="NODE:START:PERIODS", help="A node (or *@site) that fails."
)
@click.option("--critical", type=click.IntRange(min=1), help="Find so many most critical nodes instead.")
@click.option("--weeks", type=float, default=2, show_default=True, help="How long each fails, with --critical.")
@study_options
@json_option
def stress(
    folder: Path,
    outages: tuple[str, ...],
    critical: int | None,
    weeks: float,
    settings: "Settings",
    workers: int | None,
    as_json: bool,
) -> None:
    """Say what each outage costs and how long recovery takes, against the same scenarios without it.

    Without --outage, the dated disruptions of the network in FOLDER are each tried alone. Cost counts lost revenue.
    """
    from kifabrik.recipes.supply_chain import comparing, failing  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.supply_chain.tables import read_network  # noqa: PLC0415 - slow to import

    network = read_network(folder)
    if critical is not None:
        wanted = failing.look(network, settings, weeks=weeks, most=critical)
        with counting("simulating", wanted.total, quiet=as_json) as progress:
            nodes = failing.failures(network, settings, wanted, weeks, progress, workers=workers)[:critical]
        if as_json:
            show_json({"critical_nodes": plain_values(nodes)})
            return
        rows = [(node.name, show_number(node.cost), show_number(node.error), node.periods) for node in nodes]
        show_table(["NODE THAT FAILS", f"COST ({network.currency})", "ERROR", "PERIODS"], rows, right=(1, 2, 3))
        if len(wanted.names) < len(network.nodes):
            remark(tried(len(wanted.names), len(network.nodes)))
        return
    base, events = _events(network, outages)
    with counting("simulating", settings.scenarios * (len(events) + 1), quiet=as_json) as progress:
        found = comparing.stress(base, events, settings, progress=progress, workers=workers)
    if as_json:
        show_json({"outages": plain_values(found)})
        return
    outcomes = [
        (
            one.name,
            show_estimate(one.cost_difference),
            show_number(float((one.backlog_with - one.backlog_without).max())),
            show_number(one.recovery.median),
            show_number(one.recovery.p95) if isfinite(one.recovery.p95) else f"> {one.periods_left}",
            f"{one.recovery.unrecovered:.1%}",
        )
        for one in found
    ]
    columns = ["OUTAGE", f"COST ({network.currency}, 95 %)", "PEAK", "RECOVERY", "P95", "NOT BACK"]
    show_table(columns, outcomes, right=(1, 2, 3, 4, 5))
    remark(
        "Peak: most backlog added. Recovery: periods from the end of an outage until the backlog is that of the "
        "same scenario without it, save a tenth of a period's demand; median of those that are back."
    )


def _events(network: "Network", outages: tuple[str, ...]) -> tuple["Network", tuple["Disruption", ...]]:
    """The network without the events to try, and these."""
    from dataclasses import replace  # noqa: PLC0415

    if outages:
        return network, tuple(_event(network, text) for text in outages)
    dated = tuple(event for event in network.disruptions if event.start is not None)
    if not dated:
        raise UsageError("The network has no dated disruption.", hint="Name one: --outage NODE:START:PERIODS")
    return replace(network, disruptions=tuple(one for one in network.disruptions if one.start is None)), dated


def _event(network: "Network", text: str) -> "Disruption":
    from kifabrik.recipes.supply_chain.network import Disruption, Effect  # noqa: PLC0415 - slow to import

    name, _, rest = text.partition(":") if text.count(":") == 2 else text.rpartition(":")  # noqa: PLR2004
    start, _, duration = rest.partition(":")
    if not (name and start.isdigit() and duration.isdigit() and int(duration)):
        raise UsageError(f"'{text}' is not NODE:START:PERIODS.", hint="For example pump@Ulm:100:14")
    known = {node.name for node in network.nodes} | {f"*@{node.site}" for node in network.nodes}
    if name not in known:
        raise UsageError(
            f"There is no node {name}.", hint="Nodes are called product@site; *@site is all of a site."
        )
    return Disruption(name=text, effect=Effect.OUTAGE, target=name, start=int(start), duration=int(duration))
