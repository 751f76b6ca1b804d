"""What the report says about studies beyond a single run: critical nodes, outages, service against cash."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup

from kifabrik.recipes.supply_chain.report.charts import bar, bar_scale
from kifabrik.recipes.supply_chain.report.courses import recovery
from kifabrik.recipes.supply_chain.report.figures import Row
from kifabrik.recipes.supply_chain.report.numerals import NONE
from kifabrik.recipes.supply_chain.report.risk import shade
from kifabrik.recipes.supply_chain.report.teller import Teller
from kifabrik.recipes.supply_chain.studies import CriticalNode, Estimate, Frontier, OutageResult, by_cost

_SHOWN: Final = 10
_NORMAL_95: Final = 1.959964
"""97.5 % point of the standard normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageView:
    """An outage, said.

    Attributes:
        name: Of the outage.
        when: Its periods.
        picture: Backlog with and without it; None if it is not known.
        facts: Pairs of a label and a figure.
        remark: What to be careful about; empty if nothing.
    """

    name: str
    when: str
    picture: Markup | None
    facts: tuple[tuple[str, str], ...]
    remark: str


def critical_rows(critical: Sequence[CriticalNode], tell: Teller) -> list[Row]:
    """The nodes whose failure costs most."""
    nodes = by_cost(critical)[:_SHOWN]
    values = []
    for node in nodes:
        reach = _NORMAL_95 * node.error
        values.append(Estimate(node.cost, node.cost - reach, node.cost + reach))
    scale = bar_scale(values)
    highest = max((value.mean for value in values if math.isfinite(value.mean)), default=0.0)
    rows = []
    for node, value in zip(nodes, values, strict=True):
        share = math.sqrt(max(0.0, value.mean) / highest) if highest > 0 and math.isfinite(value.mean) else 0.0
        cells = (tell.numerals.amount(value.mean), tell.numerals.amount(value.high - value.mean))
        rows.append(Row(name=node.name, bar=bar(value, scale, colour=shade(share)), cells=cells))
    return rows


def outage_views(outages: Sequence[OutageResult], tell: Teller) -> list[OutageView]:
    """What each outage does."""
    return [_outage(outage, tell) for outage in outages]


def frontier_rows(frontier: Frontier, tell: Teller) -> list[tuple[str, ...]]:
    """Kind of plan, name, stock value, fill rate; against the current plan: stock value, and cost less revenue."""
    rows = []
    for point in sorted(frontier.points, key=lambda point: (not point.is_current, point.stock_value.mean)):
        kind = "current" if point.is_current else "chosen" if point.is_chosen else ""
        against = (
            tell.estimate(change) if change else NONE for change in (point.stock_difference, point.cost_difference)
        )
        figures = (tell.estimate(point.stock_value), tell.estimate(point.beta, is_share=True), *against)
        rows.append((kind, point.name, *figures))
    return rows


def _outage(outage: OutageResult, tell: Teller) -> OutageView:
    number = tell.numerals
    added = np.asarray(outage.backlog_with, dtype=np.float64) - np.asarray(outage.backlog_without, dtype=np.float64)
    seen = added[np.isfinite(added)]
    facts = [
        (tell.words("recovery_cost"), f"{tell.estimate(outage.cost_difference)} {tell.currency}"),
        (tell.words("recovery_time"), _recovered(outage.recovery.median, outage, tell)),
        (tell.words("recovery_p95"), _recovered(outage.recovery.p95, outage, tell)),
        (tell.words("recovery_not"), number.percent(outage.recovery.unrecovered)),
        (tell.words("recovery_peak"), number.amount(float(seen.max())) if seen.size else NONE),
    ]
    if outage.beta_difference is not None and math.isfinite(outage.beta_difference.mean):
        points = number.number(100 * outage.beta_difference.mean, 2)
        facts.append((tell.words("recovery_beta"), tell.words("recovery_points", points=points)))
    start, end = number.number(outage.start), number.number(outage.start + outage.periods)
    return OutageView(
        name=outage.name,
        when=f"{tell.period} {tell.words('recovery_when', start=start, end=end)}",
        picture=recovery(outage, f"{tell.words('recovery')}: {outage.name}", tell.period, number),
        facts=tuple(facts),
        remark="" if outage.cost_difference.is_distinct else tell.words("recovery_unclear"),
    )


def _recovered(periods: float, outage: OutageResult, tell: Teller) -> str:
    if math.isnan(periods):
        return NONE
    if math.isinf(periods):
        return tell.words("recovery_beyond", length=tell.length(outage.periods_left))
    return tell.length(round(periods, 1))
