"""The factory tries to pass another task's output, or a promotion nobody signed, for the model of a sweep."""

from dataclasses import replace

import pytest
from test_attack_customer_names import View, view

from keyhouse import Attempt, Person, Run
from kifabrik.customer.proof import prove_run
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.jobs.matrix import Matrix
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.models.promotion import Promotion
from kifabrik.orders.order import Input, Need
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.statements import Role
from kifabrik.values import task_run

__all__ = ["view"]
MATRIX = Matrix.from_plain({"lr": [1, 2, 3]})


def _named(view: View, run: Run, **said) -> Run:
    """Give the newest order its names, as its member seals them."""
    entries = view.house.factory.entries
    told = Entry.from_bytes(entries.pop())
    detail = view.names(run.order, run.id, {"name": "grid", "outputs": ["model"], **said})
    view.details[detail.sha256] = detail.sealed
    entries.append(replace(told, detail=detail.sha256).to_bytes())
    view.house.round.work()
    return run


def _sweep(view: View, **wishes) -> Run:
    return _named(view, view.person.order(tasks=3, **wishes), matrix=MATRIX.to_body())


def _done(run: Run, number: int) -> tuple[Attempt, Envelope]:
    attempt = run.attempt().obtain(run=task_run(run.id, number))
    output = attempt.output({"m": str(number).encode()})
    attempt.finish(output)
    return attempt, output


def _promote(
    view: View, sweep: Run, number: int, output: Envelope, key: SigningKey | None = None, **changes
) -> None:
    said = Promotion(
        tenant=view.house.factory.tenant,
        member=view.person.member,
        order=sweep.order.digest,
        run=task_run(sweep.id, number),
        owner=f"{task_run(sweep.id, number)}/1",
        manifest=output.digest,
        created=view.house.now(),
    )
    signed = sign_statement(replace(said, **changes), {}, key or view.person.key)
    view.house.factory.statements[signed.digest] = signed
    refs = {"statement": signed.digest, "run": task_run(sweep.id, number), "outputs": (output.digest,)}
    view.entry(EntryKind.MODEL_PROMOTED, refs)


def test_a_task_is_a_model_version_from_its_promotion_on_counted_with_other_runs(view: View) -> None:
    sweep = _sweep(view)
    outputs = {number: _done(sweep, number)[1] for number in (1, 2, 3)}
    single = _named(view, view.person.order())
    attempt = single.attempt().obtain()
    attempt.finish(attempt.output({"m": b"single"}))
    assert [model.run.run for model in view.catalogue().models()] == [single.id]
    _promote(view, sweep, 2, outputs[2])
    _promote(view, sweep, 2, outputs[2])
    models = view.catalogue().models()
    assert [(model.version, model.owner) for model in models] == [
        (1, f"{single.id}/1"),
        (2, f"{task_run(sweep.id, 2)}/1"),
    ]
    assert models[1].manifest == outputs[2].digest


def test_a_promotion_nobody_signed_counts_for_nothing(view: View) -> None:
    sweep = _sweep(view)
    _, output = _done(sweep, 1)
    _promote(view, sweep, 1, output, key=SigningKey.generate())
    view.entry(EntryKind.MODEL_PROMOTED, {"run": task_run(sweep.id, 1), "outputs": (output.digest,)})
    assert view.catalogue().models() == []


def test_an_auditors_promotion_counts_for_nothing(view: View) -> None:
    sweep = _sweep(view)
    _, output = _done(sweep, 1)
    auditor: Person = view.house.enrol(Role.AUDITOR, "Ada")
    _promote(view, sweep, 1, output, key=auditor.key, member=auditor.member)
    assert view.catalogue().models() == []


def test_a_promotion_by_a_member_who_was_removed_before_counts_for_nothing(view: View) -> None:
    sweep = _sweep(view)
    _, first = _done(sweep, 1)
    _, second = _done(sweep, 2)
    _promote(view, sweep, 1, first)
    view.house.steward.remove_member("Anna")
    view.house.round.work()
    _promote(view, sweep, 2, second)
    assert [model.run.run for model in view.catalogue().models()] == [task_run(sweep.id, 1)]


@pytest.mark.parametrize("part", ["order", "run", "owner", "manifest", "tenant"])
def test_a_promotion_of_something_else_counts_for_nothing(view: View, part: str) -> None:
    sweep = _sweep(view)
    _, output = _done(sweep, 1)
    other = {
        "order": "ab" * 32,
        "run": task_run(sweep.id, 2),
        "owner": f"{task_run(sweep.id, 2)}/1",
        "manifest": "cd" * 32,
        "tenant": "t-" + "x" * 32,
    }
    _promote(view, sweep, 1, output, **{part: other[part]})
    assert view.catalogue().models() == []


def test_a_tasks_chain_leads_to_the_order_of_its_sweep_and_to_no_other_task(view: View) -> None:
    sweep = _sweep(view)
    _done(sweep, 1)
    _, second = _done(sweep, 2)
    view.house.round.work()
    proven = prove_run(view.session, view.catalogue(), task_run(sweep.id, 2))
    assert [output.digest for output in proven.outputs] == [second.digest]
    with pytest.raises((IntegrityError, NotFoundError)):
        prove_run(view.session, view.catalogue(), task_run(sweep.id, 4))


def test_what_was_ordered_again_is_shown_only_where_its_member_said_so(view: View) -> None:
    first = _sweep(view)
    wishes = {"tasks": 3, "only": (2,), "again": first.order.digest, "code_manifest": first.code}
    body = {"matrix": MATRIX.to_body(), "only": [2]}
    again = _named(view, view.person.order(**wishes), **body, again=first.order.digest)
    _named(view, view.person.order(tasks=3), matrix=MATRIX.to_body())
    sweep = view.catalogue().sweep(first.id)
    assert [order.run for order in sweep.orders] == [first.id, again.id]
    assert [sweep.run_of(number) for number in (1, 2, 3)] == [
        task_run(first.id, 1),
        task_run(again.id, 2),
        task_run(first.id, 3),
    ]
    assert view.catalogue().sweep(again.id).run == first.id


def test_a_model_made_from_another_output_than_its_order_needs_is_not_proven(view: View) -> None:
    prepare = _named(view, view.person.order())
    made = prepare.attempt().obtain()
    features = made.output({"f": b"1"})
    made.finish(features)
    needs = (Need(prepare.id, prepare.order.digest),)
    train = _named(view, view.person.order(inputs=(Input(f"{prepare.id}/1", 1, ""),), needs=needs))
    attempt = train.attempt().obtain(items=(train.code.digest, features.digest))
    attempt.finish(attempt.output({"m": b"1"}))
    view.house.round.work()
    assert prove_run(view.session, view.catalogue(), train.id).outputs
    later = made.output({"f": b"2"})
    request = attempt.lease.predicate.request
    envelope = view.house.factory.statements[request]
    swapped = envelope.payload.replace(features.digest.encode(), later.digest.encode())
    view.house.factory.statements[request] = replace(envelope, payload=swapped)
    with pytest.raises(IntegrityError):
        prove_run(view.session, view.catalogue(), train.id)
