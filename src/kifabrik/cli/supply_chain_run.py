"""`kifabrik supply-chain run`."""

import math
import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.supply_chain_study import doubts, plain_values, show_number, study_options, tried
from kifabrik.cli.terminal import remark, show_json, show_table, warn

if TYPE_CHECKING:
    from kifabrik.recipes.supply_chain.results import Results, Settings


class PartType(click.ParamType[tuple[int, int]]):
    """`2/4`: the part numbered 2, from 1, of four."""

    name = "N/PARTS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read both numbers."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", str(value))
        if match is None:
            self.fail(f"{value!r} is not a part such as 1/4.", param, ctx)
        return int(match[1]), int(match[2])


@click.command(
    epilog="""\b
    Examples:
      kifabrik supply-chain run pumps --scenarios 10000 --periods 365
      kifabrik supply-chain run pumps --what-if growth --out growth-results --language de
      kifabrik supply-chain run pumps --scenarios 100000 --part 1/4      on each of four machines
    """
)
@click.argument("folder", type=click.Path(path_type=Path))
@study_options
@click.option("--what-if", default="", help="A name of the table scenarios.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where results go. [FOLDER-results]")
@language_option("Of the report.")
@click.option(
    "--critical",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Name so many most critical nodes: each fails for two weeks. 0: none.",
)
@click.option("--part", type=PartType(), help="Simulate this share of the scenarios only, such as 1/4.")
@json_option
def run(
    folder: Path,
    settings: "Settings",
    workers: int | None,
    what_if: str,
    out: Path | None,
    language: Literal["de", "en"],
    critical: int,
    part: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """Simulate the network in FOLDER (or a workbook) and write tables and a report."""
    from kifabrik.recipes.supply_chain.engine import simulate  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.supply_chain.follow_up import watched  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.spreading import Part, save_part, share  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.tables import read_network  # noqa: PLC0415

    network = read_network(folder, what_if)
    mine = share(settings, *part) if part else settings
    with counting("simulating", mine.scenarios, quiet=as_json) as progress:
        results = simulate(
            network, mine, watch=watched(network), workers=workers, progress=progress, tallied=part is not None
        )
    target = out or Path(f"{os.fspath(folder).rstrip('/')}-{f'part-{part[0]}' if part else 'results'}")
    if part is None:
        conclude_study(results, target, critical, language, workers=workers, as_json=as_json)
        return
    save_part(Part(results, settings), target)
    if as_json:
        show_json({"folder": str(target), "part": part[0], "parts": part[1]})
        return
    remark(f"Part {part[0]} of {part[1]}: {target}. With all parts: kifabrik supply-chain gather PART…")


def conclude_study(
    results: "Results",
    target: Path,
    critical: int,
    language: Literal["de", "en"],
    *,
    workers: int | None,
    as_json: bool,
) -> None:
    """Follow a study up, write it with its report, and show the figures."""
    from kifabrik.recipes.supply_chain.follow_up import follow_up  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.report import write_report  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.saving import save  # noqa: PLC0415

    network = results.network
    found = follow_up(network, results.settings, critical, bar=partial(counting, quiet=as_json), workers=workers)
    save(results, target, outages=found.outages, critical=found.critical)
    page = write_report(results, target, language=language, outages=found.outages, critical=found.critical)
    if as_json:
        figures = {name: results.interval(name) for name in results.scenarios}
        shown = {"outages": found.outages, "critical": found.critical}
        show_json(
            {"figures": plain_values(figures), "folder": str(target), "report": str(page), **plain_values(shown)}
        )
        return
    _show(results)
    for doubt in doubts(network):
        warn(doubt)
    for node in [node for node in found.critical if node.cost > 0][:3]:
        remark(f"Two weeks without {node.name} cost {show_number(node.cost)} {network.currency}.")
    if 0 < len(found.critical) < len(network.nodes):
        remark(tried(len(found.critical), len(network.nodes)))
    remark(f"Tables and report: {page}")


def _show(results: "Results") -> None:
    import numpy as np  # noqa: PLC0415

    currency = results.network.currency
    rows = []
    for label, figure, unit, bad in (
        ("fill rate β (met at once)", "beta", "share", 0.05),
        ("cycle service α (no shortage)", "alpha", "share", 0.05),  # noqa: RUF001 - its usual name
        ("cost of a scenario", "cost", currency, 0.95),
        ("revenue of a scenario", "revenue", currency, 0.05),
        ("stock value, mean", "stock_value", currency, 0.95),
        ("backlog, mean", "backlog", "units", 0.95),
    ):
        mean, low, high = results.interval(figure)
        values = results.scenarios[figure]
        tail = float(np.quantile(values, bad))
        if not math.isfinite(mean):
            rows.append((label, "-", "-", "-"))
        elif unit == "share":
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
