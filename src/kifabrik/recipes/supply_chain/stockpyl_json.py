"""Reads instance files of stockpyl 1.0.2 into a `Network` with the semantics of that program.

Invariants:
    - Every stockpyl node becomes one node, product and site named after its index.
    - What cannot be said in a `Network` is refused, never left out; the node and the attribute are named.
    - Explicit lists of disruptions, which stockpyl repeats without end, are written out for `periods` periods.
"""

import json
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import fixed
from kifabrik.recipes.supply_chain.network import (
    INFINITE,
    Disruption,
    Effect,
    Lane,
    Network,
    Node,
    Policy,
    Rule,
    Semantics,
)
from kifabrik.recipes.supply_chain.stockpyl_demand import demand_of
from kifabrik.recipes.supply_chain.stockpyl_fields import Fields, as_index

PERIODS: Final = 365
"""How far explicit lists of disruptions are written out unless told otherwise."""
_RULES: Final = {
    "BS": (Rule.BASE_STOCK, ("base_stock_level",)),
    "EBS": (Rule.ECHELON_BASE_STOCK, ("base_stock_level",)),
    "sS": (Rule.MIN_MAX, ("reorder_point", "order_up_to_level")),
    "rQ": (Rule.FIXED_LOT, ("reorder_point", "order_quantity")),
    "FQ": (Rule.FIXED_QUANTITY, ("order_quantity",)),
}
"""Rule of each of stockpyl's policies, and what it needs."""
_EFFECTS: Final = {
    effect.value: effect
    for effect in (
        Effect.ORDERS_PAUSE,
        Effect.SHIPMENTS_PAUSE,
        Effect.TRANSIT_PAUSE,
        Effect.RECEIPTS_PAUSE,
    )
}


def read(path: Path, name: str = "", *, periods: int = PERIODS) -> Network:
    """Read one instance from a file of stockpyl's instances.

    Args:
        path: The file.
        name: Of the instance; empty: the only network in the file.
        periods: How far explicit lists of disruptions are written out.

    Raises:
        UsageError: If the file is none of stockpyl's, has no such instance, or it cannot be expressed.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}.") from None
    instances = _instances(path, content)
    if not name:
        networks = sorted(each for each, data in instances.items() if _is_network(data))
        if len(networks) != 1:
            raise UsageError(
                f"{path} has {len(networks) or 'no'} networks.",
                hint=f"Name one: --name {' | '.join(networks)}" if networks else "",
            )
        name = networks[0]
    if name not in instances:
        raise UsageError(f"{path} has no instance {name}.", hint=f"It has: {', '.join(sorted(instances))}.")
    return from_dict(instances[name], name, periods=periods)


def _instances(path: Path, content: Any) -> dict[str, Any]:
    """Instances by name; a file that holds a network itself has one of the file's name."""
    if _is_network(content):
        return {path.stem: content}
    listed = content.get("instances") if isinstance(content, Mapping) else None
    if not isinstance(listed, list):
        raise UsageError(f"{path} is not an instance file of stockpyl: it has no list 'instances'.")
    for place, each in enumerate(listed, 1):
        if not isinstance(each, Mapping) or not isinstance(each.get("name"), str) or "data" not in each:
            raise UsageError(f"{path} is not an instance file of stockpyl: entry {place} has no name or no data.")
    return {each["name"]: each["data"] for each in listed}


def _is_network(data: Any) -> bool:
    return isinstance(data, Mapping) and isinstance(data.get("_nodes"), list)


def from_dict(data: Mapping[str, Any], name: str, *, periods: int = PERIODS) -> Network:
    """Make a network of stockpyl's dictionary of one (`SupplyChainNetwork.to_dict`).

    Raises:
        UsageError: If it is no network, or has what cannot be expressed.
    """
    if not _is_network(data):
        raise UsageError(f"The instance {name} is not a network.")
    products = {
        index: product
        for product in data.get("_products") or ()
        if isinstance(product, Mapping) and (index := as_index(product.get("_index"))) is not None
    }
    nodes: dict[int, Fields] = {}
    for place, each in enumerate(data["_nodes"], 1):
        index = as_index(each.get("_index")) if isinstance(each, Mapping) else None
        if index is None:
            raise UsageError(f"Entry {place} of the nodes of {name} has no index, so it is no node.")
        if index in nodes:
            raise UsageError(f"Node {index} is there twice.")
        nodes[index] = _fields(index, each, products)
    return Network(
        name=name,
        nodes=tuple(_node(index, node) for index, node in nodes.items()),
        lanes=tuple(lane for index in nodes for lane in _lanes(index, nodes)),
        disruptions=tuple(d for index, node in nodes.items() for d in _disruptions(index, node, periods)),
        semantics=Semantics.STOCKPYL,
    )


def node_name(index: int, given: str | None = None) -> str:
    """Name of the node made of the stockpyl node with this index."""
    return f"{given or index}@node {index}"


def _fields(index: int, node: Mapping[str, Any], products: Mapping[int, Mapping[str, Any]]) -> Fields:
    owner = f"Node {index}"
    made = Fields(owner, node, {}).indices("_product_indices")
    if len(made) > 1:
        raise UsageError(f"{owner} has several products; only nodes with one can be read.")
    product = made[0] if made else None
    fields = Fields(owner, node, products.get(product, {}) if product is not None else {}, product)
    for what in ("local_holding_cost_function", "stockout_cost_function"):
        if fields.get(what) is not None:
            raise UsageError(f"{owner} has a {what.replace('_', ' ')}; only linear costs can be read.")
    if fields.get("name") is not None and not isinstance(fields.get("name"), str):
        raise fields.wrong("name", "is not a text")
    return fields


def _named(index: int, node: Fields) -> str:
    return node_name(index, node.values.get("name"))


def _node(index: int, node: Fields) -> Node:
    return Node(
        product=str(node.values.get("name") or index),
        site=f"node {index}",
        policy=_policy(node),
        demand=demand_of(node.part("demand_source")),
        initial_stock=node.maybe("initial_inventory_level"),
        holding_cost=node.amount("local_holding_cost"),
        in_transit_cost=node.maybe("in_transit_holding_cost"),
        stockout_cost=node.amount("stockout_cost"),
        price=node.amount("revenue"),
        order_capacity=node.amount("order_capacity") or INFINITE,
    )


def _policy(node: Fields) -> Policy:
    policy = node.part("_inventory_policy" if "_inventory_policy" in node.values else "inventory_policy")
    kind = policy.get("type")
    if kind is None:
        raise UsageError(f"{node.owner} has no policy, so it cannot be simulated.")
    if not isinstance(kind, str) or kind not in _RULES:
        raise UsageError(
            f"{node.owner} has the policy {kind!r:.20}, which cannot be read.",
            hint=f"Known are {', '.join(_RULES)}.",
        )
    rule, needed = _RULES[kind]
    has = {what: policy.number(what, None) for what in needed}
    if "order_quantity" in has and has["order_quantity"] <= 0:
        raise policy.wrong("order_quantity", "is not above zero")
    point, up_to = has.get("reorder_point", 0.0), has.get("order_up_to_level", has.get("base_stock_level", 0.0))
    if kind == "sS" and point > up_to:
        raise policy.wrong("reorder_point", f"is above the order-up-to level {up_to:g}")
    return Policy(rule=rule, level=up_to, reorder_point=point, quantity=has.get("order_quantity", 0.0))


def _lanes(index: int, nodes: Mapping[int, Fields]) -> list[Lane]:
    node = nodes[index]
    common: dict[str, Any] = {
        "target": _named(index, node),
        "order_time": node.periods("order_lead_time"),
        "lead_time": fixed(node.periods("shipment_lead_time")),
        "initial_orders": node.amount("initial_orders"),
        "initial_shipments": node.amount("initial_shipments"),
    }
    lanes: list[Lane] = []
    makers: dict[int, int] = {}
    bill = _bill(node)
    for before in node.indices("_predecessor_indices"):
        source = nodes.get(before)
        if source is None:
            raise UsageError(f"{node.owner} has the predecessor {before}, which is not there.")
        served = source.indices("_successor_indices")
        if index not in served:
            raise UsageError(f"{node.owner} has the predecessor {before}, but is not among its successors.")
        if source.product is not None and makers.setdefault(source.product, before) != before:
            raise UsageError(
                f"{node.owner} gets product {source.product} from nodes {makers[source.product]} and {before}; "
                "only one source of each product can be read."
            )
        lanes.append(
            Lane(
                source=_named(before, source),
                component=str(source.values.get("name") or before),
                quantity=bill.pop(source.product, 1.0),
                customer_rank=served.index(index),
                **common,
            )
        )
    for after in node.indices("_successor_indices"):
        if after not in nodes or index not in nodes[after].indices("_predecessor_indices"):
            raise UsageError(f"{node.owner} has the successor {after}, which does not have it as predecessor.")
    if bill:
        raise UsageError(f"{node.owner} needs product {next(iter(bill))}, which none of its predecessors has.")
    if node.get("supply_type") is not None:
        lanes.append(Lane(source="", component="raw", supplier=f"supplier of {index}", **common))
    if not lanes:
        raise UsageError(f"{node.owner} has neither a predecessor nor a supply type, so nothing supplies it.")
    return lanes


def _bill(node: Fields) -> dict[int | None, float]:
    """Units of each product in one of the node's."""
    found = node.fallback.get("_bill_of_materials") or {}
    if not isinstance(found, Mapping):
        raise UsageError(f"{node.owner}: the bill of materials of its product is not a dictionary.")
    bill: dict[int | None, float] = {}
    for key in found:
        index = as_index(key)
        units = Fields(f"{node.owner}: bill of materials", found, {}).amount(key)
        if index is None:
            raise UsageError(f"{node.owner}: {key!r:.20} in the bill of materials is not the index of a product.")
        if units > 0:
            bill[index] = units
    return bill


def _disruptions(index: int, node: Fields, periods: int) -> list[Disruption]:
    process = node.part("disruption_process", "random_process_type")
    kind = process.get("random_process_type")
    if kind is None:
        return []
    effect = process.get("disruption_type") or "OP"
    if not isinstance(effect, str) or effect not in _EFFECTS:
        raise process.wrong("disruption_type", "cannot be read", f"Known are {', '.join(_EFFECTS)}.")
    common: dict[str, Any] = {"effect": _EFFECTS[effect], "target": _named(index, node)}
    if kind == "M":
        return [
            Disruption(
                name=f"disruption of {index}",
                probability=process.chance("disruption_probability"),
                recovery=process.chance("recovery_probability"),
                **common,
            )
        ]
    if kind != "E":
        raise process.wrong("random_process_type", "cannot be read", "Known are M and E.")
    return [
        Disruption(name=f"disruption of {index} in {start}", start=start, duration=length, **common)
        for start, length in _spells(_states(process), periods)
    ]


def _states(process: Fields) -> list[bool]:
    found = process.get("disruption_state_list")
    states = found if isinstance(found, list | tuple) else [found]
    if not states:
        raise process.wrong("disruption_state_list", "is empty")
    if any(state not in (True, False, 0, 1) for state in states):
        raise process.wrong("disruption_state_list", "has something other than true and false")
    return [bool(state) for state in states]


def _spells(states: list[bool], periods: int) -> list[tuple[int, int]]:
    """Start and length of each spell of disruption, the states repeated over so many periods."""
    every = [states[period % len(states)] for period in range(periods)]
    spells, start = [], 0
    for state, run in groupby(every):
        length = len(list(run))
        if state:
            spells.append((start, length))
        start += length
    return spells
