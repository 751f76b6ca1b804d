"""A network written as tables that read back as the same network."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind
from kifabrik.recipes.supply_chain.network import Correlation, Disruption, Lane, Network, Node
from kifabrik.recipes.supply_chain.tables.columns import TABLES

Cells = dict[str, object]


def write_tables(network: Network, folder: Path) -> None:
    """Write a network as CSV files; `read_network` gives it back, lanes from nodes before lanes from outside.

    Raises:
        UsageError: If the folder has such tables already.
    """
    parts = {node.name: node for node in network.nodes}
    tables: dict[str, list[Cells]] = {
        "network": [
            {
                "name": network.name,
                "period_days": network.period_days,
                "currency": network.currency,
                "semantics": network.semantics,
            }
        ],
        "products": [{"product": product} for product in dict.fromkeys(node.product for node in network.nodes)],
        "sites": [{"site": site} for site in dict.fromkeys(node.site for node in network.nodes)],
        "product_site": [_node(node) for node in network.nodes],
        "production": [_making(node) for node in network.nodes if _is_made(node)],
        "lanes": [_inner(lane, parts) for lane in network.lanes if lane.source],
        "sourcing": [_outer(lane, parts[lane.target]) for lane in network.lanes if not lane.source],
        "demand": [_demand(node) for node in network.nodes if node.demand],
        "correlations": [_correlation(each, parts) for each in network.correlations],
        "inventory": [
            {"product": node.product, "site": node.site, "on_hand": node.initial_stock}
            for node in network.nodes
            if node.initial_stock is not None
        ],
        "disruptions": [_disruption(disruption) for disruption in network.disruptions],
    }
    write_csvs({name: rows for name, rows in tables.items() if rows}, folder)


def write_csvs(tables: Mapping[str, Sequence[Cells]], folder: Path) -> None:
    """Write rows as CSV files, with the columns that any row uses, in the order of the schema.

    Raises:
        UsageError: If the folder has such tables already.
    """
    refuse_existing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        used = {column for row in rows for column, value in row.items() if value is not None and value != ""}
        known = [
            heading
            for column in TABLES[name].columns
            for heading in (column.name, column.where_unit)
            if heading in used
        ]
        headings = list(dict.fromkeys(known))
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(headings)
            writer.writerows([_cell(row.get(heading)) for heading in headings] for row in rows)


def refuse_existing(folder: Path) -> None:
    """Refuse a folder that has tables already.

    Raises:
        UsageError: If it has.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.")
    there = [name for name in TABLES if (folder / f"{name}.csv").exists()]
    if there:
        raise UsageError(f"{folder} has tables already: {', '.join(there)}.", hint="Name another folder.")


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004
            return str(int(value))
        case tuple():
            return " ".join(repr(float(number)) for number in value)
        case float():
            return repr(value)
        case _:
            return str(value)


def _limit(value: float) -> float | None:
    return None if math.isinf(value) else value


def _node(node: Node) -> Cells:
    policy = node.policy
    return {
        "product": node.product,
        "site": node.site,
        "rule": policy.rule,
        "level": policy.level,
        "reorder_point": policy.reorder_point,
        "quantity": policy.quantity,
        "review": policy.review,
        "offset": policy.offset,
        "minimum": policy.minimum,
        "lot": policy.lot,
        "allocation": node.allocation,
        "holding_cost": node.holding_cost,
        "in_transit_cost": node.in_transit_cost,
        "stockout_cost": node.stockout_cost,
        "lost_sale_cost": node.lost_sale_cost,
        "order_cost": node.order_cost,
        "price": node.price,
        "value": node.value,
        "order_capacity": _limit(node.order_capacity),
        "storage": _limit(node.storage),
        "service_target": node.service_target,
        "promised_time": f"{node.promised_time} periods" if node.promised_time else None,
        "longitude": node.place[0] if node.place else None,
        "latitude": node.place[1] if node.place else None,
        "unit": node.unit,
    }


def _is_made(node: Node) -> bool:
    return node.making_time != 0 or node.yields != 1 or not math.isinf(node.making_capacity)


def _making(node: Node) -> Cells:
    return {
        "product": node.product,
        "site": node.site,
        "making_time": f"{node.making_time} periods",
        "capacity": _limit(node.making_capacity),
        "yield": node.yields,
    }


def _inner(lane: Lane, parts: Mapping[str, Node]) -> Cells:
    source, target = parts[lane.source], parts[lane.target]
    return {
        "product": source.product,
        "from_site": source.site,
        "to_site": target.site,
        "for_product": target.product if target.product != source.product else None,
        "component": lane.component if lane.component != source.product else None,
        "customer_rank": lane.customer_rank,
        **_travel(lane),
    }


def _outer(lane: Lane, target: Node) -> Cells:
    return {
        "product": target.product,
        "site": target.site,
        "supplier": lane.supplier,
        "component": lane.component if lane.component != target.product else None,
        **_travel(lane),
    }


def _travel(lane: Lane) -> Cells:
    time = lane.lead_time
    return {
        "quantity": lane.quantity,
        "lead_time": time.mean,
        "lead_time_unit": "periods",
        "lead_time_kind": time.kind,
        "lead_time_sd": time.sd or None,
        "lead_time_values": time.values or None,
        "lead_time_weights": time.weights or None,
        "order_time": f"{lane.order_time} periods" if lane.order_time else None,
        "crossing": lane.crossing,
        "mode": lane.mode,
        "quota": lane.quota or None,
        "priority": lane.rank,
        "capacity": _limit(lane.capacity),
        "lot": lane.lot,
        "unit_cost": lane.unit_cost,
        "order_cost": lane.order_cost,
        "in_transit_cost": lane.in_transit_cost,
        "initial_orders": lane.initial_orders,
        "initial_shipments": lane.initial_shipments,
    }


def _demand(node: Node) -> Cells:
    demand = node.demand
    each = demand.each if demand else Distribution(kind=Kind.FIXED)
    return {
        "product": node.product,
        "site": node.site,
        "kind": each.kind,
        "mean": each.mean,
        "sd": each.sd or None,
        "chance": each.chance,
        "values": each.values or None,
        "weights": each.weights or None,
        "per": "period",
        "factors": demand.factors if demand and demand.factors else None,
        "backorder_share": node.backorder_share,
        "shared_luck": demand.shared_luck if demand else None,
        "loading": demand.loading if demand else None,
    }


def _correlation(each: Correlation, parts: Mapping[str, Node]) -> Cells:
    one, other = parts[each.one], parts[each.other]
    return {
        "product": one.product,
        "site": one.site,
        "other_product": other.product,
        "other_site": other.site,
        "coefficient": each.coefficient,
    }


def _disruption(disruption: Disruption) -> Cells:
    dated = disruption.start is not None
    return {
        "name": disruption.name,
        "effect": disruption.effect,
        "target": disruption.target.replace(" → ", " -> "),
        "start": disruption.start,
        "start_unit": "periods",
        "duration": disruption.duration if dated else None,
        "chance": disruption.chance,
        "probability": disruption.probability,
        "recovery": disruption.recovery,
        "share": disruption.share,
    }
