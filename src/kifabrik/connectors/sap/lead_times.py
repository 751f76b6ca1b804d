"""Lead times as they were: from the day of an order to the day its goods came, by supplier, product and plant.

A line that has not come yet says something too: its lead time is longer than it has waited so far. Leaving such
lines out makes a slow supplier look quick. So where there are any, a gamma distribution is fitted by maximum
likelihood with them as right-censored observations (`scipy.stats.CensoredData`; Klein and Moeschberger, Survival
Analysis, 2nd ed., section 3.5); mean and coefficient of variation are those of that distribution. Where every line
has come, they are those of the sample.

A line that came in several parts came with the last of them, if they make up what was ordered.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pyarrow as pa
from scipy import stats

from kifabrik.connectors.sap.pulled_tables import column, table
from kifabrik.connectors.sap.templates import LeadTimesFrom
from kifabrik.errors import UsageError

_WHOLE: Final = 0.95
"""Of what was ordered; with so much received a line counts as come, for few deliveries are exact to the gram."""
_SAME_DAY: Final = 0.5
"""Days that a line took which came on the day it was ordered, for a gamma distribution has no mass at 0."""

Key = tuple[str, ...]


class Level(StrEnum):
    """What lines were put together to find a lead time: as few as are enough."""

    LANE = "supplier, product and site"
    SITE = "supplier and site"
    SUPPLIER = "supplier"


@dataclass(frozen=True)
class LeadTime:
    """A fitted lead time.

    Args:
        level: Of the lines it is made of.
        mean: Days.
        cv: Standard deviation over mean.
        observed: Lines that came.
        open: Lines that have not come yet.
    """

    level: Level
    mean: float
    cv: float
    observed: int
    open: int


@dataclass
class _Lines:
    days: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class LeadTimes:
    """Lead times of all suppliers.

    Args:
        by_key: By level and what makes it.
        lines: Order lines that were used.
        open: Of these, not come yet.
        left_out: Lines without a day, a supplier or an order, or that came before they were ordered.
        as_of: The last day that is known: lines are open as of then.
    """

    by_key: Mapping[tuple[Level, Key], LeadTime]
    lines: int
    open: int
    left_out: int
    as_of: date

    def of(self, supplier: str, product: str, site: str) -> LeadTime | None:
        """Return the lead time of a lane, from its own lines or the nearest that are enough."""
        for level, key in _keys(supplier, product, site):
            found = self.by_key.get((level, key))
            if found is not None:
                return found
        return None


def _keys(supplier: str, product: str, site: str) -> tuple[tuple[Level, Key], ...]:
    return (
        (Level.LANE, (supplier, product, site)),
        (Level.SITE, (supplier, site)),
        (Level.SUPPLIER, (supplier,)),
    )


def fit_lead_times(wanted: LeadTimesFrom, pulled: Mapping[str, pa.Table]) -> LeadTimes:
    """Fit lead times to orders and receipts.

    Raises:
        UsageError: The plan names a table or field that is not there, or there is no line that came.
    """
    orders = _orders(wanted, pulled)
    received, quantities, last = _receipts(wanted, pulled)
    groups: dict[tuple[Level, Key], _Lines] = defaultdict(_Lines)
    lines = waiting = left_out = 0
    for order, line, product, site, ordered_quantity in _order_lines(wanted, pulled):
        supplier, ordered = orders.get(order, ("", None))
        came = received.get((order, line))
        if came is not None and quantities.get((order, line), math.inf) < _WHOLE * ordered_quantity:
            came = None
        days = _days(ordered, came, last)
        if days < 0 or not supplier:
            left_out += 1
            continue
        lines += 1
        waiting += came is None
        for level_key in _keys(supplier, product, site):
            group = groups[level_key]
            (group.waited if came is None else group.days).append(max(float(days), _SAME_DAY))
    fitted = {key: _fit(key[0], group) for key, group in groups.items() if len(group.days) >= wanted.least}
    if not fitted:
        raise UsageError(
            f"no supplier has {wanted.least} order lines that came",
            hint="Pull more orders with their receipts, or lower least under lead_times.",
        )
    return LeadTimes(fitted, lines, waiting, left_out, last)


def _days(ordered: date | None, came: date | None, last: date) -> int:
    """Days a line took, or has waited so far; negative for one that makes no sense."""
    if ordered is None:
        return -1
    return (came - ordered).days if came is not None else max((last - ordered).days, 0)


def _fit(level: Level, group: _Lines) -> LeadTime:
    days, waited = np.array(group.days), np.array(group.waited)
    mean, cv = float(days.mean()), float(days.std(ddof=1) / days.mean()) if len(days) > 1 else 0.0
    # Lines that have waited for less than anything took say nothing; neither do they where nothing varies.
    if cv > 0 and len(waited) and waited.max() > days.min():
        shape, _, scale = stats.gamma.fit(stats.CensoredData(uncensored=days, right=waited), floc=0)
        mean, cv = float(shape * scale), float(shape**-0.5)
    return LeadTime(level, mean, cv, len(days), len(waited))


def _orders(wanted: LeadTimesFrom, pulled: Mapping[str, pa.Table]) -> dict[str, tuple[str, date | None]]:
    of = wanted.orders
    found = table(of.source, pulled)
    columns = (column(found, of.source, name).to_pylist() for name in (of.order, of.supplier, of.ordered))
    return {_word(order): (_word(supplier), _day(day)) for order, supplier, day in zip(*columns, strict=True)}


def _order_lines(
    wanted: LeadTimesFrom, pulled: Mapping[str, pa.Table]
) -> Iterator[tuple[str, str, str, str, float]]:
    of = wanted.lines
    found = table(of.source, pulled)
    names = (of.order, of.line, of.product, of.site)
    columns = [column(found, of.source, name).to_pylist() for name in names]
    quantities = column(found, of.source, of.quantity).to_pylist() if of.quantity else [0] * found.num_rows
    for *words, quantity in zip(*columns, quantities, strict=True):
        order, line, product, site = map(_word, words)
        yield order, line, product, site, float(quantity or 0)


def _receipts(
    wanted: LeadTimesFrom, pulled: Mapping[str, pa.Table]
) -> tuple[dict[tuple[str, str], date], dict[tuple[str, str], float], date]:
    """Last day and quantity received of each line; and the last day of all."""
    of = wanted.receipts
    found = table(of.source, pulled)
    columns = [column(found, of.source, name).to_pylist() for name in (of.order, of.line, of.received)]
    amounts = column(found, of.source, of.quantity).to_pylist() if of.quantity else None
    days: dict[tuple[str, str], date] = {}
    quantities: dict[tuple[str, str], float] = defaultdict(float)
    for number, (order, line, moment) in enumerate(zip(*columns, strict=True)):
        key, day = (_word(order), _word(line)), _day(moment)
        if day is None:
            continue
        days[key] = max(day, days.get(key, day))
        if amounts is not None:
            quantities[key] += float(amounts[number] or 0)
    if not days:
        raise UsageError(f"{of.source} has no receipt with a day", hint="Pull receipts of the orders' time.")
    return days, quantities if of.quantity and wanted.lines.quantity else {}, max(days.values())


def _word(value: Any) -> str:
    return "" if value is None else str(value)


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if value is None or isinstance(value, date):
        return value
    raise UsageError(f"{str(value)[:40]!r} is no day", hint="Name a field of a date under lead_times.")
