"""Erasure: what is destroyed, what the certificate says, when it is complete."""

from datetime import timedelta
from pathlib import Path

import pytest

from keyhouse import WORK, House
from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import NotFoundError
from kifabrik.grants.statements import Erasure, ErasureCertificate
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
    assert house.round.eraser.next_lapse_s() is None


def test_a_result_that_appears_after_the_erasure_is_certified_too(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    train = anna.order(data).attempt().obtain()
    house.steward.erase(_owner(data))
    model = train.output({"m": b"w"})
    train.finish(model)
    house.round.work()
    said = _certificates(house)
    assert [len(one.derived) for one in said] == [0, 1]


def test_an_erasure_decided_elsewhere_with_the_tenant_key_is_carried_out(house: House) -> None:
    _, data, *_ = _trained(house)
    said = Erasure(house.factory.tenant, _owner(data), False, house.now())
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
    (certificate,) = house.factory.certificates
    assert read_unverified(certificate, ErasureCertificate)[0].recovery == ""
