"""Sweeps and pipelines in the factory: one order, many runs; runs that wait for runs. The test drives them."""

from datetime import timedelta

import pytest
from runs_room import Desk

from kifabrik.client.leases import Leases
from kifabrik.client.runs import Runs
from kifabrik.customer.sweep_footprint import sweep_footprint
from kifabrik.errors import CapacityError, ConflictError, NotFoundError, RefusedError, UsageError
from kifabrik.factory.allowances import Limits
from kifabrik.orders.order import Need, RetryCause
from kifabrik.runs.states import RunState
from kifabrik.signatures.dsse import Envelope
from kifabrik.values import Kind, new_id, task_run
from parties import Person
from players import LOCK, an_order, order


def _runs(person: Person) -> Runs:
    return Runs(person.connection)


def _states(person: Person, sweep: str) -> list[str]:
    return [str(task.state) for task in _runs(person).all_tasks(sweep)]


def _entries(person: Person, kind: str) -> list:
    return [entry for entry in person.party.entries() if entry["kind"] == kind]


def _play(desk: Desk, person: Person, run: str, *steps: str) -> None:
    desk.drive()
    desk.launcher(person, run).play(["keys", "running", *(steps or ("finish succeeded",))])


def test_a_sweep_is_one_order_one_entry_and_a_run_for_each_task(small_desk: Desk, person: Person) -> None:
    view = order(person, tasks=5)
    assert view.tasks == {RunState.QUEUED: 5}
    assert view.reason == "0 of 5 tasks have succeeded; 5 wait."
    for kind in ("run.ordered", "run.admitted"):
        (entry,) = _entries(person, kind)
        assert entry["refs"]["run"] == view.run
    assert _entries(person, "run.ordered")[0]["refs"]["tasks"] == 5
    names = [task.run for task in _runs(person).all_tasks(view.run)]
    assert names == [task_run(view.run, number) for number in range(1, 6)]
    assert [one.run for one in _runs(person).all()] == [view.run]
    small_desk.drive()
    assert small_desk.engine.tasks[_runs(person).show(names[0]).attempts[0].attempt].index == 1
    assert _runs(person).show(view.run).reason == "0 of 5 tasks have succeeded; 2 go on, 3 wait."


def test_the_footprint_of_a_sweep_is_the_sum_over_its_tasks(small_desk: Desk, person: Person) -> None:
    view = order(person, tasks=3)
    _play(small_desk, person, task_run(view.run, 1))
    _play(small_desk, person, task_run(view.run, 2))
    used = [task.footprint for task in _runs(person).all_tasks(view.run)]
    found = sweep_footprint(_runs(person), view.run)
    assert found.energy
    assert sum(part.joules for part in found.energy) == pytest.approx(
        sum(part.joules for one in used for part in one.energy)
    )
    assert found.cost_micro_eur == _runs(person).show(view.run).footprint.cost_micro_eur > 0


def test_a_sweep_goes_on_until_all_its_tasks_have_ended(small_desk: Desk, person: Person) -> None:
    view = order(person, tasks=3)
    _play(small_desk, person, task_run(view.run, 1))
    _play(small_desk, person, task_run(view.run, 2), "finish error")
    before = _runs(person).show(view.run)
    assert (before.state, before.reason) == (
        RunState.RUNNING,
        "1 of 3 tasks have succeeded, 1 failed; 1 go on.",
    )
    _play(small_desk, person, task_run(view.run, 3))
    after = _runs(person).show(view.run)
    assert (after.state, after.reason) == (RunState.FAILED, "2 of 3 tasks have succeeded, 1 failed.")
    assert after.revision > before.revision
    assert after.finished
    assert after.footprint.cost_micro_eur > 0
    assert [event.reason for event in _runs(person).history(view.run)] == [
        "2 tasks, such as 1: The job finished.",
        "Task 2: The job's program ended with an error; see its log.",
    ]
    assert [str(one) for one in small_desk.driven.check.run(deep=True)] == []


def test_a_task_is_tried_again_as_its_order_allows_whatever_others_do(small_desk: Desk, person: Person) -> None:
    view = order(person, tasks=2, attempts=2, retry_on=(RetryCause.ERROR,))
    second = task_run(view.run, 2)
    _play(small_desk, person, second, "finish error")
    assert _runs(person).show(second).state is RunState.QUEUED
    _play(small_desk, person, second)
    assert [one.number for one in _runs(person).show(second).attempts] == [1, 2]
    assert [one.number for one in _runs(person).show(task_run(view.run, 1)).attempts] == [1]


def test_no_more_tasks_than_max_parallel_are_on_their_way(small_desk: Desk, person: Person) -> None:
    view = order(person, tasks=4, max_parallel=1)
    names = [task_run(view.run, number) for number in range(1, 5)]
    small_desk.drive()
    assert _states(person, view.run) == ["starting", "queued", "queued", "queued"]
    assert _runs(person).show(names[1]).reason == "Waits for its turn in the sweep: at most 1 of its tasks at once."
    _runs(person).stop(names[2])
    small_desk.drive()
    assert _states(person, view.run) == ["starting", "queued", "stopped", "queued"]
    _play(small_desk, person, names[0])
    small_desk.drive()
    assert _states(person, view.run) == ["succeeded", "starting", "stopped", "queued"]
    later = order(person)
    small_desk.drive()
    assert _runs(person).show(later.run).state is RunState.STARTING


def test_stopping_a_sweep_stops_every_task_with_one_entry(small_desk: Desk, person: Person) -> None:
    view = order(person, tasks=6, max_parallel=3)
    small_desk.drive()
    player = small_desk.launcher(person, task_run(view.run, 1))
    _runs(person).stop(task_run(view.run, 5))
    stopped = _runs(person).stop(view.run)
    assert stopped.reason == "0 of 6 tasks have succeeded, 4 stopped; 2 go on."
    assert player.api.control(wait_s=0).stop
    again = _runs(person).stop(view.run)
    assert again.revision == stopped.revision
    assert [entry["refs"]["run"] for entry in _entries(person, "run.stopped")] == [
        task_run(view.run, 5),
        view.run,
    ]
    player.play(["finish stopped"])
    small_desk.launcher(person, task_run(view.run, 2)).play(["finish stopped"])
    assert _runs(person).show(view.run).state is RunState.STOPPED
    small_desk.drive()
    assert [str(one) for one in small_desk.driven.check.run(deep=True)] == []


def test_a_deadline_raises_one_alarm_for_a_sweep(small_desk: Desk, person: Person) -> None:
    view = order(person, tasks=4)
    small_desk.drive()
    small_desk.ahead = timedelta(days=2)
    small_desk.drive()
    (entry,) = _entries(person, "deadline.missed")
    assert entry["refs"]["run"] == view.run
    assert _states(person, view.run).count("failed") == 2
    small_desk.ahead = timedelta()
    _runs(person).stop(view.run)
    for number in (1, 2):
        small_desk.launcher(person, task_run(view.run, number)).play(["finish stopped"])
    assert [str(one) for one in small_desk.driven.check.run(deep=True)] == []


def test_the_budget_of_a_sweep_is_never_exceeded_and_what_one_leaves_another_may_take(
    small_desk: Desk, person: Person
) -> None:
    _runs(person).stop(order(person).run)
    per_hour = _rate(small_desk, person)
    view = order(person, tasks=4, budget_micro_eur=4 * per_hour // 2, max_duration_s=3600, max_parallel=1)
    names = [task_run(view.run, number) for number in range(1, 5)]
    (admitted,) = [one for one in _entries(person, "run.admitted") if one["refs"]["run"] == view.run]
    assert admitted["refs"]["most_micro_eur"] <= 4 * per_hour // 2
    first = _runs(person).show(names[0])
    assert 1795 <= first.cap_s <= 1800
    small_desk.drive()
    _play(small_desk, person, names[0])
    small_desk.drive()
    second = _runs(person).show(names[1])
    spent = _runs(person).show(names[0]).footprint.cost_micro_eur
    assert 3500 < second.cap_s <= 3600, "the first task's part came back"
    with small_desk.driven.store.read() as transaction:
        assert transaction.runs.set_aside(person.party.tenant, view.run) <= 4 * per_hour // 2
    assert spent < per_hour // 100


def _rate(desk: Desk, person: Person) -> int:
    with desk.driven.store.read() as transaction:
        return transaction.runs.page(person.party.tenant, "", 1)[0].rate_micro_eur


def test_a_budget_that_pays_for_no_second_of_each_task_is_refused(person: Person, small_desk: Desk) -> None:
    with pytest.raises(UsageError, match="one second of each of 100 tasks"):
        order(person, tasks=100, budget_micro_eur=100)


def test_a_sweep_counts_as_many_runs_as_it_has_tasks(small_desk: Desk, person: Person) -> None:
    with small_desk.driven.store.write() as transaction:
        transaction.runs.set_limits(person.party.tenant, Limits(most_runs=4))
    with pytest.raises(CapacityError, match="this sweep has 5 tasks; your limit is 4"):
        order(person, tasks=5)
    order(person, tasks=4)
    with pytest.raises(CapacityError, match="4 runs have not ended"):
        order(person)


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"tasks": 10_001}, "1 to 10000 tasks"),
        ({"tasks": -1}, "1 to 10000 tasks"),
        ({"only": (1,)}, "only a sweep"),
        ({"max_parallel": 2}, "only a sweep"),
        ({"tasks": 3, "only": (2, 1)}, "ascending"),
        ({"tasks": 3, "only": (4,)}, "does not have"),
        ({"tasks": 3, "only": (0,)}, "does not have"),
        ({"awaited": (f"{new_id(Kind.RUN)}/1",)}, "not of a run it needs"),
        ({"needs": (Need("r-other", "11" * 32),)}, "not an order's run"),
    ],
)
def test_an_impossible_sweep_or_need_is_refused(small_desk: Desk, person: Person, wishes: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        order(person, **wishes)


def test_failed_tasks_are_ordered_again_alone_with_the_code_of_the_first_order(
    small_desk: Desk, person: Person
) -> None:
    signed, code = an_order(person, tasks=3)
    view = _runs(person).order(signed, code, LOCK, None)
    _play(small_desk, person, task_run(view.run, 1))
    _play(small_desk, person, task_run(view.run, 2), "finish error")
    _play(small_desk, person, task_run(view.run, 3))
    again, _ = an_order(person, tasks=3, only=(2,), again=signed.digest, code_manifest=code)
    second = _runs(person).order(again, code, LOCK, None)
    assert [task.run for task in _runs(person).all_tasks(second.run)] == [task_run(second.run, 2)]
    _play(small_desk, person, task_run(second.run, 2))
    assert _runs(person).show(second.run).state is RunState.SUCCEEDED
    assert [str(one) for one in small_desk.driven.check.run(deep=True)] == []


def test_code_is_run_again_only_by_who_ordered_it(small_desk: Desk, person: Person) -> None:
    signed, code = an_order(person, tasks=2)
    _runs(person).order(signed, code, LOCK, None)
    other = person.party.enrol()
    again, _ = an_order(other, tasks=2, only=(2,), again=signed.digest, code_manifest=code)
    with pytest.raises(NotFoundError, match="has ordered no such code"):
        _runs(other).order(again, code, LOCK, None)


# --- pipelines ---


def _need(view) -> Need:
    return Need(view.run, view.order)


def test_a_run_waits_for_what_it_needs_and_gets_its_output(small_desk: Desk, person: Person) -> None:
    prepare = order(person, outputs=1)
    train = order(person, needs=(_need(prepare),), awaited=(f"{prepare.run}/1",))
    small_desk.drive()
    waiting = _runs(person).show(train.run)
    assert (waiting.state, waiting.reason) == (RunState.QUEUED, f"Waits for {prepare.run}.")
    small_desk.launcher(person, prepare.run).play(["keys", "output 1", "finish succeeded"])
    small_desk.drive()
    player = small_desk.launcher(person, train.run)
    (given,) = player.work.inputs
    (made,) = _runs(person).show(prepare.run).outputs
    assert Envelope.from_json(given).digest == made.manifest
    player.play(["keys", "finish succeeded"])
    assert _runs(person).show(train.run).state is RunState.SUCCEEDED
    assert [str(one) for one in small_desk.driven.check.run(deep=True)] == []


@pytest.mark.parametrize(("how", "ended"), [("finish error", "failed"), ("stop", "stopped")])
def test_a_run_whose_need_ended_badly_ends_with_a_reason_and_so_do_those_behind_it(
    small_desk: Desk, person: Person, how: str, ended: str
) -> None:
    prepare = order(person, outputs=1)
    train = order(person, needs=(_need(prepare),), awaited=(f"{prepare.run}/1",))
    report = order(person, needs=(_need(train),))
    if how == "stop":
        _runs(person).stop(prepare.run)
    else:
        _play(small_desk, person, prepare.run, how)
    assert _runs(person).show(train.run).reason == f"Needed {prepare.run}, which ended as {ended}."
    view = _runs(person).show(report.run)
    assert (view.state, view.reason) == (RunState.FAILED, f"Needed {train.run}, which ended as failed.")
    with pytest.raises(ConflictError, match="has not succeeded"):
        order(person, needs=(_need(prepare),))
    assert [str(one) for one in small_desk.driven.check.run(deep=True)] == []


def test_a_sweep_waits_for_a_whole_sweep(small_desk: Desk, person: Person) -> None:
    first = order(person, tasks=2, outputs=1)
    second = order(person, tasks=3, max_parallel=2, needs=(_need(first),), awaited=(f"{task_run(first.run, 2)}/1",))
    small_desk.drive()
    assert _states(person, second.run) == ["queued"] * 3
    for number in (1, 2):
        small_desk.launcher(person, task_run(first.run, number)).play(["keys", "output 1", "finish succeeded"])
        small_desk.drive()
    assert _states(person, second.run) == ["starting", "starting", "queued"]
    assert "at most 2" in _runs(person).show(task_run(second.run, 3)).reason


def test_a_failed_task_ends_what_needs_its_sweep_while_the_others_go_on(small_desk: Desk, person: Person) -> None:
    first = order(person, tasks=2)
    second = order(person, tasks=3, needs=(_need(first),))
    small_desk.drive()
    small_desk.launcher(person, task_run(first.run, 1)).play(["keys", "finish error"])
    assert _states(person, second.run) == ["failed"] * 3
    found = _runs(person).show(task_run(first.run, 2))
    assert found.state is RunState.STARTING, found.reason
    assert _runs(person).show(task_run(second.run, 1)).reason == (
        f"Needed {task_run(first.run, 1)}, which ended as failed."
    )


def test_stopping_a_sweep_ends_what_needs_it(small_desk: Desk, person: Person) -> None:
    first = order(person, tasks=2, max_parallel=1)
    second = order(person, needs=(_need(first),))
    _runs(person).stop(first.run)
    assert _runs(person).show(second.run).state is RunState.FAILED


def test_what_is_needed_must_be_the_order_it_is_said_to_be(small_desk: Desk, person: Person) -> None:
    prepare = order(person, outputs=1)
    with pytest.raises(NotFoundError, match="of the order it names"):
        order(person, needs=(Need(prepare.run, "11" * 32),))
    with pytest.raises(NotFoundError, match="puts out"):
        order(person, needs=(_need(prepare),), awaited=(f"{prepare.run}/2",))
    stranger = small_desk.sign_up().enrol()
    with pytest.raises(NotFoundError):
        order(stranger, needs=(_need(prepare),))


def test_what_is_there_already_is_not_waited_for(small_desk: Desk, person: Person) -> None:
    prepare = order(person, outputs=1)
    _play(small_desk, person, prepare.run, "output 1", "finish succeeded")
    train = order(person, needs=(_need(prepare),), awaited=(f"{prepare.run}/1",))
    small_desk.drive()
    assert small_desk.launcher(person, train.run).work.inputs


def test_a_launcher_cannot_ask_for_the_keys_of_another_task(small_desk: Desk, person: Person) -> None:
    view = order(person, tasks=2)
    small_desk.drive()
    player = small_desk.launcher(person, task_run(view.run, 1))
    with pytest.raises(RefusedError, match="for another attempt"):
        Leases(player.connection).request(player.signed_request(run=task_run(view.run, 2)))


def test_a_sweep_of_another_tenant_cannot_be_seen_or_stopped(small_desk: Desk, person: Person) -> None:
    view = order(person, tasks=2)
    stranger = small_desk.sign_up().enrol()
    for name in (view.run, task_run(view.run, 1)):
        for act in (_runs(stranger).show, _runs(stranger).stop, _runs(stranger).history, _runs(stranger).evidence):
            with pytest.raises(NotFoundError):
                act(name)
    with pytest.raises(NotFoundError):
        _runs(stranger).tasks(view.run)
    assert _runs(person).show(view.run).tasks == {RunState.QUEUED: 2}
