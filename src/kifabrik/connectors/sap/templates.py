"""Plans that join the pieces: master data to a supply network, history to a forecast.

What a template makes lies in the same sealed version as the tables it was made of, and is made in memory from all
of them. So a template takes all rows each time, and none of an interrupted pull.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from kifabrik.connectors.sap.plan import Identifier, Part, Plan, parse, plan_text

MOST_TEMPLATE_ROWS: Final = 5_000_000
"""In all sets together: a template holds them in memory."""

Word = Annotated[str, Field(min_length=1, max_length=200)]


class TableFrom(Part):
    """A table of the network, made of one pulled table.

    Args:
        source: Name of the pulled table: of an entity set, or of its children (`Orders_items`).
        columns: Column of the network's table to field of the pulled one.
        constants: Column to a value that is the same in each row, such as `lead_time_unit: days`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    source: Annotated[Identifier, Field(alias="from")]
    columns: Mapping[Identifier, Identifier]
    constants: Mapping[Identifier, Word] = {}


class HistoryFrom(Part):
    """Demand of the past, made of one pulled table: one row for each product, site and day, or several to add up.

    Args:
        source: Name of the pulled table.
        product: Its field with the product.
        site: With the site.
        date: With the day.
        quantity: With what was asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    source: Annotated[Identifier, Field(alias="from")]
    product: Identifier
    site: Identifier
    date: Identifier
    quantity: Identifier


class Sourced(Part):
    """Fields of one pulled table."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    source: Annotated[Identifier, Field(alias="from")]


class LinesFrom(Sourced):
    """Lines of purchase orders.

    Args:
        order: Field with the order's number.
        line: With the line's.
        product: With the product.
        site: With the site the goods go to.
        quantity: With what was ordered, if several receipts are to make it up.
    """

    order: Identifier
    line: Identifier
    product: Identifier
    site: Identifier
    quantity: Identifier = ""


class OrdersFrom(Sourced):
    """Headings of purchase orders.

    Args:
        order: Field with the order's number.
        supplier: With the supplier.
        ordered: With the day it was ordered.
    """

    order: Identifier
    supplier: Identifier
    ordered: Identifier


class ReceiptsFrom(Sourced):
    """Goods receipts.

    Args:
        order: Field with the order's number.
        line: With the line's.
        received: With the day the goods came.
        quantity: With how much came, if several receipts are to make a line up.
    """

    order: Identifier
    line: Identifier
    received: Identifier
    quantity: Identifier = ""


class LeadTimesFrom(Part):
    """Lead times, fitted to when goods came.

    Args:
        lines: Lines of purchase orders.
        orders: Their headings; the same table again if it has all of it.
        receipts: What came.
        least: Lines that came, from which on they are enough for a lead time of their own.
    """

    lines: LinesFrom
    orders: OrdersFrom
    receipts: ReceiptsFrom
    least: Annotated[int, Field(ge=2, le=10_000)] = 5

    @model_validator(mode="after")
    def _both(self) -> "LeadTimesFrom":
        if bool(self.lines.quantity) != bool(self.receipts.quantity):
            raise ValueError("quantity goes under both lines and receipts, or under neither")
        return self


class NetworkFrom(Part):
    """A supply network.

    Args:
        tables: By name; docs/supply-chain.md lists them.
        history: Demand to fit; without it the table `demand` is needed.
        lead_times: Orders and receipts the lead times of `sourcing` are fitted to.
        name: Of the network.
        currency: Of all money.
    """

    tables: Annotated[Mapping[Identifier, TableFrom], Field(min_length=1)]
    history: HistoryFrom | None = None
    lead_times: LeadTimesFrom | None = None
    name: Word = "network"
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"


class ForecastFrom(Part):
    """A forecast.

    Args:
        history: Demand of the past.
        weeks: How far ahead.
        service: Cycle service the safety stock is for, with `lead_time_days`.
        lead_time_days: How long replenishment takes.
    """

    history: HistoryFrom
    weeks: Annotated[int, Field(ge=1, le=104)] = 12
    service: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    lead_time_days: Annotated[float, Field(gt=0, le=730)] = 7
    method: Literal["seasonal-mean"] = "seasonal-mean"


class TemplatePlan(Plan):
    """A pull whose tables are worked with at once."""

    @model_validator(mode="after")
    def _bounded(self) -> "TemplatePlan":
        rows = sum(one.rows for one in self.pull)
        if rows > MOST_TEMPLATE_ROWS:
            raise ValueError(
                f"the sets may have {rows:,} rows together, and a template works on {MOST_TEMPLATE_ROWS:,}"
            )
        changing = [one.entity_set for one in self.pull if one.changes]
        if changing:
            raise ValueError(f"{changing[0]}: a template needs all rows each time, so changes does not go with it")
        return self


class NetworkPlan(TemplatePlan):
    """Master data to pull, and the network it makes."""

    network: NetworkFrom


class ForecastPlan(TemplatePlan):
    """History to pull, and the forecast it makes."""

    forecast: ForecastFrom


def read_network_plan(path: Path) -> NetworkPlan:
    """Read a plan.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no such plan; names the key.
    """
    return parse(NetworkPlan, plan_text(path), str(path))


def read_forecast_plan(path: Path) -> ForecastPlan:
    """Read a plan.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no such plan; names the key.
    """
    return parse(ForecastPlan, plan_text(path), str(path))
