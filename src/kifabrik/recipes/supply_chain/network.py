"""A supply network: products at sites, the lanes between them, and what can go wrong.

Amounts are in the product's own unit, times in whole periods, money in the network's currency, rates per period.

Invariants:
    - A node is one product at one site. Its name is `product@site`.
    - Lanes go from where a component lies to where it is used; there is no cycle.
    - Every node has at least one lane in, from another node or from an outside supplier.
    - Lanes into a node that bring the same component are alternatives of each other.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import Distribution, fixed

INFINITE = math.inf


class Rule(StrEnum):
    """How a node orders. The position is stock on hand and on order, less what is owed."""

    BASE_STOCK = "base-stock"  # up to `level`
    ECHELON_BASE_STOCK = "echelon-base-stock"  # up to `level`, position counted with everything downstream
    MIN_MAX = "s-S"  # when at or below `reorder_point`, up to `level`
    FIXED_LOT = "r-Q"  # when at or below `reorder_point`, `quantity` or several of it
    FIXED_QUANTITY = "fixed-quantity"  # `quantity`, whatever there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When and how much a node orders.

    Attributes:
        rule: The rule; it says which of the next three count.
        level: What the position is brought up to.
        reorder_point: At or below this position an order is placed.
        quantity: Size of a fixed lot.
        review: Orders are placed every so many periods.
        offset: The first period with an order, below `review`.
        minimum: No order is smaller; one that would be is raised to it.
        lot: Orders, raised to the minimum, are rounded up to a multiple of it; 0: not at all.
    """

    rule: Rule = Rule.BASE_STOCK
    level: float = 0.0
    reorder_point: float = 0.0
    quantity: float = 0.0
    review: int = 1
    offset: int = 0
    minimum: float = 0.0
    lot: float = 0.0


class Allocation(StrEnum):
    """Who is served first when there is too little."""

    PRIORITY = "priority"  # in order of the lanes' `customer_rank`, outside customers last among equals
    PROPORTIONAL = "proportional"  # all who can be reached, by the same share of what they are owed
    FIRST_COME = "first-come"  # what was owed before first; within that by the same share


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What outside customers of a node ask for, in each period.

    Attributes:
        each: Distribution of one period's demand.
        factors: Multiplies period t by `factors[t % len(factors)]`; empty: not at all.
        shared_luck: Name of a luck shared with other nodes; empty: none.
        loading: Correlation of this node's normal score with the shared luck, -1 to 1.
    """

    each: Distribution
    factors: tuple[float, ...] = ()
    shared_luck: str = ""
    loading: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A product at a site.

    Attributes:
        product: Product.
        site: Site.
        policy: How it orders.
        demand: Demand of outside customers; None: there are none.
        backorder_share: Of outside demand that cannot be met at once, the share that waits; the rest is lost.
        allocation: Who is served first.
        initial_stock: Stock at the start; None: what the policy's rule asks for with nothing there.
        holding_cost: For each unit on hand at the end of a period.
        in_transit_cost: For each unit on its way to other nodes at the end of a period; None: the holding cost.
        stockout_cost: For each unit owed at the end of a period; for each unit lost, `lost_sale_cost`.
        lost_sale_cost: For each unit not sold for want of stock.
        order_cost: For each period in which an order is placed.
        price: Earned for each unit shipped to outside customers.
        value: What a unit is worth, for the money bound in stock.
        order_capacity: Most that is ordered in a period.
        making_capacity: Most that is made of components in a period.
        making_time: Periods from components to stock.
        yields: Units that come out for each unit made, above 0 and at most 1.
        storage: Orders keep stock, and what comes, at or below this.
        service_target: Fill rate (beta) or cycle service to reach at least, for the optimiser; 0: none.
        promised_time: Service time promised to outside customers, for the guaranteed-service model.
        place: (longitude, latitude) or drawing coordinates, for maps; None if unknown.
        unit: Unit of amounts, for reports.
    """

    product: str
    site: str
    policy: Policy = field(default_factory=Policy)
    demand: Demand | None = None
    backorder_share: float = 1.0
    allocation: Allocation = Allocation.PRIORITY
    initial_stock: float | None = None
    holding_cost: float = 0.0
    in_transit_cost: float | None = None
    stockout_cost: float = 0.0
    lost_sale_cost: float = 0.0
    order_cost: float = 0.0
    price: float = 0.0
    value: float = 0.0
    order_capacity: float = INFINITE
    making_capacity: float = INFINITE
    making_time: int = 0
    yields: float = 1.0
    storage: float = INFINITE
    service_target: float = 0.0
    promised_time: int = 0
    place: tuple[float, float] | None = None
    unit: str = "pcs"

    @property
    def name(self) -> str:
        """`product@site`."""
        return f"{self.product}@{self.site}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A way on which a component comes to a node.

    Attributes:
        source: Name of the node it comes from; empty: an outside supplier, who has everything.
        target: Name of the node it goes to.
        component: What is brought; lanes of one target with the same component are alternatives.
        supplier: Name of the outside supplier.
        mode: How it travels, for reports.
        quantity: Units of the component in one unit of the target's product.
        quota: Share of the target's orders placed here, among alternatives; all zero: by `rank`.
        rank: Lower is tried first, among alternatives without quotas, each up to its capacity.
        customer_rank: Lower is served first by the source.
        order_time: Periods until an order reaches the source.
        lead_time: Periods from shipping to arrival. Drawn values are rounded to whole periods.
        crossing: Whether a later shipment may arrive before an earlier one; else it arrives with it.
        capacity: Most that is ordered here in a period.
        lot: Orders here are rounded up to a multiple of it; 0: not at all.
        unit_cost: For each unit shipped (transport; from suppliers: also the price).
        order_cost: For each period with an order here.
        in_transit_cost: For each unit on this way at the end of a period; None: the source's.
        initial_orders: Units already ordered, in each of the `order_time` periods before the start.
        initial_shipments: Units already shipped, in each of the periods of a fixed lead time before the start.
    """

    source: str
    target: str
    component: str
    supplier: str = ""
    mode: str = ""
    quantity: float = 1.0
    quota: float = 0.0
    rank: int = 0
    customer_rank: int = 0
    order_time: int = 0
    lead_time: Distribution = field(default_factory=lambda: fixed(0))
    crossing: bool = True
    capacity: float = INFINITE
    lot: float = 0.0
    unit_cost: float = 0.0
    order_cost: float = 0.0
    in_transit_cost: float | None = None
    initial_orders: float = 0.0
    initial_shipments: float = 0.0

    @property
    def name(self) -> str:
        """`source → target`, with the mode where there is one."""
        arrow = f"{self.source or self.supplier or 'outside'} → {self.target}"
        return f"{arrow} ({self.mode})" if self.mode else arrow


class Effect(StrEnum):
    """What a disruption does while it lasts. The first four are those of stockpyl, by its names."""

    ORDERS_PAUSE = "OP"  # the node places no orders
    SHIPMENTS_PAUSE = "SP"  # nothing is shipped to the node; it is set aside at its sources, which have met it
    TRANSIT_PAUSE = "TP"  # what is on its way to the node stands still
    RECEIPTS_PAUSE = "RP"  # what arrives waits outside the node
    OUTAGE = "outage"  # the node begins to make nothing and ships nothing
    LANE_OUTAGE = "lane-outage"  # nothing leaves on the lane; orders wait, or go to alternatives by rank
    SUPPLIER_OUTAGE = "supplier-outage"  # the same for all lanes of an outside supplier
    CAPACITY_LOSS = "capacity-loss"  # making and order capacity shrink by `share`, of several by the largest
    STOCK_LOSS = "stock-loss"  # at the start, before demand, `share` of what is on hand is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Disruption:
    """Trouble at a node, on a lane or with a supplier.

    Attributes:
        name: What it is called in reports.
        effect: What it does.
        target: Name of a node (`product@site`, or `*@site` for all of a site), of a lane, or of a supplier.
        start: First period of a dated one; None: it comes and goes by chance.
        duration: Periods of a dated one.
        chance: Of a dated one: the probability that it happens.
        probability: Of one by chance: that it begins in a period in which it is not there.
        recovery: Of one by chance: that it ends in a period in which it is there.
        share: Of capacity or stock that is lost, 0 to 1.
    """

    name: str
    effect: Effect
    target: str
    start: int | None = None
    duration: int = 0
    chance: float = 1.0
    probability: float = 0.0
    recovery: float = 1.0
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """How closely the outside demands of two nodes go together.

    Attributes:
        one: Name of a node.
        other: Name of another.
        coefficient: Pearson's correlation of their demands of one period, before seasonal factors; 0 of pairs that
            are not given.
    """

    one: str
    other: str
    coefficient: float


class Semantics(StrEnum):
    """Where two readings of the same model differ: docs/supply-chain.md lists each difference."""

    KIFABRIK = "kifabrik"
    STOCKPYL = "stockpyl-1.0.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A whole network, checked.

    Attributes:
        name: For reports.
        nodes: Products at sites; names are unique.
        lanes: Ways between them.
        disruptions: What can go wrong.
        correlations: Demands that go together.
        period_days: Length of a period.
        currency: Of all money.
        semantics: How the model is read.

    Raises:
        UsageError: If a lane leads nowhere, a node has no lane in, names repeat or there is a cycle.
    """

    name: str
    nodes: tuple[Node, ...]
    lanes: tuple[Lane, ...]
    disruptions: tuple[Disruption, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    period_days: float = 1.0
    currency: str = "EUR"
    semantics: Semantics = Semantics.KIFABRIK

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"The node {twice} is there twice.")
        if not names:
            raise UsageError("The network has no node.")
        known, fed = set(names), {lane.target for lane in self.lanes}
        for lane in self.lanes:
            if lane.target not in known or (lane.source and lane.source not in known):
                raise UsageError(f"The lane {lane.name} leads to or from a node that is not there.")
        for name in names:
            if name not in fed:
                raise UsageError(f"Nothing supplies {name}: no lane leads there.")
        self.in_order()

    def in_order(self) -> tuple[str, ...]:
        """Names of nodes, sources before what they supply.

        Raises:
            UsageError: If there is a cycle; it is named.
        """
        before: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for lane in self.lanes:
            if lane.source:
                before[lane.target].append(lane.source)
        try:
            return tuple(TopologicalSorter(before).static_order())
        except CycleError as error:
            cycle = " → ".join(error.args[1])
            raise UsageError(f"The network has a cycle: {cycle}.", hint="Nothing can be made of itself.") from None
