"""The kernel against a simulator that is as naive as can be, on random networks, in double precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import FIGURES, LANE_FIGURES, Naive

from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.engine import trajectories
from kifabrik.recipes.supply_chain.luck import stream, threefry
from kifabrik.recipes.supply_chain.network import (
    Allocation,
    Demand,
    Disruption,
    Effect,
    Lane,
    Network,
    Node,
    Policy,
    Rule,
)
from kifabrik.recipes.supply_chain.results import Settings

PERIODS = 30
SEED = 11
NUMBER = st.floats(0, 60).map(lambda value: round(value, 2))
FEW = st.integers(0, 3)


@st.composite
def policies(draw, *, echelon, lots):
    rules = [Rule.BASE_STOCK, Rule.MIN_MAX, Rule.FIXED_LOT, Rule.FIXED_QUANTITY]
    rule = draw(st.sampled_from([*rules, Rule.ECHELON_BASE_STOCK] if echelon else rules))
    review = draw(st.sampled_from([1, 1, 1, 2, 5]))
    lot = draw(st.sampled_from([0.0, 0.0, 1.0, 7.5])) if lots else 0.0
    point = draw(NUMBER) + 0.00317  # no position is just there
    return Policy(
        rule=rule,
        level=point + draw(NUMBER) + 0.00151,  # nor is one, after demand, at the point below it
        reorder_point=point,
        quantity=draw(st.floats(4, 30).map(lambda value: round(value, 1))),
        review=review,
        offset=draw(st.integers(0, review - 1)),
        lot=lot,
        minimum=draw(st.sampled_from([0.0, 10.0])) if lots else 0.0,
    )


@st.composite
def lead_times(draw, *, random):
    if not random:
        return fixed(draw(FEW))
    values = tuple(float(value) for value in sorted(draw(st.sets(st.integers(0, 5), min_size=2, max_size=3))))
    return Distribution(kind=Kind.EMPIRICAL, values=values, weights=(1 / len(values),) * len(values))


@st.composite
def networks(
    draw,
    *,
    bills=False,
    limits=False,
    lots=False,
    alternatives=False,
    outages=(),
    echelon=False,
    late=0,
    random=False,
):
    count = draw(st.integers(1, 5))
    names = [f"p{at}@s{at % 2}" for at in range(count)]
    nodes, lanes = [], []
    for at in range(count):
        sources = [n for n in range(at) if draw(st.booleans())]
        asks = at == count - 1 or draw(st.booleans())
        waits = draw(st.sampled_from([1.0, 1.0, 0.0, 0.4]))
        nodes.append(
            Node(
                product=f"p{at}",
                site=f"s{at % 2}",
                policy=draw(policies(echelon=echelon, lots=lots)),
                demand=Demand(each=fixed(1)) if asks else None,
                backorder_share=waits if asks else 1.0,
                allocation=draw(st.sampled_from(list(Allocation))),
                initial_stock=draw(st.sampled_from([None, 1.0])) and draw(NUMBER),
                order_capacity=draw(st.sampled_from([np.inf, 25.0])) if limits else np.inf,
                making_capacity=draw(st.sampled_from([np.inf, 20.0])) if limits else np.inf,
                storage=draw(st.sampled_from([np.inf, 90.0])) if limits else np.inf,
                making_time=draw(FEW) if bills else 0,
                yields=draw(st.sampled_from([1.0, 0.8])) if bills else 1.0,
            )
        )
        for source in [*sources, *([] if sources and draw(st.booleans()) else [None])]:
            quantity = draw(st.sampled_from([1.0, 2.0, 0.5])) if bills else 1.0
            ways = draw(st.integers(1, 3)) if alternatives else 1
            by_quota = draw(st.booleans())
            for way in range(ways):
                lanes.append(  # noqa: PERF401 - draws in order
                    Lane(
                        source="" if source is None else names[source],
                        target=names[at],
                        component="raw" if source is None else f"c{source}",
                        supplier=f"maker {way}" if source is None else "",
                        mode=f"way {way}" if way else "",
                        quantity=quantity,
                        quota=draw(st.sampled_from([1.0, 3.0])) if by_quota else 0.0,
                        rank=draw(FEW),
                        customer_rank=draw(FEW),
                        order_time=draw(st.integers(0, late)),
                        lead_time=draw(lead_times(random=random)),
                        crossing=draw(st.booleans()),
                        capacity=draw(st.sampled_from([np.inf, 15.0])) if alternatives else np.inf,
                        lot=draw(st.sampled_from([0.0, 4.0])) if alternatives else 0.0,
                        initial_orders=draw(st.sampled_from([0.0, 3.0])) if late else 0.0,
                        initial_shipments=0.0 if random else draw(st.sampled_from([0.0, 5.0])),
                    )
                )
    return Network(
        name="drawn",
        nodes=tuple(nodes),
        lanes=tuple(lanes),
        disruptions=draw(troubles(nodes, lanes, outages)) if outages else (),
    )


@st.composite
def troubles(draw, nodes, lanes, effects):
    found = []
    for number in range(draw(st.integers(1, 3))):
        effect = draw(st.sampled_from(list(effects)))
        target = draw(st.sampled_from([*(node.name for node in nodes), "*@s0"]))
        if effect is Effect.LANE_OUTAGE:
            target = draw(st.sampled_from([lane.name for lane in lanes]))
        if effect is Effect.SUPPLIER_OUTAGE:
            target = draw(st.sampled_from([lane.supplier for lane in lanes if lane.supplier]))
        start, duration = draw(st.integers(0, PERIODS - 1)), draw(st.integers(1, 8))
        found.append(
            Disruption(
                name=f"trouble {number}", effect=effect, target=target, start=start, duration=duration,
                share=draw(st.sampled_from([1.0, 0.5])),
            )
        )  # fmt: skip
    return tuple(found)


def outside(network, luck):
    """Outside demand of each node with customers."""
    return {
        node.name: np.round(luck.gamma(1.2, 9, PERIODS), 2) for node in network.nodes if node.demand is not None
    }


def drawn_leads(network):
    """Lead times of scenario 0 on lanes where they are random: the second word of each lane's stream."""
    found = {}
    for e, lane in enumerate(network.lanes):
        if lane.lead_time.is_certain:
            continue
        before = sum(other.name == lane.name for other in network.lanes[: e + 1])
        keys = map(np.uint32, stream(SEED, f"lead {lane.name} {before}"))
        ends = np.cumsum(lane.lead_time.weights)
        key0, key1 = keys
        words = [int(threefry(key0, key1, np.uint32(0), np.uint32(t))[1]) for t in range(PERIODS)]
        found[e] = [int(lane.lead_time.values[np.searchsorted(ends, (word + 1) / 2**32 - 1e-9)]) for word in words]
    return found


def assert_equal(network, seed):
    demands = outside(network, np.random.default_rng(seed))
    theirs = Naive(network, demands, drawn_leads(network)).run(PERIODS)
    ours = trajectories(network, PERIODS, demands, {}, settings=Settings(scenarios=1, periods=PERIODS, seed=SEED))
    for what in (*FIGURES, *LANE_FIGURES):
        np.testing.assert_allclose(ours[what], theirs[what], rtol=1e-9, atol=1e-9, err_msg=what)


FAMILIES = {
    "one network after the other": {},
    "orders that take time": {"late": 2},
    "bills of material, yields and making times": {"bills": True},
    "capacities and storage": {"limits": True, "bills": True},
    "lots and minima": {"lots": True},
    "alternatives by quota and by rank": {"alternatives": True},
    "random lead times": {"random": True},
    "random lead times and late orders to alternatives": {"random": True, "late": 2, "alternatives": True},
    "orders that pause": {"outages": (Effect.ORDERS_PAUSE,), "bills": True, "limits": True},
    "shipments that pause": {"outages": (Effect.SHIPMENTS_PAUSE,), "bills": True, "late": 2, "alternatives": True},
    "transport that pauses": {"outages": (Effect.TRANSIT_PAUSE,), "bills": True, "limits": True},
    "receipts that pause": {"outages": (Effect.RECEIPTS_PAUSE,), "bills": True, "limits": True},
    "nodes that are out": {"outages": (Effect.OUTAGE,), "bills": True},
    "lanes that are out": {"outages": (Effect.LANE_OUTAGE,), "bills": True, "alternatives": True},
    "suppliers that are out": {"outages": (Effect.SUPPLIER_OUTAGE,), "bills": True, "alternatives": True},
    "suppliers who hear late that they are out": {
        "outages": (Effect.SUPPLIER_OUTAGE, Effect.LANE_OUTAGE),
        "late": 2,
        "random": True,
        "alternatives": True,
    },
    "capacities that shrink": {"outages": (Effect.CAPACITY_LOSS,), "limits": True, "bills": True},
    "stock that is lost": {"outages": (Effect.STOCK_LOSS, Effect.OUTAGE, Effect.LANE_OUTAGE)},
    "echelon positions": {"echelon": True, "late": 2},
    "echelon positions through bills": {"echelon": True, "bills": True, "limits": True, "lots": True},
    "echelon positions with alternatives": {"echelon": True, "bills": True, "alternatives": True, "late": 2},
    "echelon positions in trouble": {"echelon": True, "bills": True, "late": 2, "outages": tuple(Effect)},
    "everything at once": {
        "echelon": True,
        "bills": True,
        "limits": True,
        "lots": True,
        "alternatives": True,
        "late": 2,
        "random": True,
        "outages": tuple(Effect),
    },
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_unit_is_where_the_naive_simulator_has_it(family):
    @settings(max_examples=20, derandomize=True)
    @given(networks(**FAMILIES[family]), st.integers(0, 2**16))
    def check(network, seed):
        assert_equal(network, seed)

    check()
