"""Erasure: what is destroyed, what the certificate says, when it is complete."""

from datetime import timedelta
from pathlib import Path

import pytest

from keyhouse import PASSPHRASE, WORK, House, killed_at
from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import ConflictError, NotFoundError, RefusedError
from kifabrik.grants.statements import Derived, Erasure, ErasureCertificate, KeyedRun
from kifabrik.keyholder.keyholder import Keyholder
from kifabrik.keyholder.restore import restore
from kifabrik.keyholder.round import Round
from kifabrik.keyholder.state import SERVING_LOCK, open_state
from kifabrik.keyholder.steward import Steward
from kifabrik.keyholder.unlocking import Passphrase
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.file_lock import FileLock
from kifabrik.ledger.merkle import leaf_hash, root_of
from kifabrik.ledger.notes import Note
from kifabrik.runs.states import Outcome
from kifabrik.seals.identities import Identity
from kifabrik.signatures.statements import read_unverified, sign_statement, verify_statement


def _certificates(house: House) -> list[ErasureCertificate]:
    keys = [house.keyholder_key]
    return [verify_statement(one, ErasureCertificate, keys).predicate for one in house.factory.certificates]


def _owner(manifest) -> str:
    return read_unverified(manifest, Manifest)[0].owner


def _trained(house: House):
    anna = house.enrol()
    data, batch = anna.seal({"a": b"x"}), anna.seal({"b": b"y"})
    house.grant(data)
    house.grant(batch)
    train = anna.order(data).attempt().obtain()
    model = train.output({"m": b"w"})
    train.finish(model)
    score = anna.order(batch, model).attempt().obtain()
    scores = score.output({"s": b"1"})
    score.finish(scores)
    house.round.work()
    return anna, data, train, model, score, scores


def test_the_certificate_names_versions_releases_and_everything_made_from_it(house: House) -> None:
    _, data, train, model, score, scores = _trained(house)
    house.steward.erase(_owner(data))
    house.round.work()
    (said,) = _certificates(house)
    assert said.manifests == (data.digest,)
    assert [(one.lease, one.run, one.receiver) for one in said.releases] == [
        (train.lease.predicate.lease, train.run.id, train.attempt)
    ]
    made = {one.owner: (one.manifest, one.erased) for one in said.derived}
    assert made == {
        f"{train.run.id}/1": (model.digest, False),
        f"{score.run.id}/1": (scores.digest, False),
    }
    assert said.complete
    assert "dataset.erased" in house.factory.kinds()
    assert _owner(data) not in house.recipients()


def test_results_stay_readable_unless_they_are_erased_with_it(house: House) -> None:
    anna, data, train, model, score, scores = _trained(house)
    house.steward.erase(_owner(data))
    request = anna.ask_for(train.run.id, model)
    house.round.work()
    assert house.lease(request)
    house.steward.erase(_owner(data), derived=True)
    house.round.work()
    assert house.refused(anna.ask_for(train.run.id, model)) == "erased"
    assert house.refused(anna.ask_for(score.run.id, scores)) == "erased"
    assert all(one.erased for one in _certificates(house)[-1].derived)
    assert house.refused(train.run.attempt(2).ask()) == "erased"


def test_an_erasure_waits_for_backups_to_lapse(house: House) -> None:
    _, data, *_ = _trained(house)
    house.keyholder.backup(house.home / "backup.age", "safe", days=5, work_factor=WORK)
    house.steward.erase(_owner(data))
    house.round.work()
    (said,) = _certificates(house)
    assert not said.complete
    assert len(said.backups) == 1
    lapse = house.round.eraser.next_lapse_s()
    assert lapse is not None
    assert 0 < lapse <= 5 * 86400
    house.round.work()
    assert len(_certificates(house)) == 1
    house.clock.ahead = timedelta(days=5, seconds=1)
    house.round.work()
    assert [one.complete for one in _certificates(house)] == [False, True]
    # What has lapsed is not gone: its file may still lie somewhere.
    assert [one.lapsed for one in _certificates(house)] == [(), said.backups]
    assert house.round.eraser.next_lapse_s() is None


def test_a_result_that_appears_after_the_erasure_is_certified_too(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    train = anna.order(data).attempt().obtain()
    house.steward.erase(_owner(data))
    house.round.work()
    model = train.output({"m": b"w"})
    train.finish(model)
    house.round.work()
    said = _certificates(house)
    assert [len(one.derived) for one in said] == [0, 1]
    assert [one.going_on for one in said] == [(train.run.id,), ()]
    assert [one.complete for one in said] == [False, True]


@pytest.mark.parametrize("meanwhile", ["away", "dead"])
def test_a_model_whose_run_ended_just_before_stands_in_the_first_certificate(house: House, meanwhile: str) -> None:
    """The keyholder has not looked at the log since: it was at rest, away, or not even running."""
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    train = anna.order(data).attempt().obtain()
    model = train.output({"m": b"w"})
    train.finish(model)
    house.factory.away = meanwhile == "away"
    house.steward.erase(_owner(data))
    house.factory.away = False
    assert not house.factory.certificates
    if meanwhile == "dead":
        house.restart()
    house.round.work()
    (said,) = _certificates(house)
    assert [(one.owner, one.manifest) for one in said.derived] == [(f"{train.run.id}/1", model.digest)]
    assert said.runs == (KeyedRun(train.run.id, ended=True, erased=False),)
    assert said.complete


def test_a_certificate_covers_the_log_up_to_a_cosigned_head_that_shows_the_decision(house: House) -> None:
    _, data, *_ = _trained(house)
    house.steward.erase(_owner(data))
    house.round.work()
    (said,) = _certificates(house)
    kinds = house.factory.kinds()
    assert kinds.index("erasure.decided") < said.log_size <= kinds.index("dataset.erased")
    heads = [TreeHead.parse(Note.parse(note).text) for note in house.factory.cosigned]
    assert (said.log_size, said.log_root) in [(one.size, one.root.hex()) for one in heads]
    assert root_of([leaf_hash(one) for one in house.factory.entries[: said.log_size]]).hex() == said.log_root


def test_nothing_is_certified_before_the_log_shows_the_decision(house: House) -> None:
    """Until then the factory takes leases of the dataset, which the keyholder has signed before."""
    _, data, *_ = _trained(house)
    honest = house.factory.erase

    def refuse(_envelope):
        raise RefusedError("not now")

    house.factory.erase = refuse
    house.steward.erase(_owner(data))
    house.round.work()
    assert not house.factory.certificates
    house.factory.erase = honest
    house.round.work()
    assert len(_certificates(house)) == 1


def test_a_run_whose_end_does_not_verify_counts_as_going_on(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    train = anna.order(data).attempt().obtain()
    train.finish(train.output({"m": b"w"}))
    withheld = Entry.from_bytes(house.factory.entries[-1]).refs["finish"]
    statement = house.factory.statements.pop(withheld)
    house.steward.erase(_owner(data))
    house.round.work()
    assert _certificates(house)[-1].going_on == (train.run.id,)
    house.factory.statements[withheld] = statement
    house.restart()
    house.round.try_again()
    house.round.work()
    said = _certificates(house)[-1]
    assert (said.going_on, len(said.derived), said.complete) == ((), 1, True)


def test_a_run_whose_launcher_was_lost_has_ended_with_nothing(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    train = anna.order(data).attempt().obtain()
    house.factory.append(EntryKind.RUN_FINISHED, run=train.run.id, attempt=train.attempt, outcome="node-failure")
    house.steward.erase(_owner(data), derived=True)
    house.round.work()
    (said,) = _certificates(house)
    assert said.runs == (KeyedRun(train.run.id, ended=True, erased=True),)
    assert (said.derived, said.complete) == ((), True)


def test_keys_of_results_that_were_released_are_named(house: House) -> None:
    anna, data, train, model, score, _ = _trained(house)
    pulled = anna.ask_for(train.run.id, model)
    house.round.work()
    member = house.lease(pulled).predicate
    house.steward.erase(_owner(data), derived=True)
    house.round.work()
    said = _certificates(house)[-1]
    assert {(one.run, one.receiver) for one in said.results_released} == {
        (score.run.id, score.attempt),
        (train.run.id, member.receiver),
    }
    assert [one.receiver for one in said.releases] == [train.attempt]


@pytest.mark.parametrize("call", range(1, 8))
def test_killed_at_any_call_it_certifies_once_and_whole(house: House, call: int) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    train = anna.order(data).attempt().obtain()
    train.finish(train.output({"m": b"w"}))
    with killed_at(house, call):
        house.steward.erase(_owner(data))
        house.round.work()
    killed = len(house.factory.calls) == call
    house.restart()
    house.clock.ahead += timedelta(seconds=2)
    house.steward.erase(_owner(data))
    house.round.work()
    house.round.work()
    distinct = {one.digest for one in house.factory.certificates}
    assert killed
    assert len(distinct) == 1
    assert house.factory.kinds().count("dataset.erased") == 1
    said = _certificates(house)[-1]
    assert (len(said.derived), said.complete) == (1, True)


def test_a_steward_certifies_where_no_keyholder_serves(house: House) -> None:
    _, data, *_ = _trained(house)
    house.steward.erase(_owner(data))
    lock = FileLock(house.state.home / SERVING_LOCK, "another")
    assert not house.steward.certify()
    lock.close()
    assert not house.factory.certificates
    assert house.steward.certify()
    (said,) = _certificates(house)
    assert len(said.derived) == 2


def test_an_erasure_decided_elsewhere_with_the_tenant_key_is_carried_out(house: House) -> None:
    _, data, *_ = _trained(house)
    said = Erasure(house.factory.tenant, _owner(data), derived=False, created=house.now())
    house.factory.erase(sign_statement(said, {}, house.tenant_key))
    house.round.work()
    with pytest.raises(NotFoundError):
        house.state.vault.identity(f"dataset/{_owner(data)}")
    assert _certificates(house)[0].complete


def test_an_erasure_is_carried_out_while_the_factory_is_away_and_delivered_later(house: House) -> None:
    _, data, *_ = _trained(house)
    house.factory.away = True
    house.steward.erase(_owner(data))
    with pytest.raises(NotFoundError):
        house.state.vault.identity(f"dataset/{_owner(data)}")
    assert not house.factory.certificates
    house.factory.away = False
    house.round.work()
    assert house.factory.kinds().index("erasure.decided") < house.factory.kinds().index("dataset.erased")


def test_only_what_exists_can_be_erased(house: House) -> None:
    with pytest.raises(NotFoundError):
        house.steward.erase("d-" + "a" * 16)


def test_an_erasure_is_repeated_although_the_key_is_gone_and_the_log_was_not_read_since(house: House) -> None:
    dataset = house.unused_dataset()
    house.steward.erase(dataset)
    house.steward.erase(dataset)
    house.round.work()
    assert [one.dataset for one in _certificates(house)] == [dataset]


def test_a_certificate_names_the_recovery_recipient_that_can_still_open_what_was_kept(tmp_path: Path) -> None:
    safe = Identity.generate().recipient.text
    house = House(tmp_path, recovery=safe)
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.round.work()
    sealed, unused = read_unverified(data, Manifest)[0].owner, house.unused_dataset()
    for dataset in (sealed, unused):
        house.steward.erase(dataset)
    house.round.work()
    said = {}
    for one in house.factory.certificates:
        certificate = read_unverified(one, ErasureCertificate)[0]
        said[certificate.dataset] = certificate.recovery
    house.close()
    assert said == {sealed: safe, unused: ""}


def test_a_certificate_names_no_recovery_recipient_where_there_is_none(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.round.work()
    house.steward.erase(read_unverified(data, Manifest)[0].owner)
    house.round.work()
    (certificate,) = house.factory.certificates
    assert read_unverified(certificate, ErasureCertificate)[0].recovery == ""


def test_what_came_out_of_a_run_that_ended_otherwise_is_named_and_makes_it_no_success(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    train = anna.order(data).attempt().obtain()
    half = train.output({"m": b"w"})
    train.finish(half, outcome=Outcome.STOPPED)
    house.steward.erase(_owner(data), derived=True)
    house.round.work()
    (said,) = _certificates(house)
    assert said.derived == (Derived(f"{train.run.id}/1", half.digest, erased=True),)
    assert not house.round.books.lineage.succeeded(train.run.id)
    assert not house.round.books.lineage.output(f"{train.run.id}/1")


def test_of_two_decisions_the_one_that_stands_in_the_log_is_certified(house: House) -> None:
    """Two stewards decide the same at one time; the factory takes the first and calls the second known."""
    _, data, *_ = _trained(house)
    house.factory.away = True
    house.steward.erase(_owner(data))
    house.factory.away = False
    other = sign_statement(
        Erasure(house.factory.tenant, _owner(data), derived=False, created="2026-01-01T00:00:00Z"),
        {},
        house.tenant_key,
    )
    house.factory.erase(other)

    def known(_envelope):
        raise ConflictError("it is decided already")

    house.factory.erase = known
    house.round.work()
    house.round.work()
    assert [one.erasure for one in _certificates(house)] == [other.digest]
    assert house.keyholder.status().undelivered == 0


def test_a_restored_keyholder_says_from_when_it_does_not_know_its_backups_and_names_earlier_pulls(
    house: House,
) -> None:
    anna, data, train, model, *_ = _trained(house)
    backup = house.keyholder.backup(house.home / "old.age", "safe", days=5, work_factor=WORK)
    house.keyholder.backup(house.home / "newer.age", "safe", days=5, work_factor=WORK)
    request = anna.ask_for(train.run.id, model)
    house.round.work()
    pulled = house.lease(request).predicate
    house.clock.ahead += timedelta(minutes=1)
    restore(
        house.home / "new",
        house.home / "old.age",
        "safe",
        PASSPHRASE,
        work_factor=WORK,
        dial=lambda _state: house.factory.clients(),
        wall=house.clock,
    )
    unlock = Passphrase(PASSPHRASE)
    with Keyholder(open_state(house.home / "new", unlock, house.clock), unlock) as keyholder:
        Steward(keyholder.state, house.tenant_key, house.factory.clients()).erase(_owner(data), derived=True)
        Round(keyholder.state, house.factory.clients(), house.events.append).work()
    said = _certificates(house)[-1]
    assert [one.since for one in said.restored] == [backup.created]
    assert [one.backup for one in said.backups] == [backup.backup]
    assert pulled.lease in {one.lease for one in said.results_released}
