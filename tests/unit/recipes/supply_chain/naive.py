"""A second simulator of the default semantics: one scenario, plain Python, as slow and as short as can be.

Written from docs/supply-chain.md and from what `network.py` says of every field, not from the kernel. Every unit is
somewhere: on hand, owed, set aside, on its way, waiting, a component in store, or being made.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from kifabrik.recipes.supply_chain.network import Allocation, Effect, Rule

FIGURES = (
    "inventory_level", "on_hand", "order", "demand", "made", "met", "outside_shipped", "outside_owed", "shipped",
    "raw",
)  # fmt: skip
MONEY_FIGURES = ("owed", "lost", "raw_cost")
LANE_FIGURES = ("lane_shipped", "lane_backorder", "lane_aside", "lane_waiting", "lane_under_way")


@dataclass
class Way:
    """What is on a lane, in units of the component."""

    ordered: dict = field(
        default_factory=lambda: defaultdict(float)
    )  # period in which the source hears of it: units
    coming: dict = field(default_factory=lambda: defaultdict(float))  # period of arrival: units
    owed: float = 0.0
    aside: float = 0.0
    waiting: float = 0.0
    held: float = 0.0
    latest: int = 0

    def on_order(self):
        """All that was ordered and is not received."""
        listed = sum(self.ordered.values()) + sum(self.coming.values())
        return listed + self.owed + self.aside + self.waiting + self.held


@dataclass
class Place:
    """What is at a node."""

    on_hand: float
    making: list
    raw: dict = field(default_factory=lambda: defaultdict(float))  # component: units
    owed: float = 0.0  # to outside customers


class Naive:
    """A network and its state."""

    def __init__(self, network, demands, leads):
        """`demands`: outside demand of nodes, each [period]; `leads`: drawn lead times of lanes, each [period]."""
        self.network, self.demands, self.leads = network, demands, leads
        self.nodes = {node.name: node for node in network.nodes}
        self.into = {name: [e for e, x in enumerate(network.lanes) if x.target == name] for name in self.nodes}
        self.out = {name: [e for e, x in enumerate(network.lanes) if x.source == name] for name in self.nodes}
        for lanes in self.out.values():
            lanes.sort(key=lambda e: network.lanes[e].customer_rank)
        self.order = network.in_order()
        self.ways = [Way() for _ in network.lanes]
        self.places = {name: Place(self.start(node), [0.0] * node.making_time) for name, node in self.nodes.items()}
        for e, lane in enumerate(network.lanes):
            for period in range(round(lane.lead_time.expected())):
                self.ways[e].coming[period] += lane.initial_shipments
            for period in range(lane.order_time):
                self.ways[e].ordered[period] += lane.initial_orders

    @staticmethod
    def start(node):
        """Stock at the start; what the policy would order with nothing there, unless given."""
        policy = node.policy
        if node.initial_stock is not None:
            return node.initial_stock
        match policy.rule:
            case Rule.FIXED_LOT:
                lots = math.floor(policy.reorder_point / policy.quantity) + 1 if policy.reorder_point >= 0 else 0
                return lots * policy.quantity
            case Rule.FIXED_QUANTITY:
                return policy.quantity
            case Rule.MIN_MAX:
                return policy.level if policy.reorder_point >= 0 else 0.0
            case _:
                return max(0.0, policy.level)

    def hit(self, t, effect, *targets):
        """Disruptions of this kind that are there in period t at one of these targets."""
        return [
            trouble
            for trouble in self.network.disruptions
            if trouble.effect is effect
            and trouble.target in targets
            and trouble.start <= t < trouble.start + trouble.duration
        ]

    def at_node(self, t, effect, name):
        return self.hit(t, effect, name, f"*@{self.nodes[name].site}")

    def lane_is_out(self, t, e):
        lane = self.network.lanes[e]
        return bool(
            self.hit(t, Effect.LANE_OUTAGE, lane.name)
            or (lane.supplier and self.hit(t, Effect.SUPPLIER_OUTAGE, lane.supplier))
        )

    def capacity(self, t, name, most):
        lost = max((x.share for x in self.at_node(t, Effect.CAPACITY_LOSS, name)), default=0.0)
        return most * (1 - lost) if math.isfinite(most) else most

    def components(self, name):
        """Alternative lanes of each component, and units of it in a good unit of the node."""
        found = {}
        for e in self.into[name]:
            found.setdefault(self.network.lanes[e].component, []).append(e)
        return {
            component: (
                sorted(lanes, key=lambda e: self.network.lanes[e].rank),
                self.network.lanes[lanes[0]].quantity / self.nodes[name].yields,
            )
            for component, lanes in found.items()
        }

    def position(self, name):
        place = self.places[name]
        coming = min(
            (place.raw[component] + sum(self.ways[e].on_order() for e in lanes)) / units
            for component, (lanes, units) in self.components(name).items()
        )
        return place.on_hand + coming + sum(place.making) - self.owed(name)

    def inside(self, name, other):
        """Units of a node in a unit of another: through bills, by the source of each component that holds most."""
        if name == other:
            return 1.0
        return sum(units * self.inside_component(name, lanes) for lanes, units in self.components(other).values())

    def inside_component(self, name, lanes):
        sources = [self.network.lanes[e].source for e in lanes]
        return max(self.inside(name, source) if source else 0.0 for source in sources)

    def echelon_position(self, name):
        """The position with all that is downstream instead of what is owed there, in the node's own units."""
        total = self.position(name) + self.owed(name) - self.places[name].owed
        for other, place in self.places.items():
            if other != name:
                here = place.on_hand + sum(place.making) - place.owed
                total += self.inside(name, other) * here
                for component, (lanes, _) in self.components(other).items():
                    total += self.inside_component(name, lanes) * place.raw[component]
        for lane, way in zip(self.network.lanes, self.ways, strict=True):
            if lane.source:
                total += self.inside(name, lane.source) * (sum(way.coming.values()) + way.aside + way.waiting)
        return total

    def rate(self, name, component):
        """Holding cost of a component in store: that of its first source."""
        lanes, _ = self.components(name)[component]
        sources = [self.network.lanes[e].source for e in lanes if self.network.lanes[e].source]
        return self.nodes[sources[0]].holding_cost if sources else 0.0

    def owed(self, name):
        return self.places[name].owed + sum(self.ways[e].owed for e in self.out[name])

    def run(self, periods):
        shape = (periods, len(self.nodes))
        self.books = {what: np.zeros(shape) for what in (*FIGURES, *MONEY_FIGURES)}
        self.lane_books = {what: np.zeros((periods, len(self.ways))) for what in (*LANE_FIGURES, "lane_order")}
        self.number = {node.name: at for at, node in enumerate(self.network.nodes)}
        for t in range(periods):
            asked = {name: self.demands[name][t] if name in self.demands else 0.0 for name in self.nodes}
            heard = {}
            for name in self.nodes:
                self.lose(t, name)
            for name in reversed(self.order):
                for e in self.out[name]:
                    heard[e] = self.ways[e].ordered.pop(t, 0.0)
                    self.ways[e].owed += heard[e]
                self.places[name].owed += asked[name]
                self.note(t, name, "demand", asked[name] + sum(heard[e] for e in self.out[name]))
                self.place_order(t, name)
            for e, lane in enumerate(self.network.lanes):
                if not lane.source:
                    self.supply(t, e)
            for name in self.order:
                made = self.receive_and_make(t, name)
                self.note(t, name, "made", made)
                self.serve(t, name, asked[name], heard)
            self.count(t)
        return self.books | self.lane_books

    def note(self, t, name, what, value):
        self.books[what][t, self.number[name]] = value

    def wanted(self, name, policy, here):
        """What the rule asks for at this position."""
        match policy.rule:
            case Rule.BASE_STOCK:
                return max(0.0, policy.level - here)
            case Rule.ECHELON_BASE_STOCK:
                return max(0.0, policy.level - self.echelon_position(name))
            case Rule.MIN_MAX:
                return policy.level - here if here <= policy.reorder_point else 0.0
            case Rule.FIXED_LOT:
                lots = 0
                while here + lots * policy.quantity <= policy.reorder_point:
                    lots += 1
                return lots * policy.quantity
            case _:
                return policy.quantity

    def place_order(self, t, name):
        node, policy, place = self.nodes[name], self.nodes[name].policy, self.places[name]
        amount = 0.0
        if t >= policy.offset and (t - policy.offset) % policy.review == 0:
            here = self.position(name)
            amount = self.wanted(name, policy, here)
            if amount > 1e-9:
                amount = max(amount, policy.minimum)
            if policy.lot:
                amount = math.ceil(amount / policy.lot - 1e-6) * policy.lot
            # stock and what comes, beyond what is owed from it already
            stock = max(place.on_hand - self.owed(name), 0.0) + here - place.on_hand + self.owed(name)
            amount = max(0.0, min(amount, node.storage - stock, self.capacity(t, name, node.order_capacity)))
            if self.at_node(t, Effect.ORDERS_PAUSE, name):
                amount = 0.0
        self.note(t, name, "order", amount)
        for lanes, units in self.components(name).values():
            self.split(t, lanes, amount * units)

    def split(self, t, lanes, wanted):
        """Pass what is wanted of a component to its lanes: by quota, else in order of rank."""
        quotas = sum(self.network.lanes[e].quota for e in lanes)
        left = wanted
        for e in lanes:
            lane = self.network.lanes[e]
            amount = wanted * lane.quota / quotas if quotas else left
            if not quotas and len(lanes) > 1 and self.lane_is_out(t, e):
                amount = 0.0
            if lane.lot:
                amount = math.ceil(amount / lane.lot - 1e-6) * lane.lot
            amount = min(amount, lane.capacity)
            left = max(0.0, left - amount)
            self.pass_on(t, e, amount)

    def pass_on(self, t, e, amount):
        self.ways[e].ordered[t + self.network.lanes[e].order_time] += amount
        self.lane_books["lane_order"][t, e] = amount

    def supply(self, t, e):
        """An outside supplier ships what it has heard of, unless something is in the way."""
        lane, way = self.network.lanes[e], self.ways[e]
        way.held += way.ordered.pop(t, 0.0)
        if not self.lane_is_out(t, e) and not self.at_node(t, Effect.SHIPMENTS_PAUSE, lane.target):
            self.depart(t, e, way.held)
            way.held = 0.0

    def depart(self, t, e, amount):
        lane, way = self.network.lanes[e], self.ways[e]
        arrival = t + (self.leads[e][t] if e in self.leads else round(lane.lead_time.expected()))
        if not lane.crossing and amount > 1e-6:
            arrival = way.latest = max(way.latest, arrival)
        way.coming[arrival] += amount
        self.lane_books["lane_shipped"][t, e] = amount

    def lose(self, t, name):
        """At the start of a loss of stock, its share of what is on hand is gone."""
        for trouble in self.at_node(t, Effect.STOCK_LOSS, name):
            if trouble.start == t:
                self.places[name].on_hand *= 1 - trouble.share

    def receive_and_make(self, t, name):
        node, place = self.nodes[name], self.places[name]
        for e in self.into[name]:
            way = self.ways[e]
            way.waiting += way.coming.pop(t, 0.0)
            if not self.at_node(t, Effect.RECEIPTS_PAUSE, name):
                place.raw[self.network.lanes[e].component] += way.waiting
                way.waiting = 0.0
        parts = self.components(name)
        begun = min(place.raw[component] / units for component, (_, units) in parts.items())
        begun = min(begun, self.capacity(t, name, node.making_capacity))
        if self.at_node(t, Effect.OUTAGE, name):
            begun = 0.0
        for component, (_, units) in parts.items():
            place.raw[component] -= begun * units
        place.making.append(begun)
        made = place.making.pop(0)
        place.on_hand += made
        return made

    def serve(self, t, name, asked, heard):
        node, place = self.nodes[name], self.places[name]
        old = {e: self.ways[e].owed - heard[e] for e in self.out[name]}
        new = {e: heard[e] for e in self.out[name]}
        if name in self.demands:
            old[None], new[None] = place.owed - asked, asked
        can = 0.0 if self.at_node(t, Effect.OUTAGE, name) else place.on_hand
        out = {e for e in self.out[name] if self.lane_is_out(t, e)}
        ready = self.shares(node.allocation, can, old, new, out)
        met = 0.0
        for e, amount in ready.items():
            if e is None:
                place.owed -= amount
                self.note(t, name, "outside_shipped", amount)
            else:
                self.ways[e].owed -= amount
                self.ship(t, e, amount)
            place.on_hand -= amount
            met += max(0.0, amount - old[e])
        if None in new:
            lost = (1 - node.backorder_share) * min(place.owed, asked)
            place.owed -= lost
            self.note(t, name, "lost", lost)
        self.note(t, name, "met", met)

    def shares(self, allocation, can, old, new, out):
        """What each customer gets of what is there; over lanes that are out, nothing."""
        total = sum(units for e, units in old.items() if e not in out)
        fresh = sum(units for e, units in new.items() if e not in out)
        ready = {}
        for e in old:  # in order of rank, outside customers last
            if e in out:
                ready[e] = 0.0
                continue
            match allocation:
                case Allocation.PRIORITY:
                    ready[e] = min(can - sum(ready.values()), old[e] + new[e])
                case Allocation.PROPORTIONAL:
                    share = min(1.0, can / (total + fresh)) if total + fresh else 0.0
                    ready[e] = share * (old[e] + new[e])
                case Allocation.FIRST_COME:
                    first = min(1.0, can / total) if total else 0.0
                    then = min(1.0, max(0.0, can - total) / fresh) if fresh else 0.0
                    ready[e] = first * old[e] + then * new[e]
        return ready

    def ship(self, t, e, amount):
        way = self.ways[e]
        way.aside += amount
        if not self.at_node(t, Effect.SHIPMENTS_PAUSE, self.network.lanes[e].target):
            self.depart(t, e, way.aside)
            way.aside = 0.0

    def count(self, t):
        for name, place in self.places.items():
            self.note(t, name, "on_hand", place.on_hand)
            self.note(t, name, "inventory_level", place.on_hand - self.owed(name))
            self.note(t, name, "outside_owed", place.owed)
            self.note(t, name, "owed", self.owed(name))
            self.note(t, name, "raw_cost", sum(x * self.rate(name, part) for part, x in place.raw.items()))
            self.note(t, name, "raw", sum(place.raw.values()))
            shipped = sum(self.lane_books["lane_shipped"][t, e] for e in self.out[name])
            self.note(t, name, "shipped", shipped + self.books["outside_shipped"][t, self.number[name]])
        for e, way in enumerate(self.ways):
            self.lane_books["lane_backorder"][t, e] = way.owed if self.network.lanes[e].source else 0.0
            self.lane_books["lane_aside"][t, e] = way.aside
            self.lane_books["lane_waiting"][t, e] = way.waiting
            self.lane_books["lane_under_way"][t, e] = sum(way.coming.values())
            if self.at_node(t, Effect.TRANSIT_PAUSE, self.network.lanes[e].target):
                # things move from one period to the next; these do not
                way.coming = defaultdict(float, {due + 1: units for due, units in way.coming.items()})
                way.latest += way.latest > t
