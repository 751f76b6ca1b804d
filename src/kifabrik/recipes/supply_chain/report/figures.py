"""What the report says about the study itself: headline figures, costs, capacities, customers."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup

from kifabrik.recipes.supply_chain.report.charts import bar, bar_scale
from kifabrik.recipes.supply_chain.report.numerals import NONE
from kifabrik.recipes.supply_chain.report.teller import Teller
from kifabrik.recipes.supply_chain.results import Results
from kifabrik.recipes.supply_chain.studies import Estimate

_PARTS: Final = ("holding", "in_transit", "stockout", "lost_sales", "ordering", "transport")
_SHOWN: Final = 15
_NAMED_DISRUPTIONS: Final = 6
_FULL, _BUSY = 0.9, 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A headline figure.

    Attributes:
        label: What it is.
        value: The figure, written.
        unit: Of it.
        says: What exactly is meant.
        interval: Its confidence interval, as a sentence.
    """

    label: str
    value: str
    unit: str
    says: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a table with a bar.

    Attributes:
        name: What it is about.
        bar: Its bar.
        cells: Its figures, written.
    """

    name: str
    bar: Markup
    cells: tuple[str, ...]


def estimate(results: Results, figure: str) -> Estimate:
    """Mean and 95 % interval of a scenario's figure, over the scenarios in which it is a number; else NaN."""
    values = results.scenarios[figure]
    seen = values[np.isfinite(values)]
    return Estimate.of(seen) if seen.size else Estimate(math.nan, math.nan, math.nan)


def tiles(results: Results, tell: Teller) -> list[Tile]:
    """The six headline figures."""
    settings = results.settings
    counted = tell.length(settings.periods - settings.warm_up, after_of=True)
    costs = results.scenarios["cost"]
    costs = costs[np.isfinite(costs)]
    p95 = f"{tell.numerals.amount(float(np.percentile(costs, 95)))} {tell.currency}" if costs.size else NONE
    parts = {"length": counted, "periods": tell.in_periods, "p95": p95}
    made = []
    for figure in ("beta", "alpha", "cost", "revenue", "stock_value", "backlog"):
        value = estimate(results, figure)
        share = figure in {"beta", "alpha"}
        written = tell.numerals.number(100 * value.mean, 1) if share else tell.numerals.amount(value.mean)
        unit = "%" if share else "" if figure == "backlog" else tell.currency
        made.append(
            Tile(
                label=tell.words(figure),
                value=written,
                unit="" if written == NONE else unit,
                says=tell.words(f"{figure}_says", **parts),
                interval=tell.interval(value, is_share=share),
            )
        )
    return made


def summary(results: Results, tell: Teller) -> str:
    """The study in two sentences."""
    settings, beta = results.settings, estimate(results, "beta").mean
    counted = settings.periods - settings.warm_up
    return tell.words(
        "summary" if math.isfinite(beta) else "summary_quiet",
        scenarios=tell.words("scenario_one")
        if settings.scenarios == 1
        else tell.words("scenario_many", number=tell.numerals.number(settings.scenarios)),
        length=tell.length(counted, after_of=True),
        beta=tell.numerals.percent(beta),
        stock=tell.numerals.amount(estimate(results, "stock_value").mean),
        cost=tell.numerals.amount(estimate(results, "cost").mean),
        currency=tell.currency,
    )


def facts(results: Results, tell: Teller) -> list[tuple[str, str]]:
    """What was simulated: pairs of a label and what is said of it."""
    network, settings, number = results.network, results.settings, tell.numerals.number
    length = tell.length(settings.periods)
    names = sorted({disruption.name for disruption in network.disruptions})
    shown = ", ".join(names[:_NAMED_DISRUPTIONS]) or tell.words("none")
    if len(names) > _NAMED_DISRUPTIONS:
        shown = tell.words("disruptions_more", names=shown, more=number(len(names) - _NAMED_DISRUPTIONS))
    seed = str(settings.seed)
    return [
        (
            tell.words("nodes"),
            tell.words("nodes_value", nodes=number(len(network.nodes)), lanes=number(len(network.lanes))),
        ),
        (tell.words("customers"), number(sum(node.demand is not None for node in network.nodes))),
        (tell.words("scenarios"), number(settings.scenarios)),
        (
            tell.words("horizon"),
            tell.words("horizon_warm", length=length, warm=tell.length(settings.warm_up))
            if settings.warm_up
            else length,
        ),
        (
            tell.words("seed"),
            tell.words("seed_from", seed=seed, first=number(settings.first)) if settings.first else seed,
        ),
        (tell.words("semantics"), network.semantics.value),
        (tell.words("disruptions"), shown),
        (tell.words("seconds"), tell.words("seconds_value", seconds=number(results.seconds, 1))),
    ]


def cost_rows(results: Results, tell: Teller) -> list[Row]:
    """The kinds of cost, the largest first; those that are zero everywhere are left out."""
    parts = {name: estimate(results, name) for name in _PARTS}
    parts = {name: value for name, value in parts.items() if math.isfinite(value.mean) and value.mean != 0}
    total = sum(value.mean for value in parts.values())
    scale = bar_scale(list(parts.values()))
    rows = []
    for name, value in sorted(parts.items(), key=lambda part: -part[1].mean):
        share = tell.numerals.percent(value.mean / total) if total > 0 else NONE
        cells = (tell.numerals.amount(value.mean), share)
        rows.append(Row(name=tell.words(name), bar=bar(value, scale), cells=cells))
    return rows


def use_rows(results: Results, tell: Teller) -> tuple[list[Row], int]:
    """The fullest capacities, and how many there are."""
    seen = [
        (float(use), name)
        for uses, parts in (
            (results.nodes["use"], results.network.nodes),
            (results.lanes["use"], results.network.lanes),
        )
        for use, name in zip(uses, [part.name for part in parts], strict=True)
        if math.isfinite(use)
    ]
    seen.sort(key=lambda one: (-one[0], one[1]))
    scale = bar_scale([Estimate(1.0, 1.0, 1.0)])
    rows = [
        Row(
            name=name,
            bar=bar(Estimate(use, use, use), scale, colour=_use_colour(use)),
            cells=(tell.numerals.percent(use),),
        )
        for use, name in seen[:_SHOWN]
    ]
    return rows, len(seen)


def worst_rows(results: Results, tell: Teller) -> tuple[list[Row], int]:
    """Nodes with customers, the worst served first, and how many there are."""
    nodes, number = results.nodes, tell.numerals
    served = [at for at, node in enumerate(results.network.nodes) if node.demand is not None]
    served.sort(key=lambda at: (not math.isfinite(nodes["beta"][at]), nodes["beta"][at], -nodes["backlog"][at]))
    missed = [float(1 - nodes["beta"][at]) for at in served[:_SHOWN]]
    scale = bar_scale([Estimate(share, share, share) for share in missed])
    rows = []
    for at, share in zip(served, missed, strict=False):
        node, beta = results.network.nodes[at], float(nodes["beta"][at])
        rows.append(
            Row(
                name=node.name,
                bar=bar(Estimate(share, share, share), scale),
                cells=(
                    number.percent(beta),
                    number.percent(float(nodes["alpha"][at])),
                    f"{number.amount(float(nodes['backlog'][at]))} {node.unit}",
                    f"{number.amount(float(nodes['demand'][at]))} {node.unit}",
                ),
            )
        )
    return rows, len(served)


def _use_colour(use: float) -> str:
    return "#a9262e" if use >= _FULL else "#e07a3f" if use >= _BUSY else ""
