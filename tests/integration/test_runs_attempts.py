"""What the attempts API takes from a launcher, and what it does not."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from runs_room import Desk

from kifabrik.client.connection import Connection
from kifabrik.client.datasets import Datasets
from kifabrik.client.leases import Leases
from kifabrik.client.runs import Runs
from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import (
    CapacityError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UsageError,
)
from kifabrik.factory.attempts import asks_attested
from kifabrik.factory.journals import Journals
from kifabrik.factory.run_book import find_run
from kifabrik.grants.statements import Grant, Revocation
from kifabrik.runs.statements import LogSegment, LogStream
from kifabrik.runs.states import Outcome, RunState
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.statements import Role
from kifabrik.values import Kind, Place, format_time, new_id, now_utc, sha256_hex
from parties import Person
from players import LauncherPlayer, keyholder, later


@pytest.fixture(scope="module")
def person(desk: Desk) -> Iterator[Person]:
    """A member of a tenant whose keyholder releases everything."""
    party = desk.sign_up()
    with keyholder(party) as player:
        party.player = player
        yield party.enrol()


@pytest.fixture
def launcher(desk: Desk, person: Person):
    """A fixture that orders a run and returns this process as its launcher."""
    return lambda **wishes: desk.hire(person, **wishes)


def working(launcher, **wishes) -> LauncherPlayer:
    """A launcher with its keys and an open log."""
    player = launcher(**wishes)
    player.do_keys("")
    return player


def test_a_launcher_gets_all_it_needs(launcher, person: Person) -> None:
    dataset = person.seal()
    player = launcher(inputs=[dataset], max_duration_s=90)
    work = player.work
    assert work.tenant_key == person.party.tenant_key.public.hex
    assert Envelope.from_json(work.device) == person.device
    assert Envelope.from_json(work.membership) == person.membership
    assert [Envelope.from_json(text).digest for text in work.inputs] == [dataset.digest]
    assert (work.number, work.cap_s, work.place, work.checkpoint) == (1, 90, Place("DE"), "")
    assert sha256_hex(work.lock.encode()) == player.order.lock


def test_a_run_needs_attested_nodes_where_all_live_grants_of_its_purpose_ask_for_them(
    desk: Desk, launcher, person: Person
) -> None:
    dataset = person.seal()
    player, party = launcher(inputs=[dataset]), person.party
    steward, purpose = Datasets(party.enrol(Role.STEWARD).connection), player.order.purpose

    def give(*, attested: bool, days: int = 1, purpose: str = purpose) -> str:
        grant, now = new_id(Kind.GRANT), now_utc()
        owner = read_unverified(dataset, Manifest)[0].owner
        times = format_time(now), format_time(now + timedelta(days=days))
        said = Grant(grant, party.tenant, owner, purpose, (), Place(), None, 0, attested, False, *times)
        steward.grant(party.sign(said), None)
        return grant

    def needs() -> bool:
        with desk.driven.store.read() as transaction:
            return asks_attested(transaction, find_run(transaction, party.tenant, player.work.run), now_utc())

    assert not needs(), "nothing is granted yet"
    give(attested=True, purpose="another")
    give(attested=True, days=-1)
    assert not needs(), "those are for another purpose, and over"
    give(attested=True)
    assert needs()
    beside = give(attested=False)
    assert not needs(), "any node will do for the grant beside it"
    steward.revoke(party.sign(Revocation(party.tenant, beside, format_time(now_utc()))))
    assert needs()


def test_a_launcher_sees_no_other_attempt(launcher) -> None:
    one, other = launcher(), launcher()
    one.api = type(one.api)(one.connection, other.attempt)
    calls = (
        one.api.work,
        lambda: one.api.progress(RunState.RUNNING),
        lambda: one.api.control(wait_s=0),
        lambda: one.api.finish(one.closing()),
    )
    for call in calls:
        with pytest.raises(NotFoundError):
            call()


def test_a_launcher_may_not_do_what_members_do(launcher) -> None:
    player = launcher()
    for call in (Runs(player.connection).all, lambda: Runs(player.connection).stop(player.run)):
        with pytest.raises(RefusedError):
            call()


def test_a_members_token_is_no_launchers(launcher, person: Person) -> None:
    player = launcher()
    with pytest.raises(RefusedError):
        type(player.api)(person.connection, player.attempt).work()


def test_a_run_moves_forward_only(launcher) -> None:
    player = launcher()
    player.api.progress(RunState.STAGING)
    with pytest.raises(ConflictError, match="a run that is staging cannot become building"):
        player.api.progress(RunState.BUILDING)


def test_a_launcher_cannot_end_or_requeue_a_run_by_saying_so(launcher) -> None:
    player = launcher()
    for state in (RunState.SUCCEEDED, RunState.QUEUED, RunState.STARTING, RunState.STOPPED):
        with pytest.raises(ConflictError, match="a launcher cannot make a run"):
            player.api.progress(state)


def test_the_same_step_again_changes_the_reason_only(launcher, person: Person) -> None:
    player = launcher()
    for reason in ("first", "second", "second"):
        player.api.progress(RunState.WAITING_FOR_KEY, reason)
    events = Runs(person.connection).history(player.run)
    assert [event.reason for event in events if event.state is RunState.WAITING_FOR_KEY] == ["first", "second"]


def test_a_request_for_keys_must_say_what_order_and_attempt_say(launcher) -> None:
    player = launcher()
    for changes in ({"number": 2}, {"order": "00" * 32}, {"place": Place("FR")}, {"items": ()}):
        with pytest.raises((IntegrityError, NotFoundError)):
            Leases(player.connection).request(player.signed_request(**changes))


def test_a_request_for_keys_must_be_signed_by_the_node_of_the_attempt(launcher) -> None:
    player = launcher()
    player.node_key = SigningKey.generate()
    with pytest.raises(IntegrityError, match="not by the nodes"):
        Leases(player.connection).request(player.signed_request())


def test_of_two_launchers_for_one_attempt_the_second_is_told_so(launcher) -> None:
    first = launcher()
    second = LauncherPlayer(first.assignment, first.node_key)
    second.take_work()
    first.request = first.signed_request()
    Leases(first.connection).request(first.request)
    with pytest.raises(ConflictError, match="another launcher works on attempt"):
        Leases(second.connection).request(second.signed_request())
    first.do_keys("")
    second.lease = first.lease
    with pytest.raises(IntegrityError):
        second.open_log()
    with pytest.raises(IntegrityError):
        second.do_finish("succeeded")
    second.connection.close()


def test_without_a_lease_no_log_is_opened(launcher) -> None:
    player = launcher()
    player.lease = sign_statement(player.order, {}, player.run_key)
    with pytest.raises(RefusedError, match="no key was released"):
        player.open_log()


def test_a_log_must_name_its_lease_and_header(launcher) -> None:
    player = working(launcher)
    header = secrets.token_bytes(200)
    said = LogStream(player.tenant, player.run, player.attempt, "00" * 32, sha256_hex(header), later())
    for one in (
        said,
        replace(said, lease=player.lease.digest, header="11" * 32),
        replace(said, run=new_id(Kind.RUN)),
    ):
        with pytest.raises(IntegrityError):
            player.api.open_stream(sign_statement(one, {}, player.run_key), header)
    with pytest.raises(ConflictError, match="has a log already"):
        player.open_log()


def test_segments_are_taken_in_order_and_unharmed(launcher, person: Person) -> None:
    player = working(launcher)
    player.segment(b"one")

    def sent(content: bytes, key: SigningKey = player.run_key, **changes) -> None:
        digest, size = sha256_hex(content), len(content)
        said = LogSegment(player.run, player.attempt, 1, player.tail, digest, size, later())
        player.api.add_segment(sign_statement(replace(said, **changes), {}, key), content)

    for changes, error in (
        ({"number": 2}, ConflictError),
        ({"previous": "00" * 32}, ConflictError),
        ({"body": "00" * 32}, IntegrityError),
        ({"size": 1}, IntegrityError),
        ({"attempt": new_id(Kind.ATTEMPT)}, IntegrityError),
        ({"key": SigningKey.generate()}, IntegrityError),
    ):
        with pytest.raises(error):
            sent(b"two", **changes)
    with pytest.raises(UsageError, match="a log segment has 1 to"):
        sent(b"")
    player.segment(b"two")
    bodies = [one.body for one in Runs(person.connection).log(player.attempt).segments]
    assert bodies == [b"one", b"two"]


def test_a_segment_that_is_sent_again_is_kept_once(launcher, person: Person) -> None:
    player = working(launcher)
    body = b"once"
    player.api.add_segment(player.segment(body), body)
    assert len(Runs(person.connection).log(player.attempt).segments) == 1


def _unregistered(player, person: Person) -> int:
    """How many objects of a tenant are on no record, and would be removed in time."""
    standing = person.party.factory.inside.unregistered.standing()
    return sum(one.count for one in standing if one.tenant == player.tenant)


def test_large_segments_come_back_whole_and_in_pieces(launcher, person: Person) -> None:
    player = working(launcher)
    bodies = [secrets.token_bytes(1_500_000) for _ in range(4)]
    for body in bodies:
        player.segment(body)
    runs, back = Runs(person.connection), []
    while len(back) < len(bodies):
        back += [one.body for one in runs.log(player.attempt, after=len(back) - 1).segments]
    assert back == bodies
    assert _unregistered(player, person) == 0


def test_a_flood_of_log_is_cut_with_a_notice(launcher, person: Person) -> None:
    player = working(launcher)
    player.segment(b"x" * 60)
    inside = person.party.factory.inside
    door = Journals(inside.store, inside.runs.attempts, inside.objects, inside.runs.book, most_bytes=100)
    said = LogSegment(player.run, player.attempt, 1, player.tail, sha256_hex(b"y" * 60), 60, later())
    with pytest.raises(CapacityError, match="the log has reached 100 B; nothing more is kept of it"):
        door.add(player.tenant, player.attempt, sign_statement(said, {}, player.run_key), b"y" * 60)


def test_following_a_log_waits_for_the_next_segment(launcher, person: Person) -> None:
    player = working(launcher)
    player.segment(b"one")
    runs = Runs(person.connection)
    assert not runs.log(player.attempt, after=0, wait_s=0.1).segments
    player.segment(b"two")
    assert [one.body for one in runs.log(player.attempt, after=0, wait_s=10).segments] == [b"two"]


def test_outputs_are_registered_with_the_end(launcher, person: Person) -> None:
    player = working(launcher, outputs=2, publish=("auc",))
    player.play(["output 1", "output 2", "publish auc=0.91"])
    assert Runs(person.connection).show(player.run).outputs == []
    assert _unregistered(player, person) == 6
    player.do_finish("succeeded")
    assert _unregistered(player, person) == 0
    view = Runs(person.connection).show(player.run)
    assert [one.owner for one in view.outputs] == [f"{player.run}/1", f"{player.run}/2"]
    assert view.published == {"auc": 0.91}
    evidence = Runs(person.connection).evidence(player.run)
    assert set(evidence.manifests) == {one.digest for one in player.outputs}
    for digest in evidence.manifests:
        assert Datasets(person.connection).statement(digest).digest == digest


def test_a_sealed_model_is_the_input_of_a_later_run(launcher, person: Person) -> None:
    player = working(launcher, outputs=1)
    player.play(["output 1", "finish succeeded"])
    later_run = launcher(inputs=player.outputs)
    assert later_run.work.inputs == [player.outputs[0].to_json()]


def _sealed_to_somebody_else(player: LauncherPlayer) -> None:
    player.output = Identity.generate().recipient.text
    player.do_output("1")


def _signed_by_another_key(player: LauncherPlayer) -> None:
    key, player.run_key = player.run_key, SigningKey.generate()
    player.do_output("1")
    player.run_key = key


def test_an_output_must_be_the_declared_one_sealed_and_signed_as_the_lease_says(launcher) -> None:
    player = working(launcher, outputs=1)
    for spoil in (
        _sealed_to_somebody_else,
        _signed_by_another_key,
        lambda player: player.do_output("2"),
        lambda player: player.do_output("code"),
        lambda _player: None,
    ):
        player.outputs.clear()
        output = player.output
        spoil(player)
        player.output = output
        with pytest.raises(IntegrityError):
            player.do_finish("succeeded")


def test_an_end_must_say_what_the_factory_knows(launcher) -> None:
    player = working(launcher)
    for changes in (
        {"run": new_id(Kind.RUN)},
        {"order": "00" * 32},
        {"lease": "00" * 32},
        {"lease": ""},
        {"outputs": ("00" * 32,)},
        {"checkpoint": "00" * 32},
    ):
        with pytest.raises(IntegrityError):
            player.api.finish(player.closing(**changes))


def test_an_end_names_every_segment_that_arrived(launcher) -> None:
    player = working(launcher)
    player.segment(b"one")
    with pytest.raises(ConflictError, match="1 have arrived"):
        player.api.finish(player.closing(segments=0, log_tail=""))


def test_an_end_is_signed_by_the_node(launcher) -> None:
    player = working(launcher)
    player.node_key = SigningKey.generate()
    with pytest.raises(IntegrityError):
        player.do_finish("succeeded")


def test_only_metrics_the_order_allows_are_published(launcher) -> None:
    player = working(launcher, publish=("auc",))
    player.do_publish("patients=17")
    with pytest.raises(IntegrityError, match="does not allow the factory to see"):
        player.do_finish("succeeded")


def test_an_end_is_taken_once(launcher, person: Person) -> None:
    player = working(launcher)
    closing = player.closing()
    player.api.finish(closing)
    player.api.finish(closing)
    with pytest.raises(ConflictError, match="ended at"):
        player.api.finish(player.closing("error"))
    finished = [one for one in person.party.entries() if one["kind"] == "run.finished"]
    assert sum(one["refs"]["attempt"] == player.attempt for one in finished) == 1


def test_after_its_end_nothing_more_is_taken(launcher) -> None:
    player = working(launcher, checkpoint=True)
    player.do_finish("succeeded")
    for call in (
        player.api.work,
        lambda: player.api.progress(RunState.RUNNING),
        lambda: player.segment(b"late"),
        lambda: player.do_checkpoint(""),
    ):
        with pytest.raises(ConflictError, match="ended at"):
            call()
    assert player.api.control(wait_s=0).stop


def test_a_checkpoint_is_kept_and_continues_the_chain(launcher, person: Person) -> None:
    player = working(launcher, checkpoint=True)
    player.do_checkpoint("")
    first = Datasets(person.connection).statement(player.checkpoint)
    with pytest.raises(ConflictError):
        player.do_checkpoint("")
    again = player.sealed("checkpoint", version=2, previous=first.digest)
    player.api.add_checkpoint(again)
    player.api.add_checkpoint(again)
    assert read_unverified(again, Manifest)[0].version == 2
    with pytest.raises(IntegrityError):
        player.api.add_checkpoint(player.sealed("checkpoint", version=3, previous="00" * 32))


def test_a_job_without_checkpoints_keeps_none(launcher) -> None:
    with pytest.raises(UsageError, match="keeps no checkpoints"):
        working(launcher).do_checkpoint("")


def test_stopping_reaches_the_launcher_at_once(launcher, person: Person) -> None:
    player = working(launcher)
    assert not player.api.control(wait_s=0).stop
    stopped = Runs(person.connection).stop(player.run)
    assert (stopped.state, stopped.reason[:13]) == (RunState.STAGING, "Asked to stop")
    said = player.api.control(wait_s=10)
    assert (said.stop, said.cause) == (True, "stop")
    player.do_finish("stopped")
    ended = Runs(person.connection).show(player.run)
    assert (ended.state, ended.attempts[0].outcome) == (RunState.STOPPED, Outcome.STOPPED)


def test_a_refusal_of_the_keyholder_ends_the_run(launcher, person: Person) -> None:
    player = launcher()
    person.party.player.refuse = True
    try:
        with pytest.raises(SystemExit):
            player.do_keys("")
    finally:
        person.party.player.refuse = False
    ended = Runs(person.connection).show(player.run)
    assert (ended.state, ended.reason) == (RunState.REFUSED, "The keyholder did not release the keys.")
    assert ended.footprint.cost_micro_eur > 0


def test_a_token_in_nobodys_hands_is_worth_nothing(launcher, desk: Desk) -> None:
    player = launcher()
    guessed = player.assignment["token"][:-4] + "AAAA"
    connection = Connection(desk.url, guessed, patience_s=1)
    with pytest.raises(RefusedError):
        type(player.api)(connection, player.attempt).work()
    connection.close()
