"""From parsed rows to nodes, lanes and disruptions."""

import math
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.network import (
    INFINITE,
    Allocation,
    Correlation,
    Demand,
    Disruption,
    Effect,
    Lane,
    Node,
    Policy,
    Rule,
)
from kifabrik.recipes.supply_chain.tables.cells import Parsed, Row
from kifabrik.recipes.supply_chain.tables.levels import Sizing
from kifabrik.recipes.supply_chain.tables.schema import DAYS, UNIT_NAMES, Unit

_YEAR: Final = 365.0
_NOTHING: Final = Row(0, {})


def pair(row: Row, product: str = "product", site: str = "site") -> tuple[str, str]:
    """Product and site of a row."""
    return row.text(product), row.text(site)


def nodes(parsed: Parsed) -> list[Node]:
    """A node for each row of `product_site`."""
    products = {row.text("product"): row for row in parsed.rows["products"]}
    sites = {row.text("site"): row for row in parsed.rows["sites"]}
    making = {pair(row): row for row in parsed.rows["production"]}
    stock: dict[tuple[str, str], float] = {}
    for row in parsed.rows["inventory"]:
        stock[pair(row)] = stock.get(pair(row), 0.0) + row.number_or("on_hand", 0.0)
    demands = {pair(row): row for row in parsed.rows["demand"]}
    return [
        _node(
            parsed,
            row,
            products.get(row.text("product"), _NOTHING),
            sites.get(row.text("site"), _NOTHING),
            making.get(pair(row), _NOTHING),
            demands.get(pair(row)),
            stock.get(pair(row)),
        )
        for row in parsed.rows["product_site"]
    ]


def _node(
    parsed: Parsed, row: Row, product: Row, site: Row, making: Row, demand: Row | None, stock: float | None
) -> Node:
    value = row.number_or("value", product.number_or("value", 0.0))
    rate = row.number_or("holding_rate", product.number_or("holding_rate", 0.0))
    x, y = (row.number_or(name, site.number_or(name, math.nan)) for name in ("longitude", "latitude"))
    return Node(
        product=row.text("product"),
        site=row.text("site"),
        policy=Policy(
            rule=Rule(row.text("rule", Rule.BASE_STOCK)),
            level=row.number_or("level", 0.0),
            reorder_point=row.number_or("reorder_point", 0.0),
            quantity=row.number_or("quantity", 0.0),
            review=max(1, row.whole("review")),
            offset=row.whole("offset"),
            minimum=row.number_or("minimum", 0.0),
            lot=row.number_or("lot", 0.0),
        ),
        demand=None if demand is None else _demand(parsed, demand),
        backorder_share=1.0 if demand is None else demand.number_or("backorder_share", 1.0),
        allocation=Allocation(row.text("allocation", Allocation.PRIORITY)),
        initial_stock=stock,
        holding_cost=row.number_or("holding_cost", value * rate * parsed.period_days / _YEAR),
        in_transit_cost=row.maybe("in_transit_cost"),
        stockout_cost=row.number_or("stockout_cost", 0.0),
        lost_sale_cost=row.number_or("lost_sale_cost", 0.0),
        order_cost=row.number_or("order_cost", 0.0),
        price=row.number_or("price", product.number_or("price", 0.0)),
        value=value,
        order_capacity=row.number_or("order_capacity", INFINITE),
        making_capacity=making.number_or("capacity", INFINITE),
        making_time=making.whole("making_time"),
        yields=making.number_or("yield", 1.0),
        storage=row.number_or("storage", INFINITE),
        service_target=row.number_or("service_target", 0.0),
        promised_time=row.whole("promised_time"),
        place=None if math.isnan(x) or math.isnan(y) else (x, y),
        unit=row.text("unit", product.text("unit", "pcs")),
    )


def sizings(parsed: Parsed) -> dict[str, Sizing]:
    """Nodes that order up to a level but name none."""
    return {
        "@".join(pair(row)): Sizing(
            service=row.number_or("service_level", 0.95), safety_stock=row.maybe("safety_stock")
        )
        for row in parsed.rows["product_site"]
        if "level" not in row.values and row.text("rule", Rule.BASE_STOCK) == Rule.BASE_STOCK
    }


def _demand(parsed: Parsed, row: Row) -> Demand:
    length = _per(row, parsed.period_days)
    average = row.number_or("mean", 0.0)
    sd = row.number_or("sd", row.number_or("cv", 0.0) * average)
    kind = Kind(row.text("kind", Kind.NORMAL if sd > 0 else Kind.FIXED))
    if length != 1 and kind in {Kind.UNIFORM, Kind.EMPIRICAL}:
        parsed.report("demand", row.number, "per", f"A {kind} demand must be given per period.")
    chance = row.number_or("chance", 1.0)
    if kind is Kind.INTERMITTENT:
        if chance * length > 1:
            parsed.report("demand", row.number, "chance", f"In one period the chance would be {chance * length:g}.")
        chance = min(1.0, chance * length)
    else:
        average, sd, chance = average * length, sd * math.sqrt(length), 1.0
    each = _distribution(
        parsed, ("demand", row.number, "kind"), kind, average, sd, chance, row.numbers("values"),
        row.numbers("weights"),
    )  # fmt: skip
    return Demand(
        each=each,
        factors=_factors(row),
        shared_luck=row.text("shared_luck"),
        loading=row.number_or("loading", 0.0),
    )


def _per(row: Row, period_days: float) -> float:
    """Length of a period, in what the demand is given per."""
    unit = UNIT_NAMES[row.text("per", "period")]
    return 1.0 if unit is Unit.PERIODS else period_days / DAYS[unit]


def _factors(row: Row) -> tuple[float, ...]:
    factors, time = row.numbers("factors"), row.number_or("factor_time", 1.0)
    if not factors or time == 1:
        return factors
    ends = [math.floor(number * time + 0.5) for number in range(len(factors) + 1)]
    return tuple(factor for place, factor in enumerate(factors) for _ in range(ends[place], ends[place + 1]))


def _distribution(
    parsed: Parsed,
    where: tuple[str, int, str],
    kind: Kind,
    average: float,
    sd: float,
    chance: float,
    values: tuple[float, ...],
    weights: tuple[float, ...],
) -> Distribution:
    if kind is Kind.EMPIRICAL and values and not weights:
        counted = sorted(set(values))
        weights = tuple(values.count(value) / len(values) for value in counted)
        values = tuple(counted)
    if kind in {Kind.FIXED, Kind.POISSON}:
        sd = 0.0
    if kind in {Kind.GAMMA, Kind.LOGNORMAL} and sd > 0 and average <= 0:
        parsed.report(*where, f"A {kind} distribution needs a mean above zero.")
        return fixed(0.0)
    try:
        return Distribution(kind=kind, mean=average, sd=sd, chance=chance, values=values, weights=weights)
    except UsageError as error:
        parsed.report(*where, error.message)
        return fixed(0.0)


def lanes(parsed: Parsed) -> list[Lane]:
    """Lanes of `bom`, `lanes` and `sourcing`, in this order."""
    usual = {
        pair(row): row.values["delivery_time"]
        for row in parsed.rows["product_site"]
        if "delivery_time" in row.values
    }
    found = [_bom_lane(row, site) for row in parsed.rows["bom"] for site in made_at(parsed, row)]
    for row in parsed.rows["lanes"]:
        target = (row.text("for_product") or row.text("product"), row.text("to_site"))
        source = "@".join(pair(row, site="from_site"))
        component = row.text("component") or row.text("product")
        found.append(_travel(parsed, "lanes", row, usual.get(target), (source, "@".join(target), component)))
    for row in parsed.rows["sourcing"]:
        target = pair(row)
        component = row.text("component") or target[0]
        found.append(_travel(parsed, "sourcing", row, usual.get(target), ("", "@".join(target), component)))
    return found


def made_at(parsed: Parsed, row: Row) -> tuple[str, ...]:
    """Sites at which a row of `bom` counts."""
    if row.text("site"):
        return (row.text("site"),)
    return parsed.makers(row.text("product"))


def _bom_lane(row: Row, site: str) -> Lane:
    component = row.text("component")
    base = row.number_or("base_quantity", 1.0) or 1.0
    quantity = row.number_or("quantity", 1.0) / base * (1 + row.number_or("scrap", 0.0))
    target = f"{row.text('product')}@{site}"
    return Lane(source=f"{component}@{site}", target=target, component=component, quantity=quantity)


def _travel(parsed: Parsed, table: str, row: Row, usual: object, ends: tuple[str, str, str]) -> Lane:
    source, target, component = ends
    return Lane(
        source=source,
        target=target,
        component=component,
        supplier=row.text("supplier"),
        mode=row.text("mode"),
        quantity=row.number_or("quantity", 1.0),
        quota=row.number_or("quota", 0.0),
        rank=row.whole("priority"),
        customer_rank=row.whole("customer_rank"),
        order_time=row.whole("order_time"),
        lead_time=_lead_time(parsed, table, row, usual if isinstance(usual, float) else 0.0),
        crossing=bool(row.values.get("crossing", True)),
        capacity=row.number_or("capacity", INFINITE),
        lot=row.number_or("lot", 0.0),
        unit_cost=row.number_or("unit_cost", 0.0) / (row.number_or("price_unit", 1.0) or 1.0),
        order_cost=row.number_or("order_cost", 0.0),
        in_transit_cost=row.maybe("in_transit_cost"),
        initial_orders=row.number_or("initial_orders", 0.0),
        initial_shipments=row.number_or("initial_shipments", 0.0),
    )


def _lead_time(parsed: Parsed, table: str, row: Row, usual: float) -> Distribution:
    average = row.number_or("lead_time", usual)
    sd = row.number_or("lead_time_sd", row.number_or("lead_time_cv", 0.0) * average)
    kind = Kind(row.text("lead_time_kind", Kind.GAMMA if sd > 0 else Kind.FIXED))
    if kind is Kind.FIXED:
        return fixed(math.floor(average + 0.5))
    where = (table, row.number, "lead_time")
    values, scale = row.numbers("lead_time_values"), _scale(row, parsed.period_days)
    return _distribution(
        parsed, where, kind, average, sd, 1.0, tuple(value * scale for value in values),
        row.numbers("lead_time_weights"),
    )  # fmt: skip


def _scale(row: Row, period_days: float) -> float:
    unit = UNIT_NAMES.get(row.text("lead_time_unit", "days").lower(), Unit.DAYS)
    return 1.0 if unit is Unit.PERIODS else DAYS[unit] / period_days


def disruptions(parsed: Parsed) -> list[Disruption]:
    """All disruptions."""
    return [
        Disruption(
            name=row.text("name"),
            effect=Effect(row.text("effect", Effect.OUTAGE)),
            target=row.text("target").replace(" -> ", " → "),
            start=row.whole("start") if "start" in row.values else None,
            duration=row.whole("duration"),
            chance=row.number_or("chance", 1.0),
            probability=row.number_or("probability", 0.0),
            recovery=row.number_or("recovery", 1.0),
            share=row.number_or("share", 1.0),
        )
        for row in parsed.rows["disruptions"]
    ]


def correlations(parsed: Parsed) -> list[Correlation]:
    """All correlations."""
    return [
        Correlation(
            one="@".join(pair(row)),
            other="@".join(pair(row, "other_product", "other_site")),
            coefficient=row.number_or("coefficient", 0.0),
        )
        for row in parsed.rows["correlations"]
    ]
