"""The queue under the plant's permit: fewer runs at once, none stopped, and every one that waits says why."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from kifabrik.factory.capacity import Demand, Gpu, Node, Share
from kifabrik.factory.queue import postponed
from kifabrik.factory.run_records import Run
from kifabrik.factory.schedule import Holding, Situation, TenantShare, Waiting, schedule
from kifabrik.plant.governor.rules import Permit
from kifabrik.values import Place, Resources, parse_time

GB = 10**9
REASON = "The river is at its temperature limit until about 19:00 UTC: 7.8 of 13 MW are permitted."
HALF = Permit(watts=7.8e6, full_watts=13e6, idle_watts=2.6e6, since=0.0, until=0.0, reason=REASON)


def node(gpus):
    return Node(
        "n-1", "n1", Place("DE"), 8, 64 * GB, tuple(Gpu(at, "H200", 141 * GB) for at in range(gpus)), ("3.11",)
    )


def run(name, gpus=0, cpus=1):
    demand = Demand(Resources(cpus=cpus, memory_bytes=GB, gpu_count=gpus), Place(), "3.11")
    return Waiting(name, "t-a", demand, 3600.0, 0, float(name[1:]), 1000)


def held(gpus, cpus=1):
    return Holding("held", "t-b", (Share("n-1", cpus, GB, tuple(range(gpus))),), 3600.0, 1000)


def decide(nodes, waiting, holding=(), power=HALF):
    return schedule(Situation(nodes, waiting, holding, {}, 0.0, power))


def test_no_more_gpus_work_than_the_permit_allows_and_the_rest_says_why():
    found = decide([node(8)], [run(f"r{at}", gpus=2) for at in range(4)])
    assert [start.run for start in found.starts] == ["r0", "r1"]
    assert found.reasons == {"r2": f"Waits for power. {REASON}", "r3": f"Waits for power. {REASON}"}
    assert found.promises == []


def test_what_runs_already_is_left_alone_and_counts():
    found = decide([node(8)], [run("r0", gpus=1)], [held(6)])
    assert found.starts == []
    assert decide([node(8)], [run("r0", gpus=1)], [held(3)]).starts


def test_runs_without_gpus_are_not_held_back_where_there_are_gpus():
    assert decide([node(8)], [run("r0")], [held(8)]).starts


def test_power_counts_by_cores_where_no_node_has_a_gpu():
    found = decide([node(0)], [run(f"r{at}", cpus=2) for at in range(4)])
    assert [start.run for start in found.starts] == ["r0", "r1"]


def test_without_a_permit_and_with_a_full_one_all_is_as_before():
    waiting = [run(f"r{at}", gpus=2) for at in range(5)]
    free = decide([node(8)], waiting, power=None)
    assert decide([node(8)], waiting, power=replace(HALF, watts=13e6)) == free
    assert len(free.starts) == 4


@given(
    share=st.floats(0, 1),
    asked=st.lists(st.integers(1, 4), max_size=12),
    taken=st.integers(0, 8),
)
def test_starts_never_exceed_the_permit(share, asked, taken):
    power = replace(HALF, watts=2.6e6 + share * 10.4e6)
    found = decide([node(8)], [run(f"r{at}", gpus=gpus) for at, gpus in enumerate(asked)], [held(taken)], power)
    started = sum(len(one.gpus) for start in found.starts for one in start.placement)
    assert not started or taken + started <= power.most(8)
    assert len(found.starts) + len(found.reasons) == len(asked)


def flexible(until):
    asked = Resources(cpus=1, memory_bytes=GB)
    return Run(
        tenant="t-a", run="r-1", member="m-1", purpose="p", order="", code="", lock="", resources=asked,
        place=Place(),
        python="3.11", staged_bytes=0, streamed_bytes=0, priority=0, outputs=0, attempts=1, retry_on=(),
        max_duration_s=600, cap_s=600, rate_micro_eur=0, budget_micro_eur=0, most_micro_eur=0,
        created="2026-11-23T08:00:00Z", deadline="2026-11-30T08:00:00Z", flexible_until=until,
    )  # fmt: skip


def test_a_run_that_may_wait_is_kept_for_the_better_hour_and_no_longer():
    now = parse_time("2026-11-23T08:00:00Z")
    hours = [(now.timestamp() + 3600 * number, worth) for number, worth in enumerate((0.2, 0.2, 0.9))]
    power = replace(HALF, watts=13e6, outlook=tuple(hours))
    said = (
        "May wait, and does: from about 10:00 UTC its heat is wanted more, the river is cooler or power is cheaper."
    )
    assert postponed(flexible("2026-11-23T20:00:00Z"), power, now) == said
    assert postponed(flexible("2026-11-23T20:00:00Z"), power, now + timedelta(hours=2)) == ""
    assert postponed(flexible("2026-11-23T10:10:00Z"), power, now) == ""
    assert postponed(flexible(""), power, now) == ""
    assert postponed(flexible("2026-11-23T20:00:00Z"), None, now) == ""


def lasting(name, gpus, seconds, tenant="t-a"):
    demand = Demand(Resources(cpus=1, memory_bytes=GB, gpu_count=gpus), Place(), "3.11")
    return Waiting(name, tenant, demand, seconds, 0, float(name[1:]), 1000)


SIX = replace(HALF, watts=2.6e6 + 0.75 * 10.4e6)


def test_power_that_comes_free_is_kept_for_the_first_run_that_is_short_of_it():
    waiting = [lasting("r1", 6, 3600.0), lasting("r2", 1, 7200.0), lasting("r3", 1, 1800.0)]
    found = decide([node(8)], waiting, [held(4)], SIX)
    assert [start.run for start in found.starts] == ["r3"]  # it ends before the first one's power is free
    assert found.reasons["r1"] == f"Waits for power. {REASON}"
    assert found.reasons["r2"] == f"Waits for power, which is kept for an earlier run. {REASON}"


def test_what_the_first_run_leaves_of_the_power_is_given_away():
    waiting = [lasting("r1", 5, 3600.0), lasting("r2", 1, 7200.0), lasting("r3", 1, 7200.0)]
    found = decide([node(8)], waiting, [held(4)], SIX)
    assert [start.run for start in found.starts] == ["r2"]


def test_nothing_is_kept_for_a_run_that_this_permit_never_suffices_for_and_has_no_known_end():
    waiting = [lasting("r1", 8, 3600.0), lasting("r2", 2, 7200.0)]
    assert [start.run for start in decide([node(8)], waiting).starts] == ["r2"]
    ends = replace(HALF, until=3000.0)
    assert decide([node(8)], waiting, power=ends).starts == []
    waiting[1] = lasting("r2", 2, 2400.0)
    assert [start.run for start in decide([node(8)], waiting, power=ends).starts] == ["r2"]


def test_runs_with_a_promise_do_not_exceed_the_permit_together():
    blocked = decide([node(8)], [lasting("r1", 4, 3600.0), lasting("r2", 4, 3600.0)], [held(8)], None)
    waiting = [
        replace(lasting(one.run, 4, 3600.0), promise=one) for one in blocked.promises if one.run in {"r1", "r2"}
    ]
    assert len(waiting) == 2
    found = decide([node(8)], waiting)
    assert [start.run for start in found.starts] == ["r1"]
    assert found.reasons == {"r2": f"Waits for power. {REASON}"}


def test_a_large_run_does_not_starve_behind_small_ones():
    """A small run every ten minutes for a day; each holds one GPU for an hour, so power is always short."""
    now, began = 0.0, None
    holding, waiting = [], []
    for step in range(144):
        now = 600.0 * step
        holding = [one for one in holding if one.ends > now]
        waiting.append(lasting(f"r{step}", 4 if step == 6 else 1, 3600.0))
        power = replace(HALF, until=0.0)
        shares = {one.tenant: TenantShare() for one in (*waiting, *holding)}
        found = schedule(Situation([node(8)], waiting, holding, shares, now, power))
        by_name = {one.run: one for one in waiting}
        for start in found.starts:
            run_ = by_name[start.run]
            holding.append(Holding(start.run, run_.tenant, start.placement, now + run_.duration_s, run_.rate))
            began = now if start.run == "r6" else began
        waiting = [one for one in waiting if one.run not in {start.run for start in found.starts}]
        assert sum(len(share.gpus) for one in holding for share in one.placement) <= 4
    assert began is not None
    assert began <= 3 * 3600.0
