"""The scheduler: examples, and a simulated factory that hypothesis drives."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kifabrik.factory.capacity import Demand, Gpu, Node, Occupation, Share
from kifabrik.factory.schedule import Holding, Promise, Situation, TenantShare, Waiting, schedule
from kifabrik.values import Place, Resources

GB = 10**9
HOUR = 3600.0


def node(name="n1", *, cpus=8, memory=64 * GB, gpus=0, model="H200", country="DE", python="3.11"):
    cards = tuple(Gpu(index, model, 141 * GB) for index in range(gpus))
    return Node(f"n-{name}", name, Place(country), cpus, memory, cards, (python,))


def run(name, tenant="t-a", *, cpus=1, memory=GB, gpus=0, nodes=1, hours=1.0, priority=0, ordered=0.0, **more):
    asked = Resources(cpus=cpus, memory_bytes=memory, gpu_count=gpus, nodes=nodes)
    demand = Demand(asked, more.pop("place", Place()), more.pop("python", "3.11"))
    return Waiting(name, tenant, demand, hours * HOUR, priority, ordered, 1000 * cpus, **more)


def holding(name, *shares, tenant="t-a", ends=HOUR):
    return Holding(name, tenant, shares, ends, 1000)


def decide(nodes, waiting, held=(), tenants=None, now=0.0):
    return schedule(Situation(nodes, waiting, held, tenants or {}, now))


def started(decision):
    return [start.run for start in decision.starts]


@given(
    gpus=st.lists(st.tuples(st.sampled_from(["H100", "H200"]), st.sampled_from([80, 141])), max_size=4),
    resources=st.builds(
        Resources,
        cpus=st.integers(1, 3),
        memory_bytes=st.integers(1, 3),
        gpu_count=st.integers(0, 3),
        gpu_model=st.sampled_from(["", "h200"]),
        gpu_memory_bytes=st.sampled_from([0, 100]),
    ),
    staged=st.integers(0, 2),
)
def test_a_node_could_hold_a_run_exactly_if_an_empty_one_has_a_share_for_it(gpus, resources, staged):
    found = tuple(Gpu(index, model, memory) for index, (model, memory) in enumerate(gpus))
    node = Node("n-1", "box", Place(), cpus=2, memory_bytes=3, gpus=found)
    demand = Demand(resources, Place(), staged_bytes=staged)
    assert demand.fits_empty(node) == (demand.share_of(node, node.everything) is not None)


def test_a_run_that_fits_starts_at_once():
    decision = decide([node()], [run("r1")])
    assert started(decision) == ["r1"]
    assert decision.reasons == {}


def test_no_gpu_is_given_twice():
    decision = decide([node(gpus=2)], [run(f"r{i}", gpus=1, ordered=i) for i in range(3)])
    assert started(decision) == ["r0", "r1"]
    assert sorted(start.placement[0].gpus for start in decision.starts) == [(0,), (1,)]


def test_a_waiting_run_says_what_is_in_use_and_until_when():
    held = holding("r0", Share("n-n1", 1, GB, (0, 1)))
    decision = decide([node(gpus=2)], [run("r1", gpus=1)], [held])
    assert decision.reasons["r1"] == (
        "Waits for 1 GPU: 2 of 2 are in use; the next frees up at 01:00 UTC at the latest. "
        "Its turn comes at 01:00 UTC at the latest."
    )


def test_a_run_that_can_never_start_says_what_the_biggest_node_has():
    decision = decide([node(gpus=1)], [run("r1", gpus=4)])
    assert decision.reasons["r1"] == (
        "No node has 4 GPUs: the biggest, n1, has 1 GPU H200 (141 GB), 8 CPU cores and 64 GB of memory."
    )


def test_a_place_without_nodes_is_named():
    decision = decide([node()], [run("r1", place=Place("FR"))])
    assert decision.reasons["r1"] == "No node is in FR; there are nodes in DE."


def test_another_python_is_named():
    decision = decide([node()], [run("r1", python="3.13")])
    assert decision.reasons["r1"] == "No node has Python 3.13; there is Python 3.11."


def test_a_higher_priority_comes_first_within_a_tenant():
    waiting = [run("old", cpus=8), run("urgent", cpus=8, priority=5, ordered=9)]
    assert started(decide([node()], waiting)) == ["urgent"]


def test_the_tenant_that_used_less_lately_comes_first():
    waiting = [run("busy", "t-a", cpus=8), run("idle", "t-b", cpus=8, ordered=9)]
    tenants = {"t-a": TenantShare(used=5e6), "t-b": TenantShare(used=1e6)}
    assert started(decide([node()], waiting, tenants=tenants)) == ["idle"]


def test_room_is_divided_between_tenants_that_come_at_the_same_time():
    waiting = [run(f"a{i}", "t-a", ordered=i) for i in range(20)]
    waiting += [run(f"b{i}", "t-b", ordered=50 + i) for i in range(20)]
    names = started(decide([node(cpus=8)], waiting))
    assert sum(name.startswith("b") for name in names) == 4


def test_a_tenant_of_double_weight_gets_twice_the_room():
    waiting = [run(f"{t}{i}", f"t-{t}", ordered=i) for t in "ab" for i in range(20)]
    names = started(decide([node(cpus=9)], waiting, tenants={"t-b": TenantShare(weight=2)}))
    assert sum(name.startswith("b") for name in names) == 6


def test_a_short_run_is_backfilled_and_a_long_one_is_not():
    held = holding("r0", Share("n-n1", 6, GB), ends=2 * HOUR)
    waiting = [
        run("large", cpus=10),
        run("short", cpus=2, hours=2, ordered=1),
        run("long", cpus=2, hours=3, ordered=2),
    ]
    decision = decide([node(cpus=10)], waiting, [held])
    assert started(decision) == ["short"]
    assert decision.promises[0].run == "large"
    assert decision.promises[0].window.starts == 2 * HOUR
    assert decision.reasons["long"].startswith("Waits so that an earlier run can start in time.")


def test_a_tenant_never_holds_more_than_its_limit():
    waiting = [run(f"r{i}", ordered=i) for i in range(8)]
    decision = decide([node()], waiting, tenants={"t-a": TenantShare(most_cpus=3)})
    assert len(decision.starts) == 3
    assert decision.reasons["r7"] == "Waits for the tenant's own limit: 3 of 3 CPU cores are in use."


def test_a_gang_gets_different_nodes_or_none():
    nodes = [node("n1"), node("n2")]
    both = decide(nodes, [run("gang", cpus=8, nodes=2)])
    assert {share.node for share in both.starts[0].placement} == {"n-n1", "n-n2"}
    held = holding("r0", Share("n-n1", 1, GB))
    assert started(decide(nodes, [run("gang", cpus=8, nodes=2)], [held])) == []


def test_a_blocked_run_gets_no_promise_and_keeps_its_reason():
    decision = decide([node()], [run("r1", blocked="Waits for the keyholder."), run("r2", ordered=1)])
    assert started(decision) == ["r2"]
    assert decision.reasons == {"r1": "Waits for the keyholder."}
    assert decision.promises == []


def test_a_thousand_waiting_runs_all_have_a_reason():
    waiting = [run(f"r{i}", cpus=8, ordered=i) for i in range(1000)]
    decision = decide([node()], waiting)
    assert len(decision.starts) + len(decision.reasons) == 1000


@dataclass
class Factory:
    """Runs the scheduler over time; every run ends at or before its longest duration."""

    nodes: list
    arrivals: list
    fractions: dict
    waiting: dict = field(default_factory=dict)
    running: dict = field(default_factory=dict)
    promised: dict = field(default_factory=dict)
    first_promise: dict = field(default_factory=dict)
    started_at: dict = field(default_factory=dict)

    def play(self):
        pending = sorted(self.arrivals, key=lambda arrival: arrival.ordered)
        now = 0.0
        while pending or self.waiting or self.running:
            moments = [pending[0].ordered] if pending else []
            moments += [ends for ends, _ in self.running.values()]
            assert moments, f"{sorted(self.waiting)} wait for nothing"
            now = max(now, min(moments))
            self.running = {name: one for name, one in self.running.items() if one[0] > now}
            while pending and pending[0].ordered <= now:
                arrived = pending.pop(0)
                self.waiting[arrived.run] = arrived
            self.step(now)

    def step(self, now):
        waiting = [replace(one, promise=self.promised.get(one.run)) for one in self.waiting.values()]
        held = [holding for _, holding in self.running.values()]
        decision = decide(self.nodes, waiting, held, now=now)
        for start in decision.starts:
            one = self.waiting.pop(start.run)
            actual = now + one.duration_s * self.fractions[one.run]
            held_until = now + one.duration_s
            self.running[one.run] = (
                actual,
                Holding(one.run, one.tenant, start.placement, held_until, one.rate),
            )
            self.started_at[one.run] = now
        self.promised = {promise.run: promise for promise in decision.promises}
        for promise in decision.promises:
            self.first_promise.setdefault(promise.run, promise.window.starts)
        assert set(decision.reasons) == set(self.waiting)
        self.check_capacity()

    def check_capacity(self):
        for one in self.nodes:
            shares = [
                share for _, held in self.running.values() for share in held.placement if share.node == one.node
            ]
            cards = [index for share in shares for index in share.gpus]
            assert len(cards) == len(set(cards))
            assert sum(share.cpus for share in shares) <= one.cpus
            assert sum(share.memory_bytes for share in shares) <= one.memory_bytes


nodes_of_factories = st.lists(st.tuples(st.integers(2, 6), st.integers(0, 3)), min_size=1, max_size=3).map(
    lambda sizes: [node(f"n{i}", cpus=cpus, gpus=gpus) for i, (cpus, gpus) in enumerate(sizes)]
)


@st.composite
def factories(draw):
    nodes = draw(nodes_of_factories)
    arrivals = []
    for number in range(draw(st.integers(1, 14))):
        where = draw(st.sampled_from(nodes))
        most_nodes = sum(one.cpus >= where.cpus and len(one.gpus) >= len(where.gpus) for one in nodes)
        arrivals.append(
            run(
                f"r{number:02}",
                draw(st.sampled_from(["t-a", "t-b", "t-c"])),
                cpus=draw(st.integers(1, where.cpus)),
                gpus=draw(st.integers(0, len(where.gpus))),
                nodes=draw(st.integers(1, most_nodes)),
                hours=draw(st.integers(1, 10)),
                priority=draw(st.integers(0, 2)),
                ordered=float(draw(st.integers(0, 12)) * HOUR),
            )
        )
    fractions = {one.run: draw(st.sampled_from([0.25, 0.5, 1.0])) for one in arrivals}
    return Factory(nodes, arrivals, fractions)


@given(factories())
@settings(max_examples=150)
def test_every_run_starts_and_none_later_than_it_was_promised(factory):
    factory.play()
    assert set(factory.started_at) == {one.run for one in factory.arrivals}
    late = {
        name: (promised, factory.started_at[name])
        for name, promised in factory.first_promise.items()
        if factory.started_at[name] > promised
    }
    assert late == {}


def test_a_promise_that_came_due_is_kept_although_the_run_before_is_being_stopped():
    promise = Promise("large", Occupation((Share("n-n1", 8, GB),), HOUR, 2 * HOUR))
    overrun = holding("r0", Share("n-n1", 1, GB), ends=HOUR)
    waiting = [replace(run("large", cpus=8), promise=promise), run("small", ordered=1)]
    decision = decide([node()], waiting, [overrun], now=HOUR + 1)
    assert started(decision) == []
    assert decision.promises[0].run == "large"
