"""Keys are released for what is ordered, granted and on record."""

from datetime import timedelta
from pathlib import Path

from keyhouse import PURPOSE, House
from kifabrik.datasets.manifest import Manifest
from kifabrik.keyholder.events import EventKind
from kifabrik.ledger.checkpoint import verify_cosignature, witness_verifier
from kifabrik.ledger.entry import EntryKind
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import read_unverified
from kifabrik.tenants.statements import Role
from kifabrik.values import parse_time


def test_a_granted_order_gets_keys_that_open_data_and_code(house: House, tmp_path: Path) -> None:
    anna = house.enrol()
    data = anna.seal({"a.csv": b"1,2,3\n", "sub/b.csv": b"4\n"})
    house.grant(data)
    attempt = anna.order(data).attempt().obtain()
    lease = attempt.lease.predicate
    assert attempt.read(data, tmp_path / "data") == {"a.csv": b"1,2,3\n", "sub/b.csv": b"4\n"}
    assert attempt.read(attempt.run.code, tmp_path / "code")["work/train.py"] == b"print('train')\n"
    assert (lease.run, lease.receiver, lease.order) == (attempt.run.id, attempt.attempt, attempt.run.order.digest)
    assert lease.output_recipient.startswith("age1")
    assert (parse_time(lease.expires) - parse_time(lease.created)).total_seconds() == 600 + 30 * 60


def test_the_lease_stands_in_the_log_before_its_keys_leave(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    seen = []

    def look(decision) -> bool:
        seen.append((len(house.factory.headers), "lease.released" in house.factory.kinds()))
        return True

    house.factory.append_decision = look
    anna.order(data).attempt().obtain()
    assert seen[0] == (0, False)
    assert seen[1] == (1, True)


def test_every_round_ends_with_the_newest_head_cosigned(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    anna.order(data).attempt().obtain()
    note = house.factory.cosigned[-1]
    witness = VerifyKey.from_hex(house.state.statement.witness_key)
    assert verify_cosignature(note, witness_verifier(house.factory.tenant, witness))
    assert note.split("\n")[1] == str(len(house.factory.entries))
    before = len(house.factory.cosigned)
    house.round.work()
    assert len(house.factory.cosigned) == before


def test_a_lease_takes_few_calls(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    run = anna.order(data)
    house.round.work()
    run.attempt().ask()
    house.factory.calls.clear()
    house.round.work()
    calls = house.factory.calls
    until_keys = calls[: len(calls) - calls[::-1].index("decide")]
    assert until_keys == ["checkpoint", "tile", "statement", "decide", "checkpoint", "tile", "decide"]


def test_attempts_of_a_run_share_one_output_recipient_and_other_runs_have_their_own(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    run = anna.order(data)
    first, second = run.attempt(1).obtain(), run.attempt(2).obtain()
    other = anna.order(data).attempt().obtain()
    recipients = [one.lease.predicate.output_recipient for one in (first, second, other)]
    assert recipients[0] == recipients[1] != recipients[2]


def test_a_retry_gets_the_checkpoint_of_an_earlier_attempt(house: House, tmp_path: Path) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    run = anna.order(data)
    first = run.attempt(1).obtain()
    checkpoint = first.output({"state.bin": b"epoch 3"}, "checkpoint")
    second = run.attempt(2)
    items = (*second.said().items, checkpoint.digest)
    second.obtain(items=items)
    assert second.read(checkpoint, tmp_path / "checkpoint") == {"state.bin": b"epoch 3"}


def test_a_model_is_the_input_of_a_later_run_and_needs_the_grants_of_its_data(house: House, tmp_path: Path) -> None:
    anna = house.enrol()
    data, batch = anna.seal({"a": b"x"}), anna.seal({"b": b"y"})
    house.grant(data)
    house.grant(batch)
    house.grant(batch, purpose="scoring")
    train = anna.order(data).attempt().obtain()
    model = train.output({"model.bin": b"weights"})
    train.finish(model)
    score = anna.order(batch, model).attempt().obtain()
    assert score.read(model, tmp_path / "model") == {"model.bin": b"weights"}
    other = anna.order(batch, model, purpose="scoring").attempt().ask()
    assert house.refused(other) == "no-grant"


def test_a_grant_that_asks_lets_a_person_decide(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data, ask=True)
    first, second = anna.order(data).attempt(), anna.order(data).attempt()
    yes, no = first.ask(), second.ask()
    house.round.work()
    assert house.factory.asked == [yes, no]
    assert [(one.request, one.member, one.purpose) for one in house.keyholder.asked()] == [
        (yes, "Anna", PURPOSE),
        (no, "Anna", PURPOSE),
    ]
    house.keyholder.approve(yes[:12])
    house.keyholder.deny(second.run.id)
    assert house.refused(no) == "denied"
    assert house.lease(yes).predicate.receiver == first.attempt
    assert house.keyholder.asked() == []


def test_an_order_that_asks_lets_a_person_decide(house: House) -> None:
    anna = house.enrol()
    request = anna.order(ask=True).attempt().ask()
    house.round.work()
    assert house.factory.asked == [request]
    house.keyholder.approve(request)
    house.round.work()
    assert house.lease(request)


def test_approving_does_not_outweigh_the_grant(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    grant = house.grant(data, ask=True)
    request = anna.order(data).attempt().ask()
    house.round.work()
    house.keyholder.approve(request)
    house.steward.revoke(grant.grant)
    assert house.refused(request) == "revoked"


def test_results_and_logs_are_released_to_the_orderer_stewards_and_owners_only(
    house: House, tmp_path: Path
) -> None:
    people = {role: house.enrol(role, str(role)) for role in Role}
    anna, other = people[Role.ENGINEER], house.enrol(Role.ENGINEER, "Otto")
    data = anna.seal({"a": b"x"})
    house.grant(data)
    attempt = anna.order(data).attempt().obtain()
    model, stream = attempt.output({"model.bin": b"weights"}), attempt.stream()
    for person in (anna, people[Role.STEWARD], people[Role.OWNER]):
        request = person.ask_for(attempt.run.id, model, stream)
        house.round.work()
        headers = house.factory.headers[house.lease(request).predicate.request]
        folder = tmp_path / person.member
        assert house.read(model, headers[model.digest], person.identity, folder) == {"model.bin": b"weights"}
        assert house.opens(headers[stream.digest], person.identity)
    for person in (other, people[Role.AUDITOR]):
        assert house.refused(person.ask_for(attempt.run.id, model)) == "role"


def test_a_lost_launcher_needs_no_person_at_the_keyholder(house: House) -> None:
    """Nobody signs the end of an attempt whose node failed; only an end with results must be signed."""
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    attempt = anna.order(data).attempt().obtain()
    ended = {"run": attempt.run.id, "attempt": attempt.attempt, "order": attempt.run.order.digest}
    house.factory.append(EntryKind.RUN_FINISHED, outcome="node-failure", **ended)
    house.round.work()
    assert house.keyholder.status().healthy
    assert not house.said(EventKind.WARNING)
    house.factory.append(EntryKind.RUN_FINISHED, outcome="succeeded", outputs=("ab" * 32,), **ended)
    house.round.work()
    assert house.keyholder.status().unresolved == 1
    assert not house.keyholder.status().healthy


def test_a_grant_the_factory_has_not_taken_says_that_it_waits(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.factory.away = True
    given = house.steward.grant(read_unverified(data, Manifest)[0].owner, PURPOSE)
    assert house.steward.waits(given.grant)
    house.factory.away = False
    house.round.work()
    assert not house.steward.waits(given.grant)
    anna.order(data).attempt().obtain()


def test_tree_heads_are_cosigned_anew_while_a_grant_asks_for_quotes_over_them(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    house.round.work()
    before = len(house.factory.cosigned)
    house.clock.ahead = timedelta(minutes=4)
    house.round.work()
    assert len(house.factory.cosigned) == before, "nobody needs it"
    grant = house.grant(data, attested=True)
    before = len(house.factory.cosigned)
    house.clock.ahead = timedelta(minutes=5)
    house.round.work()
    assert len(house.factory.cosigned) == before, "the last one is fresh"
    house.clock.ahead = timedelta(minutes=8)
    house.round.work()
    assert len(house.factory.cosigned) == before + 1
    house.steward.revoke(grant.grant)
    house.round.work()
    before = len(house.factory.cosigned)
    house.clock.ahead = timedelta(minutes=16)
    house.round.work()
    assert len(house.factory.cosigned) == before
