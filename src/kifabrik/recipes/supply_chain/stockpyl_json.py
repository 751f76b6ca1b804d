"""Reads instance files of stockpyl 1.0.2 into a `Network` with the semantics of that program.

Invariants:
    - Every stockpyl node becomes one node, product and site named after its index.
    - What cannot be said in a `Network` is refused, never left out.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.network import (
    INFINITE,
    Demand,
    Disruption,
    Effect,
    Lane,
    Network,
    Node,
    Policy,
    Rule,
    Semantics,
)

_RULES: Final = {
    "BS": Rule.BASE_STOCK,
    "EBS": Rule.ECHELON_BASE_STOCK,
    "sS": Rule.MIN_MAX,
    "rQ": Rule.FIXED_LOT,
    "FQ": Rule.FIXED_QUANTITY,
}


def read(path: Path, name: str) -> Network:
    """Read one instance from a file of stockpyl's instances.

    Raises:
        UsageError: If the file is none of stockpyl's, has no such instance, or it cannot be expressed.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        instances = {instance["name"]: instance["data"] for instance in content["instances"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not an instance file of stockpyl: {error}.") from None
    if name not in instances:
        raise UsageError(f"{path} has no instance {name}.", hint=f"It has: {', '.join(sorted(instances))}.")
    return from_dict(instances[name], name)


def from_dict(data: Mapping[str, Any], name: str) -> Network:
    """Make a network of stockpyl's dictionary of one (`SupplyChainNetwork.to_dict`).

    Raises:
        UsageError: If it is no network, or has what cannot be expressed.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("_nodes"), list):
        raise UsageError(f"The instance {name} is not a network.")
    nodes = {int(node["_index"]): node for node in data["_nodes"]}
    products = {int(p["_index"]): p for p in data.get("_products") or [] if isinstance(p, Mapping)}
    for index, node in nodes.items():
        _refuse(index, node)
    return Network(
        name=name,
        nodes=tuple(_node(index, node) for index, node in nodes.items()),
        lanes=tuple(lane for index in nodes for lane in _lanes(index, nodes, products)),
        disruptions=tuple(d for index, node in nodes.items() for d in _disruptions(index, node)),
        semantics=Semantics.STOCKPYL,
    )


def node_name(index: int, given: str | None = None) -> str:
    """Name of the node made of the stockpyl node with this index."""
    return f"{given or index}@node {index}"


def _refuse(index: int, node: Mapping[str, Any]) -> None:
    if len(node.get("_product_indices") or [0]) > 1:
        raise UsageError(f"Node {index} has several products; only nodes with one can be read.")
    for what in ("local_holding_cost_function", "stockout_cost_function"):
        if node.get(what) is not None:
            raise UsageError(f"Node {index} has a {what}; only linear costs can be read.")
    kind = (node.get("_inventory_policy") or {}).get("type")
    if kind not in _RULES:
        raise UsageError(
            f"Node {index} has the policy {kind}, which cannot be read.", hint=f"Known are {', '.join(_RULES)}."
        )


def _amount(value: Any) -> float:
    return float(value or 0)


def _node(index: int, node: Mapping[str, Any]) -> Node:
    policy = node["_inventory_policy"]
    up_to = policy.get("order_up_to_level") if policy["type"] == "sS" else policy.get("base_stock_level")
    level, transit = node.get("initial_inventory_level"), node.get("in_transit_holding_cost")
    return Node(
        product=str(node.get("name") or index),
        site=f"node {index}",
        policy=Policy(
            rule=_RULES[policy["type"]],
            level=_amount(up_to),
            reorder_point=_amount(policy.get("reorder_point")),
            quantity=_amount(policy.get("order_quantity")),
        ),
        demand=_demand(index, node.get("demand_source") or {}),
        initial_stock=None if level is None else float(level),
        holding_cost=_amount(node.get("local_holding_cost")),
        in_transit_cost=None if transit is None else float(transit),
        stockout_cost=_amount(node.get("stockout_cost")),
        price=_amount(node.get("revenue")),
        order_capacity=_amount(node.get("order_capacity")) or INFINITE,
    )


def _demand(index: int, source: Mapping[str, Any]) -> Demand | None:  # noqa: C901, PLR0911 - one line per family
    kind = source.get("type")
    if kind is None:
        return None
    mean, sd = _amount(source.get("mean")), _amount(source.get("standard_deviation"))
    low, high = _amount(source.get("lo")), _amount(source.get("hi"))
    if source.get("round_to_int") and kind in {"N", "UC"}:
        raise UsageError(f"Node {index} rounds continuous demand to whole numbers, which cannot be read.")
    listed = source.get("demand_list")
    match kind:
        case "N":
            return Demand(each=Distribution(kind=Kind.NORMAL, mean=mean, sd=sd))
        case "P":
            return Demand(each=Distribution(kind=Kind.POISSON, mean=mean))
        case "UC":
            return Demand(each=Distribution(kind=Kind.UNIFORM, values=(low, high)))
        case "UD":
            values = range(round(low), round(high) + 1)
            return Demand(each=_empirical(list(values), [1 / len(values)] * len(values)))
        case "NB":
            n, p = _amount(source.get("n")), _amount(source.get("p"))
            mean = n * (1 - p) / p
            return Demand(each=Distribution(kind=Kind.NEGATIVE_BINOMIAL, mean=mean, sd=math.sqrt(mean / p)))
        case "CD":
            return Demand(each=_empirical(listed or [], source.get("probabilities") or []))
        case "D" if isinstance(listed, list):
            return Demand(each=fixed(1), factors=tuple(map(float, listed)))
        case "D":
            return Demand(each=fixed(_amount(listed)))
        case _:
            raise UsageError(f"Node {index} has demand of the type {kind}, which cannot be read.")


def _empirical(values: list[Any], chances: list[Any]) -> Distribution:
    sums: dict[float, float] = {}
    for value, chance in zip(values, chances, strict=True):
        sums[float(value)] = sums.get(float(value), 0.0) + float(chance)
    kept = sorted(sums)
    return Distribution(kind=Kind.EMPIRICAL, values=tuple(kept), weights=tuple(sums[value] for value in kept))


def _lanes(index: int, nodes: dict[int, Any], products: dict[int, Any]) -> list[Lane]:
    node = nodes[index]
    own = products.get((node.get("_product_indices") or [None])[0], {})
    bill = {int(key): float(value) for key, value in (own.get("_bill_of_materials") or {}).items()}
    common: dict[str, Any] = {
        "target": node_name(index, node.get("name")),
        "order_time": round(_amount(node.get("order_lead_time"))),
        "lead_time": fixed(_amount(node.get("shipment_lead_time"))),
        "initial_orders": _amount(node.get("initial_orders")),
        "initial_shipments": _amount(node.get("initial_shipments")),
    }
    lanes = []
    for before in node.get("_predecessor_indices") or []:
        if before is None:
            continue
        source = nodes[int(before)]
        made = int((source.get("_product_indices") or [0])[0])
        lanes.append(
            Lane(
                source=node_name(int(before), source.get("name")),
                component=str(source.get("name") or before),
                quantity=bill.get(made, 1.0),
                customer_rank=(source.get("_successor_indices") or []).index(index),
                **common,
            )
        )
    if node.get("supply_type") is not None or not lanes:
        lanes.append(Lane(source="", component="raw", supplier=f"supplier of {index}", **common))
    return lanes


def _disruptions(index: int, node: Mapping[str, Any]) -> list[Disruption]:
    process = node.get("disruption_process") or {}
    kind = process.get("random_process_type")
    if kind is None:
        return []
    common: dict[str, Any] = {
        "effect": Effect(process.get("disruption_type") or "OP"),
        "target": node_name(index, node.get("name")),
    }
    if kind == "M":
        return [
            Disruption(
                name=f"disruption of {index}",
                probability=_amount(process.get("disruption_probability")),
                recovery=_amount(process.get("recovery_probability")),
                **common,
            )
        ]
    if kind != "E":
        raise UsageError(f"Node {index} has disruptions of the type {kind}, which cannot be read.")
    states = list(process.get("disruption_state_list") or [])
    return [
        Disruption(name=f"disruption of {index} in {start}", start=start, duration=1, **common)
        for start, state in enumerate(states)
        if state
    ]
