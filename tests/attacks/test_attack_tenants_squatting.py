"""Ids are chosen by clients: a tenant that takes another's before it can, hinders nobody."""

import secrets

import pytest
from runs_room import Desk, desk

from kifabrik.client.datasets import Datasets
from kifabrik.client.leases import Leases
from kifabrik.client.objects import Objects
from kifabrik.client.runs import Runs
from kifabrik.client.tenants import Tenants
from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import ConflictError, KifabrikError, RefusedError
from kifabrik.grants.statements import Grant
from kifabrik.signatures.statements import read_unverified
from kifabrik.tenants.statements import RecipientList, Role
from kifabrik.values import Kind, Place, format_time, new_id, now_utc
from parties import Party, Person
from players import LOCK, an_order

__all__ = ["desk"]


@pytest.fixture
def parties(desk: Desk) -> tuple[Person, Person]:
    """The squatter, who is first each time, and the victim."""
    squatter, victim = desk.sign_up().enrol(Role.STEWARD), desk.sign_up().enrol(Role.STEWARD)
    for person in (squatter, victim):
        person.party.mailbox.mail(after=0, wait_s=0)
    return squatter, victim


def publish(party: Party, dataset: str) -> None:
    """Let a keyholder publish a recipient for a dataset id of its choice."""
    party.new_dataset()
    party.recipients[dataset] = next(iter(party.recipients.values()))
    listed = RecipientList(party.tenant, 99, dict(party.recipients), format_time(now_utc()))
    Tenants(party.connection).publish_recipients(party.sign(listed, party.keyholder_key))


def test_a_dataset_id_can_be_taken_in_ones_own_tenant_only(parties: tuple[Person, Person]) -> None:
    dataset = new_id(Kind.DATASET)
    for person in parties:
        publish(person.party, dataset)
        manifest = person.seal(dataset)
        assert read_unverified(Datasets(person.connection).statement(manifest.digest), Manifest)[0].owner == dataset
    assert [len(Datasets(person.connection).versions()) for person in parties] == [1, 1]


def test_a_run_id_and_a_nonce_can_be_taken_in_ones_own_tenant_only(
    desk: Desk, parties: tuple[Person, Person]
) -> None:
    run, nonce = new_id(Kind.RUN), secrets.token_hex(16)
    for person in parties:
        signed, code = an_order(person, run=run, nonce=nonce)
        assert Runs(person.connection).order(signed, code, LOCK, None).member == person.member
    desk.drive()
    for person in parties:
        view = Runs(person.connection).show(run)
        assert (view.member, len(view.attempts)) == (person.member, 1), view.reason
    first = Runs(parties[0].connection)
    first.stop(run)
    assert Runs(parties[1].connection).show(run).attempts[0].attempt != first.show(run).attempts[0].attempt
    assert str(Runs(parties[1].connection).show(run).state) != "stopped"


def test_within_a_tenant_the_first_order_of_a_run_counts(parties: tuple[Person, Person]) -> None:
    _, victim = parties
    colleague = victim.party.enrol()
    signed, code = an_order(victim)
    run = Runs(victim.connection).order(signed, code, LOCK, None).run
    with pytest.raises(ConflictError):
        Runs(colleague.connection).order(*an_order(colleague, run=run), LOCK, None)
    assert Runs(victim.connection).show(run).member == victim.member


def test_a_member_id_and_a_grant_id_can_be_taken_in_ones_own_tenant_only(parties: tuple[Person, Person]) -> None:
    member, grant = new_id(Kind.MEMBER), new_id(Kind.GRANT)
    for person in parties:
        assert Person(person.party, member=member).enrol().token
        dataset = read_unverified(person.seal(), Manifest)[0].owner
        now, late = format_time(now_utc()), "2099-01-01T00:00:00Z"
        said = Grant(grant, person.party.tenant, dataset, "p", (), Place(), None, 0, False, False, now, late)
        assert Datasets(person.connection).grant(person.party.sign(said), None).digest
    counts = {person.party.tenant: len(Tenants(person.connection).members()) for person in parties}
    assert set(counts.values()) == {2}


def test_a_request_another_tenant_has_made_is_not_answered_to_oneself(parties: tuple[Person, Person]) -> None:
    squatter, victim = parties
    request = victim.ask_for(victim.seal().digest)
    for asking in (Leases(squatter.connection).request, lambda one: Leases(squatter.connection).answer(one.digest)):
        with pytest.raises(KifabrikError, match=r"signed|no such"):
            asking(request)
    Leases(victim.connection).request(request)
    assert str(Leases(victim.connection).answer(request.digest).state) == "pending"


def test_a_sign_up_code_counts_once_and_guesses_of_its_form_never(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = desk.inside.accounts
    code = accounts.make_code("for one")
    for guess in (code[:-1] + ("A" if code[-1] != "A" else "B"), code.upper(), code + "A", ""):
        monkeypatch.setattr(accounts, "make_code", lambda _note, guess=guess: guess)
        with pytest.raises(RefusedError):
            desk.sign_up()
    monkeypatch.setattr(accounts, "make_code", lambda _note: code)
    assert desk.sign_up().token
    with pytest.raises(RefusedError):
        desk.sign_up()


def test_what_one_tenant_stores_takes_nothing_of_anothers_quota(parties: tuple[Person, Person]) -> None:
    squatter, victim = parties
    body = secrets.token_bytes(100_000)
    digest = Objects(squatter.connection).upload_bytes(body)
    store = squatter.party.factory.inside.store
    with store.read() as transaction:
        used = [transaction.accounts.tenant(one.party.tenant).bytes_used for one in (squatter, victim)]
    assert (used[0] >= len(body), used[1]) == (True, 0)
    assert Objects(victim.connection).missing([digest]) == {digest}


def test_stopping_a_run_ends_no_run_of_the_same_id_of_another_tenant(
    desk: Desk, parties: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever learns a run's id orders one of the same id, and stops it: the other's launcher must live on."""
    run = new_id(Kind.RUN)
    for person in reversed(parties):  # the victim first
        signed, code = an_order(person, run=run)
        Runs(person.connection).order(signed, code, LOCK, None)
    desk.drive()
    squatted, kept = (Runs(person.connection).show(run).attempts[0].attempt for person in parties)
    monkeypatch.setattr("kifabrik.factory.supervise.STOP_GRACE_S", -1.0)
    Runs(parties[0].connection).stop(run)
    for _ in range(3):
        desk.drive()
    lives = desk.engine.lives
    assert (str(lives.get(squatted, "gone")), str(lives[kept])) == ("gone", "alive")
    assert str(Runs(parties[1].connection).show(run).state) in {"starting", "queued"}
