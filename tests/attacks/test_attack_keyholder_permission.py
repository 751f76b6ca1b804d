"""The customer's own people, and a factory that drops what ends a permission."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from keyhouse import House, Person, Run
from kifabrik.datasets.manifest import Manifest, sign_manifest
from kifabrik.errors import NotFoundError, RefusedError
from kifabrik.grants.decision import bound_code
from kifabrik.grants.statements import Erasure, Revocation
from kifabrik.jobs.private import PATH
from kifabrik.keyholder.events import EventKind
from kifabrik.keyholder.opening import tree_of_code
from kifabrik.keyholder.tenant_key import load_tenant_key
from kifabrik.keyholder.vault import ORDER
from kifabrik.leases.statements import RequestingNode
from kifabrik.ledger.entry import EntryKind
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.statements import Removal, Role
from kifabrik.values import Place, Resources, format_time


def _granted(house: House, **wishes) -> tuple[Person, Envelope, str]:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    return anna, data, house.grant(data, **wishes).grant


def test_without_a_grant_nothing_is_released(house: House) -> None:
    anna = house.enrol()
    assert house.refused(anna.order(anna.seal({"a": b"x"})).attempt().ask()) == "no-grant"


def test_a_grant_for_another_purpose_permits_nothing(house: House) -> None:
    anna, data, _ = _granted(house)
    assert house.refused(anna.order(data, purpose="marketing").attempt().ask()) == "no-grant"


def test_every_input_needs_its_own_grant(house: House) -> None:
    anna, data, _ = _granted(house)
    other = anna.seal({"b": b"y"})
    assert house.refused(anna.order(data, other).attempt().ask()) == "no-grant"


def test_an_expired_grant_permits_nothing_and_no_lease_outlives_its_grant(house: House) -> None:
    anna, data, _ = _granted(house, days=1)
    house.clock.ahead = timedelta(hours=23, minutes=55)
    lease = anna.order(data).attempt().obtain().lease.predicate
    grant = house.keyholder.status().grants[0].grant
    assert lease.expires == grant.expires
    house.clock.ahead = timedelta(hours=24, minutes=1)
    assert house.refused(anna.order(data).attempt().ask()) == "expired"


def test_setting_the_clock_back_revives_nothing(house: House) -> None:
    anna, data, _ = _granted(house, days=1)
    run = anna.order(data, deadline=format_time(house.clock() + timedelta(days=3)))
    house.clock.ahead = timedelta(hours=25)
    assert house.refused(run.attempt(1).ask()) == "expired"
    house.clock.ahead = timedelta()
    assert house.refused(run.attempt(2).ask()) == "expired"
    house.restart()
    late = format_time(house.clock() + timedelta(days=3))
    assert house.refused(anna.order(data, deadline=late).attempt().ask()) == "expired"
    assert house.keyholder.status().clock_behind_s > 0


def test_an_order_past_its_deadline_gets_nothing(house: House) -> None:
    anna, data, _ = _granted(house)
    run = anna.order(data)
    house.clock.ahead = timedelta(hours=9)
    assert house.refused(run.attempt().ask()) == "deadline"


def test_other_places_nodes_members_and_roles_get_nothing(house: House) -> None:
    anna = house.enrol()
    auditor, otto = house.enrol(Role.AUDITOR, "Ada"), house.enrol(Role.ENGINEER, "Otto")
    data = anna.seal({"a": b"x"})
    house.grant(data, members=["Anna"], place=Place("DE", "munich"))
    assert house.refused(otto.order(data).attempt().ask()) == "member"
    assert house.refused(auditor.order(data).attempt().ask()) == "role"
    assert house.refused(anna.order(data).attempt().ask(place=Place("FR", "munich"))) == "place"
    assert house.refused(anna.order(data).attempt().ask(place=Place("DE"))) == "place"
    wanted = anna.order(data, place=Place("AT"))
    assert house.refused(wanted.attempt().ask()) == "place"
    attempt = anna.order(data, resources=Resources(nodes=1)).attempt()
    second = SigningKey.generate()
    nodes = [(attempt.node_key, attempt.identity), (second, Identity.generate())]
    said = attempt.said(nodes=tuple(RequestingNode(key.public.hex, one.recipient.text) for key, one in nodes))
    envelope = sign_statement(said, {}, attempt.run_key, attempt.node_key, second)
    assert house.refused(house.request(envelope, ())) == "nodes"


def test_unattested_nodes_get_nothing_where_attestation_is_asked_for(house: House) -> None:
    anna, data, _ = _granted(house, attested=True)
    assert house.refused(anna.order(data).attempt().ask()) == "not-attested"


def test_other_code_than_the_granted_gets_nothing(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    good, bad = {PATH: b"{}", "work/t.py": b"print(1)"}, {PATH: b"{}", "work/t.py": b"print(data)"}
    sample = anna.order(files=good)
    manifest = read_unverified(sample.code, Manifest)[0]
    headers = house.factory.objects[manifest.headers]
    tree = tree_of_code(manifest, headers, house.state.vault.identity(ORDER), house.factory.fetch)
    house.grant(data, code=bound_code(tree, sample.said.lock))
    assert anna.order(data, files=good).attempt().obtain().lease
    assert house.refused(anna.order(data, files=bad).attempt().ask()) == "code"


def test_the_granted_code_with_other_packages_than_the_granted_gets_nothing(house: House) -> None:
    """Whoever may choose what `import numpy` gets has chosen the code."""
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    files = {PATH: b"{}", "work/t.py": b"import numpy"}
    sample = anna.order(files=files)
    manifest = read_unverified(sample.code, Manifest)[0]
    headers = house.factory.objects[manifest.headers]
    tree = tree_of_code(manifest, headers, house.state.vault.identity(ORDER), house.factory.fetch)
    house.grant(data, code=bound_code(tree, sample.said.lock))
    assert house.refused(anna.order(data, files=files, lock="cd" * 32).attempt().ask()) == "code"
    assert anna.order(data, files=files).attempt().obtain().lease


def test_other_items_than_the_ordered_get_nothing(house: House) -> None:
    anna, data, _ = _granted(house)
    secret = anna.seal({"plan": b"secret"})
    house.round.work()
    run = anna.order(data)
    code, own = run.code.digest, data.digest
    for items in [
        (code,),
        (own,),
        (own, code),
        (code, own, own),
        (code, secret.digest),
        (code, own, secret.digest),
    ]:
        assert house.refused(run.attempt().ask(items=items)) in {"items", "manifest"}
    assert run.attempt().obtain().lease


def test_another_version_than_the_ordered_gets_nothing(house: House) -> None:
    anna, data, _ = _granted(house)
    newer = anna.seal({"a": b"y"}, read_unverified(data, Manifest)[0].owner, data)
    house.round.work()
    run = anna.order(data)
    assert house.refused(run.attempt().ask(items=(run.code.digest, newer.digest))) == "items"
    wrong = anna.order(newer, inputs=(replace(run.said.inputs[0], manifest=newer.digest),))
    assert house.refused(wrong.attempt().ask()) == "manifest"


def test_no_more_attempts_than_ordered(house: House) -> None:
    anna, data, _ = _granted(house)
    run = anna.order(data, attempts=1)
    run.attempt(1).obtain()
    assert house.refused(run.attempt(2).ask()) == "attempts"


def test_the_daily_limit_holds_for_requests_that_come_together_and_frees_after_a_day(house: House) -> None:
    anna, data, _ = _granted(house, runs_per_day=2)
    runs = [anna.order(data) for _ in range(4)]
    requests = [run.attempt().ask() for run in runs]
    house.round.work()
    reasons = [house.factory.decisions[one].payload for one in requests]
    assert sum(b"lease/v1" in payload for payload in reasons) == 2
    assert sum(b'"limit"' in payload for payload in reasons) == 2
    released = next(run for run, one in zip(runs, requests, strict=True) if one in house.factory.headers)
    assert released.attempt(2).obtain().lease, "a retry is not a new run"
    house.clock.ahead = timedelta(hours=24, minutes=1)
    assert anna.order(data).attempt().obtain().lease


def test_the_daily_limit_holds_for_the_next_process_on_the_folder(house: House) -> None:
    anna, data, _ = _granted(house, runs_per_day=1)
    first = anna.order(data).attempt().ask()
    house.round.work()
    house.open()
    second = anna.order(data).attempt().ask()
    assert house.refused(second) == "limit"
    assert house.lease(first)


def test_a_revocation_holds_although_the_factory_drops_it(house: House) -> None:
    anna, data, grant = _granted(house)
    house.factory.accept_statement = lambda kind, _envelope: kind is not EntryKind.GRANT_REVOKED
    house.steward.revoke(grant)
    assert "grant.revoked" not in house.factory.kinds()
    house.restart()
    house.dropped()
    assert house.judged(anna.order(data).attempt().ask()) == "revoked"
    house.factory.accept_statement = lambda _kind, _envelope: True
    house.keyholder.thaw()
    house.round.work()
    assert "grant.revoked" in house.factory.kinds(), "it is sent again until the log shows it"


def test_a_revocation_holds_while_the_factory_is_away_and_is_delivered_later(house: House) -> None:
    anna, data, grant = _granted(house)
    request = anna.order(data).attempt().ask()
    house.factory.away = True
    house.steward.revoke(grant)
    assert house.keyholder.status().undelivered == 1
    house.factory.away = False
    assert house.refused(request) == "revoked"
    assert "grant.revoked" in house.factory.kinds()
    assert house.keyholder.status().undelivered == 0


def test_a_revocation_whose_statement_is_withheld_still_blocks(house: House) -> None:
    """A steward elsewhere revoked; the log shows it, but the factory does not hand the statement out."""
    anna, data, grant = _granted(house)
    said = Revocation(house.factory.tenant, grant, house.now())
    envelope = sign_statement(said, {}, house.tenant_key)
    house.factory.revoke(envelope)
    house.factory.corrupt_signature(envelope.digest)
    assert house.refused(anna.order(data).attempt().ask()) == "revoked"
    assert house.keyholder.status().unresolved == 1
    assert house.said(EventKind.WARNING)


def test_a_revocation_the_factory_made_up_blocks_until_a_person_has_looked(house: House) -> None:
    anna, data, grant = _granted(house)
    house.factory.revoke(
        sign_statement(Revocation(house.factory.tenant, grant, house.now()), {}, SigningKey.generate())
    )
    assert house.refused(anna.order(data).attempt().ask()) == "revoked"
    house.keyholder.thaw(grant)
    assert anna.order(data).attempt().obtain().lease


def test_a_revocation_between_decision_and_delivery_keeps_the_keys_here(house: House) -> None:
    anna, data, grant = _granted(house)
    request = anna.order(data).attempt().ask()

    def revoke_now(_decision) -> bool:
        house.factory.append_decision = lambda _decision: True
        house.steward.revoke(grant)
        return True

    house.factory.append_decision = revoke_now
    house.round.work()
    assert request in house.factory.decisions
    assert request not in house.factory.headers
    house.restart()
    house.round.work()
    assert request not in house.factory.headers


def _held_back(house: House, request: str) -> Callable[[], None]:
    """Let the factory keep a decision out of the log; return how it enters it after all."""
    kept: list[Envelope] = []
    house.factory.append_decision = kept.append
    house.round.work()
    assert [one.predicate.request for one in map(house.own_lease, kept)] == [request]

    def enter() -> None:
        house.factory.append_decision = lambda _decision: True
        house.factory.enter_decision(kept[0])
        house.round.work()
        house.restart()
        house.round.work()

    return enter


def test_keys_stay_here_when_their_lease_has_expired_before_it_stands_in_the_log(house: House) -> None:
    anna, data, _ = _granted(house, days=1)
    request = anna.order(data).attempt().ask()
    enter = _held_back(house, request)
    house.clock.ahead = timedelta(days=2)
    enter()
    assert request not in house.factory.headers
    assert any("expired" in text for text in house.said(EventKind.WARNING))


def test_keys_stay_here_when_a_removal_whose_statement_is_withheld_comes_before_delivery(house: House) -> None:
    anna, data, _ = _granted(house)
    request = anna.order(data).attempt().ask()
    enter = _held_back(house, request)
    removal = sign_statement(Removal(house.factory.tenant, anna.member, house.now()), {}, house.tenant_key)
    house.factory.remove(removal)
    house.factory.corrupt_signature(removal.digest)
    enter()
    assert request not in house.factory.headers


@pytest.mark.parametrize("how", ["frozen", "erased with its results"])
def test_keys_of_results_stay_here_when_what_they_came_from_is_blocked_before_delivery(
    house: House, how: str
) -> None:
    anna, data, _ = _granted(house)
    attempt = anna.order(data).attempt().obtain()
    model = attempt.output({"m": b"w"})
    request = anna.ask_for(attempt.run.id, model)
    enter = _held_back(house, request)
    owner = read_unverified(data, Manifest)[0].owner
    if how == "frozen":
        house.keyholder.freeze(owner)
    else:
        house.steward.erase(owner, derived=True)
    enter()
    assert request not in house.factory.headers


def test_results_that_outlive_their_dataset_are_delivered_although_it_was_erased_meanwhile(house: House) -> None:
    anna, data, _ = _granted(house)
    attempt = anna.order(data).attempt().obtain()
    model = attempt.output({"m": b"w"})
    request = anna.ask_for(attempt.run.id, model)
    enter = _held_back(house, request)
    house.steward.erase(read_unverified(data, Manifest)[0].owner)
    enter()
    assert house.lease(request)


def test_an_erasure_leaves_no_key_that_was_wrapped_for_others_and_has_not_left(house: House) -> None:
    anna, data, _ = _granted(house)
    request = anna.order(data).attempt().ask()
    _held_back(house, request)
    assert house.round.books.records.decision(request).headers
    house.steward.erase(read_unverified(data, Manifest)[0].owner)
    assert not house.round.books.records.decision(request).headers


def test_a_removed_member_gets_nothing_although_the_factory_drops_the_removal(house: House) -> None:
    anna, data, _ = _granted(house)
    run = anna.order(data)
    attempt = run.attempt(1).obtain()
    model = attempt.output({"m": b"w"})
    house.factory.accept_statement = lambda kind, _envelope: kind is not EntryKind.MEMBER_REMOVED
    house.steward.remove_member("Anna")
    house.dropped()
    for ask, reason in (
        (lambda: run.attempt(2).ask(), "removed-member"),
        (lambda: anna.ask_for(run.id, model), "removed-member"),
        (lambda: anna.order(data).attempt().ask(), "unknown-order"),
    ):
        assert house.judged(ask()) == reason
        house.keyholder.thaw()


def test_a_removal_that_stands_in_the_log_only_counts_too(house: House) -> None:
    anna, data, _ = _granted(house)
    run = anna.order(data)
    removal = sign_statement(Removal(house.factory.tenant, anna.member, house.now()), {}, house.tenant_key)
    house.factory.remove(removal)
    assert house.refused(run.attempt().ask()) == "removed-member"


def test_a_late_device_on_an_expired_invitation_is_not_enrolled_by_backdating(house: House) -> None:
    invitation = house.steward.invite(Role.OWNER, "Late", days=1)
    house.clock.ahead = timedelta(days=2)
    house.factory.append("deadline.missed", run="r-x")
    house.round.work()
    house.factory.time = lambda: format_time(house.clock() - timedelta(days=2))
    late = house.person(invitation)
    house.factory.time = house.now
    assert house.refused(late.order().attempt().ask()) == "unknown-order"


def test_a_lease_after_erasure_is_refused_and_the_identity_is_gone(house: House) -> None:
    anna, data, _ = _granted(house)
    run = anna.order(data)
    owner = read_unverified(data, Manifest)[0].owner
    house.factory.accept_statement = lambda kind, _envelope: kind is not EntryKind.ERASURE_DECIDED
    house.steward.erase(owner)
    house.dropped()
    assert house.judged(run.attempt().ask()) == "erased"
    with pytest.raises(NotFoundError):
        house.state.vault.identity(f"dataset/{owner}")


def test_an_erasure_without_the_tenant_key_destroys_nothing_but_blocks(house: House) -> None:
    anna, data, _ = _granted(house)
    owner = read_unverified(data, Manifest)[0].owner
    said = Erasure(house.factory.tenant, owner, True, house.now())
    house.factory.erase(sign_statement(said, {}, anna.key))
    assert house.refused(anna.order(data).attempt().ask()) == "frozen"
    assert house.state.vault.identity(f"dataset/{owner}")
    house.keyholder.thaw(owner)
    assert anna.order(data).attempt().obtain().lease


def test_the_tenant_key_needs_its_passphrase(house: House) -> None:
    with pytest.raises(RefusedError):
        load_tenant_key(house.home / "keyholder", "guess")


def test_models_of_an_erased_dataset_are_no_inputs_any_more(house: House) -> None:
    anna, data, _ = _granted(house)
    train = anna.order(data).attempt().obtain()
    model = train.output({"m": b"w"})
    house.steward.erase(read_unverified(data, Manifest)[0].owner)
    assert house.refused(anna.order(model).attempt().ask()) == "erased"


def test_a_model_of_a_run_the_keyholder_never_released_to_is_no_input(house: House) -> None:
    anna, data, _ = _granted(house)
    never = anna.order(data)
    fake_key = SigningKey.generate()
    manifest = house.sealed({"m": b"w"}, f"{never.id}/1", house.state.statement.order_recipient)
    fake = sign_manifest(manifest, fake_key)
    house.factory.statements[fake.digest] = fake
    assert house.refused(anna.order(fake).attempt().ask()) in {"manifest", "lineage"}


def test_a_frozen_keyholder_and_a_frozen_dataset_release_nothing(house: House) -> None:
    anna, data, _ = _granted(house)
    run: Run = anna.order(data)
    owner = read_unverified(data, Manifest)[0].owner
    house.keyholder.freeze(owner)
    assert house.refused(run.attempt(1).ask()) == "frozen"
    house.keyholder.thaw(owner)
    house.keyholder.freeze()
    assert house.refused(run.attempt(2).ask()) == "frozen"
    house.keyholder.thaw()
    assert anna.order(data).attempt().obtain().lease
