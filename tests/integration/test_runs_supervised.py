"""What becomes of runs whose launchers stay away, die or overstay; the test drives them by its own clock."""

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
from runs_room import Desk

from kifabrik.client.runs import Runs
from kifabrik.errors import ConflictError, SignInError
from kifabrik.factory.allowances import Limits
from kifabrik.factory.engine import Life
from kifabrik.factory.leader import LEASE_S
from kifabrik.factory.queue import GRACE_S, KEYHOLDER_AWAY
from kifabrik.factory.supervise import MOST_SUBMITS
from kifabrik.orders.order import RetryCause
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import Kind, Resources, new_id
from parties import Person
from players import RETRY_NODE, eventually, keyholder, later, order


def show(person: Person, run: str):
    return Runs(person.connection).show(run)


def ends(person: Person, outcome: str = "") -> list:
    found = [entry for entry in person.party.entries() if entry["kind"] == "run.finished"]
    return [entry for entry in found if not outcome or entry["refs"]["outcome"] == outcome]


def free_cpus(desk: Desk) -> int:
    """Cores the database holds to be free, by taking them one by one."""
    share = desk.driven.runs.fleet.nodes()[0]
    with desk.driven.store.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT free_cpus FROM nodes WHERE node = ?", (share.node,))
        return int(found.scalar_one())


def test_a_launcher_that_is_gone_fails_its_attempt(small_desk: Desk, person: Person) -> None:
    player = small_desk.hire(person)
    assert free_cpus(small_desk) == 1
    small_desk.engine.kill(player.attempt)
    small_desk.drive()
    view = show(person, player.run)
    assert (view.state, view.attempts[0].outcome) == (RunState.FAILED, Outcome.NODE_FAILURE)
    assert view.reason == "The node or its launcher stopped working."
    assert view.footprint.cost_micro_eur == 0
    assert len(ends(person, "node-failure")) == 1
    assert free_cpus(small_desk) == 2
    with pytest.raises(SignInError):
        player.api.work()
    small_desk.drive()
    assert small_desk.engine.poll() == {}


def test_a_failed_node_is_tried_again_where_the_order_allows_it_with_its_checkpoint(
    small_desk: Desk, person: Person
) -> None:
    player = small_desk.hire(person, attempts=2, retry_on=RETRY_NODE, checkpoint=True)
    player.play(["keys", "running", "checkpoint"])
    small_desk.engine.kill(player.attempt)
    small_desk.drive()
    again = small_desk.launcher(person, player.run)
    assert again.attempt != player.attempt
    assert again.work.number == 2
    assert again.work.checkpoint
    again.do_keys("")
    small_desk.engine.kill(again.attempt)
    small_desk.drive()
    view = show(person, player.run)
    assert view.state is RunState.FAILED
    assert view.reason == "The node or its launcher stopped working. That was attempt 2 of 2."
    reasons = [event.reason for event in Runs(person.connection).history(player.run)]
    assert "The node or its launcher stopped working. Trying again: attempt 2 of 2." in reasons


def test_a_launcher_that_reported_its_end_and_left_is_not_lost(small_desk: Desk, person: Person) -> None:
    player = small_desk.hire(person)
    player.play(["keys", "finish succeeded"])
    small_desk.engine.kill(player.attempt)
    small_desk.drive()
    assert show(person, player.run).state is RunState.SUCCEEDED
    assert small_desk.engine.poll() == {}
    with pytest.raises(SignInError):
        player.api.work()


def test_a_launcher_that_never_came_is_started_again_under_its_name(small_desk: Desk, person: Person) -> None:
    view = order(person)
    small_desk.drive()
    (attempt,) = small_desk.engine.tasks
    first = small_desk.engine.tasks[attempt].token
    small_desk.engine.forget(attempt)
    small_desk.drive()
    assert small_desk.engine.submits == [attempt, attempt]
    assert small_desk.engine.tasks[attempt].token != first
    small_desk.launcher(person, view.run).play(["keys", "finish succeeded"])
    assert show(person, view.run).state is RunState.SUCCEEDED


def test_a_launcher_that_never_comes_ends_the_attempt_after_a_few_tries(small_desk: Desk, person: Person) -> None:
    small_desk.engine.broken = True
    view = order(person)
    for _ in range(MOST_SUBMITS + 1):
        small_desk.drive()
    ended = show(person, view.run)
    assert ended.state is RunState.FAILED
    assert ended.reason.endswith("No launcher could be started.")
    assert free_cpus(small_desk) == 2


def test_a_launcher_that_ignores_its_cap_is_killed(small_desk: Desk, person: Person) -> None:
    player = small_desk.hire(person, max_duration_s=600)
    player.play(["keys", "running"])
    small_desk.ahead = timedelta(seconds=600 + GRACE_S - 120)
    small_desk.drive()
    assert small_desk.engine.poll()[player.attempt] is Life.ALIVE
    small_desk.ahead += timedelta(seconds=150)
    small_desk.drive()
    assert small_desk.engine.poll()[player.attempt] is Life.GONE
    small_desk.drive()
    view = show(person, player.run)
    assert (view.state, view.attempts[0].outcome) == (RunState.STOPPED, Outcome.CAP)
    assert view.reason == "The run reached its longest duration or its budget."


def test_a_run_that_waits_past_its_deadline_ends_with_an_alarm(small_desk: Desk, person: Person) -> None:
    small_desk.driven.runs.fleet.enable("box", enabled=False)
    with pytest.raises(Exception, match="no node yet"):
        order(person)
    small_desk.driven.runs.fleet.enable("box", enabled=True)
    view = order(person, deadline=later(minutes=5))
    small_desk.driven.runs.fleet.enable("box", enabled=False)
    small_desk.drive()
    small_desk.ahead = timedelta(minutes=6)
    small_desk.drive()
    ended = show(person, view.run)
    assert ended.state is RunState.FAILED
    assert ended.reason == "The order's deadline passed while it waited. The factory has no node yet."
    missed = [entry for entry in person.party.entries() if entry["kind"] == "deadline.missed"]
    assert [(entry["refs"]["run"], entry["refs"]["state"]) for entry in missed] == [(view.run, "queued")]


def test_a_run_that_works_past_its_deadline_raises_one_alarm_and_goes_on(small_desk: Desk, person: Person) -> None:
    player = small_desk.hire(person, deadline=later(minutes=5))
    player.play(["keys", "running"])
    small_desk.ahead = timedelta(minutes=6)
    small_desk.drive()
    small_desk.drive()
    assert "deadline has passed" in show(person, player.run).reason
    player.do_finish("succeeded")
    assert show(person, player.run).state is RunState.SUCCEEDED
    missed = [entry for entry in person.party.entries() if entry["kind"] == "deadline.missed"]
    assert len(missed) == 1


def test_an_attempt_that_got_no_keys_by_its_deadline_ends(small_desk: Desk, person: Person) -> None:
    player = small_desk.hire(person, deadline=later(minutes=5), attempts=3, retry_on=RETRY_NODE)
    small_desk.ahead = timedelta(minutes=7)
    small_desk.drive()
    small_desk.drive()
    view = show(person, player.run)
    assert view.state is RunState.FAILED
    assert view.reason.endswith("The order's deadline has passed.")


def test_a_launcher_nobody_knows_is_killed_and_forgotten(small_desk: Desk, person: Person) -> None:
    small_desk.engine.lives["a-" + "z" * 16] = Life.ALIVE
    small_desk.drive()
    small_desk.drive()
    assert small_desk.engine.poll() == {}


def test_a_launcher_that_stays_after_its_end_is_killed(small_desk: Desk, person: Person) -> None:
    player = small_desk.hire(person)
    player.play(["keys", "finish succeeded"])
    small_desk.drive()
    assert small_desk.engine.poll()[player.attempt] is Life.ALIVE
    small_desk.ahead = timedelta(seconds=90)
    small_desk.drive()
    assert small_desk.engine.poll()[player.attempt] is Life.GONE


def test_a_stopped_run_whose_launcher_dies_is_stopped_and_not_tried_again(small_desk: Desk, person: Person) -> None:
    player = small_desk.hire(person, attempts=3, retry_on=RETRY_NODE)
    Runs(person.connection).stop(player.run)
    small_desk.engine.kill(player.attempt)
    small_desk.drive()
    assert show(person, player.run).state is RunState.STOPPED


def test_a_stopped_run_whose_program_fails_first_is_stopped_and_not_tried_again(
    small_desk: Desk, person: Person
) -> None:
    player = small_desk.hire(person, attempts=3, retry_on=(RetryCause.ERROR,))
    player.play(["keys"])
    Runs(person.connection).stop(player.run)
    player.play(["finish error"])
    view = show(person, player.run)
    assert (view.state, view.attempts[0].outcome) == (RunState.STOPPED, Outcome.ERROR)
    assert view.reason == "Somebody stopped the run; it is not tried again."
    assert list(small_desk.driven.check.run()) == []


def test_a_waiting_run_is_stopped_at_once_and_says_so_in_the_log(small_desk: Desk, person: Person) -> None:
    view = order(person)
    stopped = Runs(person.connection).stop(view.run)
    assert (stopped.state, stopped.reason) == (RunState.STOPPED, "Stopped while it waited for its turn.")
    again = Runs(person.connection).stop(view.run)
    assert again.revision == stopped.revision
    small_desk.drive()
    assert small_desk.engine.submits == []
    kinds = [entry["kind"] for entry in person.party.entries()]
    assert kinds.count("run.stopped") == 1


def test_runs_wait_for_an_absent_keyholder_and_hold_nothing(small_desk: Desk) -> None:
    party = small_desk.sign_up()
    person = party.enrol()
    view = order(person)
    small_desk.drive()
    assert show(person, view.run).reason == "Waits for the tenant's keyholder, which has never called. Start it."
    with keyholder(party):
        eventually(lambda: small_desk.last_seen(party))
        small_desk.drive()
        assert show(person, view.run).state is RunState.STARTING
    small_desk.ahead = KEYHOLDER_AWAY + timedelta(seconds=30)
    other = order(person)
    small_desk.drive()
    assert show(person, other.run).reason.startswith("Waits for the tenant's keyholder, last seen at 20")


def test_a_waiting_run_says_what_it_waits_for_and_when_its_turn_comes(small_desk: Desk, person: Person) -> None:
    small_desk.hire(person, resources=Resources(cpus=2, memory_bytes=10**6), max_duration_s=600)
    view = order(person)
    small_desk.drive()
    reason = show(person, view.run).reason
    assert reason.startswith("Waits for 1 CPU core: 2 of 2 are in use; the next frees up at ")
    assert "Its turn comes at" in reason
    history = Runs(person.connection).history(view.run)
    assert [event.reason for event in history] == ["Ordered and admitted; waits for its turn.", reason]


def test_a_promise_outlives_the_service_that_made_it(small_desk: Desk, person: Person) -> None:
    small_desk.hire(person, max_duration_s=60)
    large = order(person, resources=Resources(cpus=2, memory_bytes=10**6))
    small_desk.drive()
    first = show(person, large.run).reason
    assert "Its turn comes at" in first
    small_desk.ahead = timedelta(seconds=LEASE_S + 2)
    urgent = order(person, priority=50, max_duration_s=7200)
    assert small_desk.another_loop().once()
    assert show(person, large.run).reason == first
    assert "Its turn comes at" in show(person, urgent.run).reason
    assert len(small_desk.engine.submits) == 1


def test_what_an_attempt_used_of_its_budget_shortens_the_next(small_desk: Desk, person: Person) -> None:
    player = small_desk.hire(
        person, attempts=2, retry_on=(RetryCause.ERROR,), budget_micro_eur=1_000, max_duration_s=3600
    )
    assert player.work.cap_s < 120
    player.do_keys("")
    player.started -= timedelta(seconds=60)
    player.do_finish("error")
    small_desk.drive()
    again = small_desk.launcher(person, player.run)
    assert 0 < again.work.cap_s < player.work.cap_s - 50
    again.do_keys("")
    again.started -= timedelta(hours=1)
    again.do_finish("succeeded")
    assert show(person, player.run).footprint.cost_micro_eur <= 1_000


def test_a_tenants_use_counts_against_it_when_others_wait(small_desk: Desk, person: Person) -> None:
    other = small_desk.sign_up()
    with keyholder(other):
        eventually(lambda: small_desk.last_seen(other))
        rival = other.enrol()
        whole = Resources(cpus=2, memory_bytes=10**6)
        player = small_desk.hire(person, resources=whole)
        mine, theirs = order(person, resources=whole), order(rival, resources=whole)
        player.play(["keys"])
        small_desk.ahead = timedelta(seconds=20)
        player.do_finish("succeeded")
        small_desk.drive()
        assert show(rival, theirs.run).state is RunState.STARTING
        assert show(person, mine.run).state is RunState.QUEUED


def test_a_tenants_limit_holds_its_runs_back(small_desk: Desk, person: Person) -> None:
    small_desk.driven.runs.fleet.set_limits(person.party.tenant, Limits(most_cpus=1))
    small_desk.hire(person)
    second = order(person)
    small_desk.drive()
    assert show(person, second.run).reason == "Waits for the tenant's own limit: 1 of 1 CPU cores are in use."


def test_of_two_services_one_drives_until_its_lease_runs_out(small_desk: Desk, person: Person) -> None:
    second = small_desk.another_loop()
    assert small_desk.drive()
    assert not second.once()
    view = order(person)
    small_desk.ahead = timedelta(seconds=LEASE_S + 1)
    assert second.once()
    assert not small_desk.drive()
    assert small_desk.engine.submits == [show(person, view.run).attempts[0].attempt]


def test_a_leader_that_was_overtaken_starts_nothing(small_desk: Desk, person: Person) -> None:
    assert small_desk.drive()
    with small_desk.driven.store.write() as transaction:
        transaction.runs.lead("runs", "another", later(hours=1), later(hours=2))
    view = order(person)
    small_desk.drive()
    assert small_desk.engine.submits == []
    assert show(person, view.run).state is RunState.QUEUED


def test_two_nodes_cannot_have_one_name(small_desk: Desk) -> None:
    (node,) = small_desk.driven.runs.fleet.nodes()
    with pytest.raises(ConflictError, match="another node is named box"):
        small_desk.driven.runs.fleet.enrol(replace(node, node=new_id(Kind.NODE), key="ab" * 32))


def test_rows_shares_and_logs_agree_after_everything_that_can_happen(small_desk: Desk, person: Person) -> None:
    done = small_desk.hire(person, outputs=1, attempts=2, retry_on=RETRY_NODE)
    small_desk.engine.kill(done.attempt)
    small_desk.drive()
    again = small_desk.launcher(person, done.run)
    again.play(["keys", "log one", "log two", "output 1", "finish succeeded"])
    waiting = order(person)
    small_desk.hire(person).play(["keys", "log three"])
    Runs(person.connection).stop(waiting.run)
    assert [str(one) for one in small_desk.driven.check.run(deep=True)] == []


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("UPDATE nodes SET free_cpus = free_cpus + 1", "node box has"),
        ("UPDATE attempts SET finished = 'now' WHERE tenant = '{tenant}'", "has 0 attempts that go on"),
        ("DELETE FROM log_segments WHERE tenant = '{tenant}' AND number = 0", "1 log segments"),
        ("DELETE FROM runs WHERE tenant = '{tenant}'", "does not have its 1 runs"),
        ("DELETE FROM orders WHERE tenant = '{tenant}'", "entries run.ordered; there should be 0"),
        ("UPDATE attempts SET number = 2 WHERE tenant = '{tenant}'", "not numbered one by one"),
        ("UPDATE attempts SET provenance = 'ff' WHERE tenant = '{tenant}'", "names statement ff"),
    ],
)
def test_what_does_not_agree_about_runs_is_found(small_desk: Desk, person: Person, harm: str, words: str) -> None:
    small_desk.hire(person).play(["keys", "log one", "log two"])
    database = sqlite3.connect(small_desk.home / "factory.db")
    before = list(database.iterdump())
    try:
        database.execute(harm.format(tenant=person.party.tenant))
        database.commit()
        found = [str(one) for one in small_desk.driven.check.run()]
    finally:
        database.close()
        restored = sqlite3.connect(":memory:")
        restored.executescript("\n".join(before))
        target = sqlite3.connect(small_desk.home / "factory.db")
        restored.backup(target)
        restored.close()
        target.close()
    assert any(words in finding for finding in found), found
