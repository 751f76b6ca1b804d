"""Old backups, copied folders, stolen files: more than one keyholder, or one that knows too little."""

import json
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from keyhouse import PASSPHRASE, WORK, House
from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import (
    CapacityError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from kifabrik.keyholder.backup import read_backup
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.loop import Bell, Server
from kifabrik.keyholder.restore import restore
from kifabrik.keyholder.state import open_state
from kifabrik.keyholder.unlocking import Passphrase
from kifabrik.keyholder.vault import WITNESS
from kifabrik.ledger.entry import EntryKind
from kifabrik.ledger.file_lock import FileLock
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.statements import Removal

SAFE = "battery staple"


def _backup(house: House, name: str = "backup.age", days: int = 30) -> Path:
    path = house.home / name
    house.keyholder.backup(path, SAFE, days=days, work_factor=WORK)
    return path


def _restore(house: House, file: Path, folder: str = "restored", **more) -> None:
    restore(
        house.home / folder,
        file,
        SAFE,
        PASSPHRASE,
        work_factor=WORK,
        wall=house.clock,
        dial=lambda _state: house.factory.clients(),
        **more,
    )


def _busy(house: House):
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    return anna, data


def test_an_old_backup_on_a_forked_log_is_refused(house: House) -> None:
    _busy(house)
    file = _backup(house)
    house.factory.forge(3, extra="x")
    house.factory.append("deadline.missed", run="r-x")
    with pytest.raises(IntegrityError, match="forked"):
        _restore(house, file)
    assert "keyholder.restored" not in house.factory.kinds()
    assert not (house.home / "restored" / "keyholder.db").exists()


def test_an_old_backup_on_a_rolled_back_log_is_refused(house: House) -> None:
    _busy(house)
    file = _backup(house)
    del house.factory.entries[-1:]
    with pytest.raises(IntegrityError, match="rolled back"):
        _restore(house, file)


def test_a_log_cut_back_to_the_backup_is_refused_by_a_head_a_member_has_seen(house: House) -> None:
    anna, data = _busy(house)
    file = _backup(house)
    size = len(house.factory.entries)
    house.steward.revoke(house.keyholder.status().grants[0].grant.grant)
    house.round.work()
    seen = house.factory.cosigned[-1]
    del house.factory.entries[size:]
    with pytest.raises(IntegrityError, match="rolled back"):
        _restore(house, file, known_heads=[seen])
    assert anna
    assert data


def test_what_was_revoked_removed_and_erased_since_the_backup_stays_so(house: House) -> None:
    anna, data = _busy(house)
    otto = house.enrol(name="Otto")
    other = anna.seal({"b": b"y"})
    house.grant(other)
    file = _backup(house)
    owner = read_unverified(data, Manifest)[0].owner
    house.steward.revoke(house.keyholder.status().grants[1].grant.grant)
    house.steward.remove_member("Otto")
    house.steward.erase(owner)
    house.round.work()
    house.close()
    _restore(house, file)
    house.open("restored")
    with pytest.raises(NotFoundError):
        house.state.vault.identity(f"dataset/{owner}")
    assert house.refused(anna.order(data).attempt().ask()) == "erased"
    assert house.refused(anna.order(other).attempt().ask()) == "revoked"
    assert house.refused(otto.order().attempt().ask()) == "unknown-order"


def test_what_a_member_sealed_before_leaving_can_still_be_used_after_a_restore(house: House) -> None:
    anna, data = _busy(house)
    otto = house.enrol(name="Otto")
    owner = read_unverified(data, Manifest)[0].owner
    newer = otto.seal({"a": b"y"}, owner, data)
    house.round.work()
    house.steward.remove_member("Anna")
    house.round.work()
    file = _backup(house)
    late = anna.seal({"a": b"late"}, owner, newer)
    house.round.work()
    house.close()
    _restore(house, file)
    house.open("restored")
    assert otto.order(data).attempt().obtain().lease
    assert otto.order(newer).attempt().obtain().lease
    assert house.refused(otto.order(late).attempt().ask()) == "manifest"
    assert house.refused(anna.order(data).attempt().ask()) == "unknown-order"


def test_a_removal_the_log_never_showed_is_dated_by_nobody_after_a_restore(house: House) -> None:
    """The factory dropped the removal, and lets the removed member seal on: a made-up entry dates nothing."""
    anna, data = _busy(house)
    owner = read_unverified(data, Manifest)[0].owner
    house.factory.accept_statement = lambda kind, _envelope: kind is not EntryKind.MEMBER_REMOVED
    house.steward.remove_member("Anna")
    house.dropped()
    file = _backup(house)
    late = anna.seal({"a": b"late"}, owner, data)
    made_up = sign_statement(Removal(house.factory.tenant, anna.member, house.now()), {}, SigningKey.generate())
    house.factory.accept_statement = lambda _kind, _envelope: True
    house.factory.remove(made_up)
    house.close()
    _restore(house, file)
    house.open("restored")
    assert house.round.books.holdings.manifest(late.digest) is None


def test_an_erasure_whose_statement_is_withheld_from_the_restored_keyholder_still_blocks(house: House) -> None:
    anna, data = _busy(house)
    file = _backup(house)
    house.steward.erase(read_unverified(data, Manifest)[0].owner)
    house.round.work()
    erasure = next(one for one in house.factory.statements.values() if b"/erasure/v1" in one.payload)
    del house.factory.statements[erasure.digest]
    house.close()
    _restore(house, file)
    house.open("restored")
    assert house.refused(anna.order(data).attempt().ask()) in {"frozen", "erased"}


def test_an_order_withheld_from_the_restored_keyholder_gains_no_attempt(house: House) -> None:
    anna, data = _busy(house)
    file = _backup(house)
    run = anna.order(data, attempts=1)
    run.attempt(1).obtain()
    house.close()
    withheld = house.factory.statements.pop(run.order.digest)
    _restore(house, file)
    house.factory.statements[run.order.digest] = withheld
    house.open("restored")
    house.round.try_again()
    assert house.refused(run.attempt(1).ask()) == "replayed"
    assert house.round.books.lineage.descendants(read_unverified(data, Manifest)[0].owner) == [run.id]


def test_a_request_withheld_from_the_restored_keyholder_gains_no_attempt_either(house: House) -> None:
    anna, data = _busy(house)
    file = _backup(house)
    run = anna.order(data, attempts=1)
    lease = run.attempt(1).obtain().lease
    assert lease is not None
    house.close()
    del house.factory.statements[lease.predicate.request]
    _restore(house, file)
    house.open("restored")
    assert house.refused(run.attempt(1).ask()) == "replayed"


def test_a_restored_keyholder_has_a_new_witness_key_and_says_so_in_the_log(house: House, tmp_path: Path) -> None:
    anna, data = _busy(house)
    first = anna.order(data).attempt().obtain()
    model = first.output({"m": b"w"})
    first.finish(model)
    file = _backup(house)
    run = anna.order(data, attempts=2)
    after = run.attempt(1).obtain()
    late_model = after.output({"m": b"late"})
    before = house.state.statement
    house.close()
    _restore(house, file)
    house.open("restored")
    now = house.state.statement
    assert (now.sequence, now.keyholder_key) == (before.sequence + 1, before.keyholder_key)
    assert now.witness_key != before.witness_key
    assert "keyholder.restored" in house.factory.kinds()
    # It knows what it released in its earlier life, also after the backup: replays, limits, results.
    assert house.refused(run.attempt(1).ask()) == "replayed"
    second = run.attempt(2).obtain()
    assert second.lease.predicate.output_recipient == after.lease.predicate.output_recipient
    for item in (model, late_model):
        owner = read_unverified(item, Manifest)[0].owner.partition("/")[0]
        request = anna.ask_for(owner, item)
        house.round.work()
        headers = house.factory.headers[house.lease(request).predicate.request]
        assert house.opens(headers[item.digest], anna.identity)


def test_a_daily_limit_survives_a_restore(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data, runs_per_day=1)
    file = _backup(house)
    anna.order(data).attempt().obtain()
    house.close()
    _restore(house, file)
    house.open("restored")
    assert house.refused(anna.order(data).attempt().ask()) == "limit"


def test_the_keyholder_that_was_replaced_stops(house: House) -> None:
    anna, data = _busy(house)
    file = _backup(house)
    _restore(house, file)
    request = anna.order(data).attempt().ask()
    with pytest.raises(IntegrityError, match="another keyholder"):
        house.round.work()
    house.keyholder.thaw()
    house.round.work([request])
    assert request not in house.factory.decisions, "the one that has replaced it would take that for an alarm"


def test_of_two_copies_of_a_folder_one_answers_and_the_other_says_so(house: House) -> None:
    anna, data = _busy(house)
    house.keyholder.close()
    house.copy("copy")
    house.open("copy")
    copy = house.round
    house.open()
    requests = [anna.order(data).attempt().ask()]
    house.round.work()
    assert requests[0] in house.factory.headers
    with pytest.raises(IntegrityError, match="another keyholder with the same key"):
        copy.work()
    requests.append(anna.order(data).attempt().ask())
    copy.work([requests[1]])
    assert requests[1] not in house.factory.headers


def test_a_copy_that_stopped_does_not_stop_the_other_by_its_refusals(house: House) -> None:
    """A refusal under one key, which the other never made, is an alarm there."""
    anna, data = _busy(house)
    house.keyholder.close()
    house.copy("copy")
    house.open("copy")
    copy = house.round
    house.open()
    anna.order(data).attempt().ask()
    house.round.work()
    with pytest.raises(IntegrityError, match="another keyholder with the same key"):
        copy.work()
    request = anna.order(data).attempt().ask()
    copy.work([request])
    assert request not in house.factory.decisions
    house.round.work()
    assert request in house.factory.headers
    assert not house.round.books.frozen


def test_two_servers_on_one_folder_are_told_apart(house: House) -> None:
    lock = FileLock(house.home / "keyholder" / "serving.lock", "the keyholder")
    assert house.keyholder.status().serving
    with pytest.raises(ConflictError, match="in use by another process"):
        Server(house.state, house.events.append, Bell()).run(threading.Event())
    lock.close()
    assert not house.keyholder.status().serving


def test_a_lapsed_backup_restores_nothing(house: House) -> None:
    _busy(house)
    file = _backup(house, days=1)
    house.clock.ahead = timedelta(days=2)
    with pytest.raises(RefusedError, match="lapsed"):
        _restore(house, file)


def test_a_backup_has_no_witness_key_and_nothing_in_the_clear(house: House) -> None:
    _busy(house)
    file = _backup(house)
    secrets = {one.name: one.secret for one in read_backup(file, SAFE).secrets}
    assert WITNESS not in secrets
    assert len([name for name in secrets if name.startswith("dataset/")]) > 16
    data = file.read_bytes()
    assert not any(secret in data for secret in secrets.values())
    assert house.factory.tenant.encode() not in data
    for passphrase in ("guess", PASSPHRASE):
        with pytest.raises(RefusedError, match="passphrase"):
            read_backup(file, passphrase)
    with pytest.raises(ConflictError):
        _backup(house)


def test_a_stolen_folder_shows_no_secret_without_its_passphrase(house: House) -> None:
    _busy(house)
    state = house.state
    secrets = [state.vault.get(one.name) for one in state.vault.listed()]
    secrets.append(house.tenant_key.seed)
    house.close()
    files = {path: path.read_bytes() for path in (house.home / "keyholder").rglob("*") if path.is_file()}
    for secret in secrets:
        for path, data in files.items():
            assert secret not in data, path
            assert secret.hex().encode() not in data, path
    with pytest.raises(RefusedError, match="passphrase does not open"):
        open_state(house.home / "keyholder", Passphrase("guess"))
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path


def test_secrets_exchanged_within_the_database_do_not_open(house: House) -> None:
    one, other = house.state.vault.listed("dataset/")[:2]
    house.state.db.execute(
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = ?) WHERE name = ?",
        (one.name, other.name),
    )
    with pytest.raises(IntegrityError, match="damaged"):
        house.state.vault.get(other.name)


def test_an_erased_identity_is_in_no_file_of_the_folder(house: House) -> None:
    anna, data = _busy(house)
    owner = read_unverified(data, Manifest)[0].owner
    row = house.state.db.row("SELECT sealed FROM secrets WHERE name = ?", (f"dataset/{owner}",))
    assert row is not None
    sealed = row["sealed"]
    folder = house.home / "keyholder"
    house.steward.erase(owner)
    found = [path for path in folder.iterdir() if path.is_file() and sealed[:32] in path.read_bytes()]
    assert not found
    assert anna


def test_nothing_the_factory_is_sent_holds_a_secret(house: House) -> None:
    anna, data = _busy(house)
    anna.order(data).attempt().obtain()
    house.keyholder.freeze()
    sent = [envelope.payload for envelope in house.factory.statements.values()]
    sent += [blob for blobs in house.factory.headers.values() for blob in blobs.values()]
    sent += [note.encode() for note in house.factory.cosigned] + house.factory.entries
    for one in house.state.vault.listed():
        secret = house.state.vault.get(one.name)
        for blob in sent:
            assert secret not in blob
            assert secret.hex().encode() not in blob
            assert json.dumps(secret.hex()).encode() not in blob
    assert not any(b"Anna" in blob for blob in sent), "names of people stay here"


def test_an_erasure_that_was_cut_off_before_the_file_was_rewritten_is_finished_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _anna, data = _busy(house)
    owner = read_unverified(data, Manifest)[0].owner
    row = house.state.db.row("SELECT sealed FROM secrets WHERE name = ?", (f"dataset/{owner}",))
    assert row is not None
    with monkeypatch.context() as patch:
        patch.setattr(Database, "shred", _full_disk)
        with pytest.raises(CapacityError):
            house.steward.erase(owner)
    assert "dataset.erased" not in house.factory.kinds()
    house.round.work()
    left = [
        path for path in (house.home / "keyholder").iterdir() if path.is_file() and row[0][:32] in path.read_bytes()
    ]
    assert not left
    assert "dataset.erased" in house.factory.kinds()


def _full_disk(_db: Database) -> None:
    raise CapacityError("the disk is full")


def test_what_a_reader_keeps_from_being_rewritten_is_said_and_not_certified(house: House) -> None:
    """A copy of the database is being made by a program that reads it in one long transaction."""
    _anna, data = _busy(house)
    owner = read_unverified(data, Manifest)[0].owner
    reader = sqlite3.connect(house.home / "keyholder" / "keyholder.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM secrets").fetchone()
    house.state.db.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(UnavailableError, match="in use"):
        house.steward.erase(owner)
    reader.close()
    house.round.work()
    assert "dataset.erased" in house.factory.kinds()
