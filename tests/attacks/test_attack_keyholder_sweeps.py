"""Whoever controls the factory invents tasks, moves results between them, or feeds a pipeline other inputs."""

from dataclasses import replace

import pytest

from keyhouse import Attempt, House, Person, Run
from kifabrik.datasets.manifest import sign_manifest
from kifabrik.errors import NotFoundError
from kifabrik.keyholder.lineage import Lineage
from kifabrik.ledger.entry import EntryKind
from kifabrik.orders.order import Input, Need, sign_order
from kifabrik.runs.statements import LogStream
from kifabrik.runs.states import Outcome
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.statements import Role
from kifabrik.values import task_run


def _granted(house: House, **wishes) -> tuple[Person, Envelope]:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data, **wishes)
    return anna, data


def _task(run: Run, number: int, attempt: int = 1) -> Attempt:
    """A launcher of a task, with its keys."""
    return run.attempt(attempt).obtain(run=task_run(run.id, number))


def test_every_task_an_order_covers_gets_keys_and_a_result_identity_of_its_own(house: House) -> None:
    anna, data = _granted(house)
    sweep = anna.order(data, tasks=3)
    leases = [_task(sweep, number).lease.predicate for number in (1, 2, 3)]
    assert [lease.run for lease in leases] == [task_run(sweep.id, number) for number in (1, 2, 3)]
    assert len({lease.output_recipient for lease in leases}) == 3


@pytest.mark.parametrize("name", ["{0}-4", "{0}-0", "{0}-01", "{0}", "{0}-1-1", "{0}-10001"])
def test_a_task_the_order_does_not_number_gets_nothing(house: House, name: str) -> None:
    anna, data = _granted(house)
    sweep = anna.order(data, tasks=3)
    assert house.refused(sweep.attempt().ask(run=name.format(sweep.id))) == "unknown-order"


def test_a_task_that_was_not_ordered_again_gets_nothing(house: House) -> None:
    anna, data = _granted(house)
    first = anna.order(data, tasks=3)
    again = anna.order(data, tasks=3, only=(2,), again=first.order.digest, code_manifest=first.code)
    assert house.refused(again.attempt().ask(run=task_run(again.id, 1))) == "unknown-order"
    assert _task(again, 2).lease


def test_one_run_cannot_be_made_a_sweep(house: House) -> None:
    anna, data = _granted(house)
    run = anna.order(data)
    assert house.refused(run.attempt().ask(run=task_run(run.id, 1))) == "unknown-order"


def test_more_tasks_than_were_signed_are_not_in_an_order_the_factory_changed(house: House) -> None:
    anna, data = _granted(house)
    sweep = anna.order(data, tasks=2)
    changed = sign_order(replace(sweep.said, tasks=9), SigningKey.generate())
    house.factory.put(EntryKind.RUN_ORDERED, changed, order=changed.digest, run=sweep.id)
    forged = Run(house, changed, sweep.code, sweep.inputs)
    assert house.refused(forged.attempt().ask(run=task_run(sweep.id, 5))) == "unknown-order"
    assert house.refused(sweep.attempt().ask(run=task_run(sweep.id, 5))) == "unknown-order"


def test_an_order_for_tasks_its_sweep_does_not_have_counts_for_nothing(house: House) -> None:
    anna, data = _granted(house)
    sweep = anna.order(data, tasks=2, only=(7,))
    assert house.refused(sweep.attempt().ask(run=task_run(sweep.id, 7))) == "unknown-order"


def test_attempts_are_counted_for_each_task(house: House) -> None:
    anna, data = _granted(house)
    sweep = anna.order(data, tasks=2, attempts=1)
    _task(sweep, 1)
    assert house.refused(sweep.attempt(2).ask(run=task_run(sweep.id, 1))) == "attempts"
    assert house.refused(sweep.attempt(1).ask(run=task_run(sweep.id, 1))) == "replayed"
    assert _task(sweep, 2).lease


def test_every_task_counts_against_the_runs_a_grant_allows_in_a_day(house: House) -> None:
    anna, data = _granted(house, runs_per_day=2)
    sweep = anna.order(data, tasks=3)
    _task(sweep, 1)
    _task(sweep, 2)
    assert house.refused(sweep.attempt().ask(run=task_run(sweep.id, 3))) == "limit"


def test_a_request_for_one_task_cannot_be_used_for_another(house: House) -> None:
    anna, data = _granted(house)
    sweep = anna.order(data, tasks=2)
    attempt = sweep.attempt()
    said = attempt.said(run=task_run(sweep.id, 1))
    envelope = sign_statement(said, {"order": said.order}, attempt.run_key, attempt.node_key)
    moved = envelope.payload.replace(task_run(sweep.id, 1).encode(), task_run(sweep.id, 2).encode())
    assert house.refused(house.request(replace(envelope, payload=moved), ())) == "bad-request"


def test_what_one_task_made_is_not_released_as_anothers(house: House) -> None:
    anna, data = _granted(house)
    sweep = anna.order(data, tasks=2)
    first, second = _task(sweep, 1), _task(sweep, 2)
    manifest = house.sealed({"m": b"1"}, f"{task_run(sweep.id, 2)}/1", second.lease.predicate.output_recipient)
    forged = sign_manifest(manifest, first.run_key)
    assert house.refused(anna.ask_for(task_run(sweep.id, 2), forged)) == "manifest"
    said = read_unverified(first.stream(), LogStream)[0]
    stream = sign_statement(replace(said, run=task_run(sweep.id, 2)), {"header": said.header}, first.run_key)
    assert house.refused(anna.ask_for(sweep.id, stream)) == "manifest"
    own = second.output({"m": b"2"})
    assert house.refused(anna.ask_for(task_run(sweep.id, 1), own)) == "items"
    assert house.refused(anna.ask_for(task_run(sweep.id, 1), second.stream())) == "manifest"


def test_a_checkpoint_of_one_task_is_not_given_to_another(house: House) -> None:
    anna, data = _granted(house)
    sweep = anna.order(data, tasks=2)
    first = _task(sweep, 1)
    _task(sweep, 2)
    checkpoint = first.output({"state": b"1"}, part="checkpoint")
    items = (sweep.code.digest, data.digest, checkpoint.digest)
    assert house.refused(sweep.attempt(2).ask(run=task_run(sweep.id, 2), items=items)) == "manifest"
    assert sweep.attempt(2).obtain(run=task_run(sweep.id, 1), items=items).lease


def test_a_sweep_is_asked_about_as_a_whole_for_what_its_own_tasks_made(house: House, tmp_path) -> None:
    anna, data = _granted(house)
    sweep, other = anna.order(data, tasks=2), anna.order(data, tasks=2)
    logs = [_task(sweep, number).stream() for number in (1, 2)]
    foreign = _task(other, 1).stream()
    request = anna.ask_for(sweep.id, *logs)
    house.round.work()
    assert len(house.lease(request).predicate.items) == 2
    assert house.refused(anna.ask_for(sweep.id, logs[0], foreign)) == "manifest"
    assert house.refused(anna.ask_for(task_run(sweep.id, 1), logs[1])) == "manifest"
    otto = house.enrol(Role.ENGINEER, "Otto")
    assert house.refused(otto.ask_for(sweep.id, *logs)) == "role"


def test_one_word_of_a_person_is_said_about_every_task_and_nothing_else(house: House) -> None:
    anna, data = _granted(house)
    sweep, other = anna.order(data, tasks=3, ask=True), anna.order(data, tasks=2, ask=True)
    asking = [sweep.attempt().ask(run=task_run(sweep.id, number)) for number in (1, 2)]
    elsewhere = other.attempt().ask(run=task_run(other.id, 1))
    house.round.work()
    assert len(house.keyholder.asked()) == 2
    house.keyholder.approve(sweep.id)
    house.round.work()
    assert all(house.lease(request) for request in asking)
    assert _task(sweep, 3).lease
    assert elsewhere not in house.factory.decisions
    house.keyholder.deny(task_run(other.id, 1))
    assert house.refused(elsewhere) == "denied"
    assert house.refused(other.attempt().ask(run=task_run(other.id, 2))) == "denied"
    with pytest.raises(NotFoundError):
        house.keyholder.approve(other.id)


# --- pipelines ---


def _prepared(house: House) -> tuple[Person, Run, Attempt, Envelope]:
    anna, data = _granted(house)
    prepare = anna.order(data)
    attempt = prepare.attempt().obtain()
    features = attempt.output({"f": b"1"})
    return anna, prepare, attempt, features


def _train(anna: Person, prepare: Run, **wishes) -> Run:
    wishes.setdefault("needs", (Need(prepare.id, prepare.order.digest),))
    return anna.order(inputs=(Input(f"{prepare.id}/1", 1, ""),), **wishes)


def _asks(train: Run, *given: Envelope) -> str:
    return train.attempt().ask(items=(train.code.digest, *(one.digest for one in given)))


def test_a_run_gets_what_the_run_it_needs_has_ended_with(house: House, tmp_path) -> None:
    anna, prepare, attempt, features = _prepared(house)
    train = _train(anna, prepare)
    attempt.finish(features)
    launcher = train.attempt().obtain(items=(train.code.digest, features.digest))
    assert launcher.read(features, tmp_path / "read") == {"f": b"1"}
    behind = Lineage(house.state.db).descendants(prepare.said.inputs[0].owner)
    assert sorted(behind) == sorted([prepare.id, train.id]), "erasure sees through the pipeline"


def test_an_output_that_no_signed_end_names_is_no_input(house: House) -> None:
    anna, prepare, attempt, features = _prepared(house)
    train = _train(anna, prepare)
    assert house.refused(_asks(train, features)) == "needs"
    attempt.finish(features)
    other = attempt.output({"f": b"2"})
    assert house.refused(_asks(train, other)) == "needs"
    assert train.attempt(2).obtain(items=(train.code.digest, features.digest)).lease


def test_an_end_the_factory_signs_itself_makes_no_output(house: House) -> None:
    anna, prepare, attempt, features = _prepared(house)
    train, honest = _train(anna, prepare), attempt.run_key
    attempt.run_key = SigningKey.generate()
    attempt.finish(features)
    attempt.run_key = honest
    assert house.refused(_asks(train, features)) == "needs"


def test_an_output_of_another_run_or_number_is_no_input(house: House) -> None:
    anna, prepare, attempt, features = _prepared(house)
    second = attempt.output({"g": b"3"}, part="2")
    attempt.finish(features, second)
    other = anna.order(*prepare.inputs)
    swapped = other.attempt().obtain()
    made = swapped.output({"f": b"evil"})
    swapped.finish(made)
    train = _train(anna, prepare)
    assert house.refused(_asks(train, made)) == "needs"
    assert house.refused(_asks(train, second)) == "needs"
    assert house.refused(_asks(train, *prepare.inputs)) == "needs"
    assert house.refused(_asks(train)) == "needs"


@pytest.mark.parametrize("ended", [None, Outcome.ERROR])
def test_nothing_is_released_before_what_an_order_needs_has_succeeded(house: House, ended: Outcome | None) -> None:
    """A check that must succeed before the data is used: the factory lets the run go all the same."""
    anna, data = _granted(house)
    check = anna.order(data)
    attempt = check.attempt().obtain()
    train = anna.order(data, needs=(Need(check.id, check.order.digest),))
    if ended is not None:
        attempt.finish(outcome=ended)
    assert house.refused(train.attempt().ask()) == "needs"
    check.attempt(2).obtain().finish()
    assert train.attempt(2).obtain().lease


def test_what_a_failed_end_names_is_no_input(house: House) -> None:
    anna, prepare, attempt, features = _prepared(house)
    attempt.finish(features, outcome=Outcome.ERROR)
    assert house.refused(_asks(_train(anna, prepare), features)) == "needs"


def test_of_a_sweep_that_is_needed_every_task_must_have_succeeded(house: House) -> None:
    anna, data = _granted(house)
    sweep = anna.order(data, tasks=2)
    train = anna.order(data, needs=(Need(sweep.id, sweep.order.digest),))
    _task(sweep, 1).finish()
    assert house.refused(train.attempt().ask()) == "needs"
    _task(sweep, 2).finish()
    assert train.attempt(2).obtain().lease


def test_another_order_cannot_stand_in_for_the_one_that_is_needed(house: House) -> None:
    anna, prepare, attempt, features = _prepared(house)
    attempt.finish(features)
    other = anna.order(*prepare.inputs)
    train = _train(anna, prepare, needs=(Need(prepare.id, other.order.digest),))
    assert house.refused(_asks(train, features)) == "needs"
    unneeded = anna.order(inputs=(Input(f"{prepare.id}/1", 1, ""),))
    assert house.refused(_asks(unneeded, features)) == "unknown-order"


def test_a_later_end_of_another_attempt_changes_no_input(house: House) -> None:
    anna, prepare, attempt, features = _prepared(house)
    attempt.finish(features)
    again = prepare.attempt(2).obtain()
    changed = again.output({"f": b"later"})
    again.finish(changed)
    train = _train(anna, prepare)
    assert house.refused(_asks(train, changed)) == "needs"


def test_the_grants_behind_an_output_hold_for_what_follows_it(house: House) -> None:
    anna, prepare, attempt, features = _prepared(house)
    attempt.finish(features)
    assert house.refused(_asks(_train(anna, prepare, purpose="advertising"), features)) == "no-grant"


def test_code_is_not_run_again_by_a_colleague(house: House) -> None:
    anna, data = _granted(house)
    otto = house.enrol(Role.ENGINEER, "Otto")
    sweep = anna.order(data, tasks=2)
    copied = otto.order(data, tasks=2, only=(2,), again=sweep.order.digest, code_manifest=sweep.code)
    assert house.refused(copied.attempt().ask(run=task_run(copied.id, 2))) == "again"
    plain = otto.order(data, code_manifest=sweep.code)
    assert house.refused(plain.attempt().ask()) == "manifest"


def test_code_is_run_again_only_as_it_was_ordered_before(house: House) -> None:
    anna, data = _granted(house)
    sweep, other = anna.order(data, tasks=2), anna.order(data, tasks=2)
    mixed = anna.order(data, tasks=2, again=sweep.order.digest, code_manifest=other.code)
    assert house.refused(mixed.attempt().ask(run=task_run(mixed.id, 1))) == "again"
    never = anna.order(data, tasks=2, again="ab" * 32, code_manifest=sweep.code)
    assert house.refused(never.attempt().ask(run=task_run(never.id, 1))) == "again"
    once = anna.order(data, tasks=2, again=sweep.order.digest, code_manifest=sweep.code)
    twice = anna.order(data, tasks=2, again=once.order.digest, code_manifest=sweep.code)
    assert house.refused(twice.attempt().ask(run=task_run(twice.id, 1))) == "again"
    assert _task(once, 1).lease
