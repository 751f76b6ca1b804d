"""The keyholder's folder: how it is opened, locked, backed up in part, and what survives what."""

import os
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from keyhouse import PASSPHRASE, WORK, House
from kifabrik.errors import (
    CapacityError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
)
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.files import read_private, write_private
from kifabrik.keyholder.keyholder import open_keyholder
from kifabrik.keyholder.loop import Bell
from kifabrik.keyholder.schema import FIRST, VERSION
from kifabrik.keyholder.setup import make_folder
from kifabrik.keyholder.state import DATABASE, open_state
from kifabrik.keyholder.tenant_key import load_tenant_key
from kifabrik.keyholder.unlocking import KeyFile, Passphrase, unlock_from_environment
from kifabrik.tenants.statements import Role

POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")


def test_a_passphrase_a_key_file_and_a_systemd_credential_open_it(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = house.home / "keyholder"
    key_file = tmp_path / "credentials" / "kifabrik-keyholder"
    house.keyholder.write_key_file(key_file)
    for unlock in (Passphrase(PASSPHRASE), KeyFile(key_file)):
        with open_keyholder(folder, unlock) as again:
            assert again.tenant == house.keyholder.tenant
    assert unlock_from_environment() is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(key_file.parent))
    credential = unlock_from_environment()
    assert credential == KeyFile(key_file, guarded=True)
    # systemd lets the service read through an access list, which shows as a group permission.
    key_file.chmod(0o440)
    open_state(folder, credential).close()


def test_a_credential_may_hold_the_passphrase_itself(house: House, tmp_path: Path) -> None:
    write_private(tmp_path / "credential", f"{PASSPHRASE}\n".encode())
    open_state(house.home / "keyholder", KeyFile(tmp_path / "credential")).close()


def test_a_new_key_file_ends_the_old_one_and_a_new_passphrase_the_old_one(house: House, tmp_path: Path) -> None:
    folder = house.home / "keyholder"
    house.keyholder.write_key_file(tmp_path / "one")
    house.keyholder.write_key_file(tmp_path / "two")
    with pytest.raises(RefusedError, match="key file does not open"):
        open_state(folder, KeyFile(tmp_path / "one"))
    house.keyholder.change_passphrase("new words", work_factor=WORK)
    with pytest.raises(RefusedError, match="passphrase does not open"):
        open_state(folder, Passphrase(PASSPHRASE))
    open_state(folder, Passphrase("new words")).close()
    open_state(folder, KeyFile(tmp_path / "two")).close()


@POSIX
def test_a_key_file_others_may_read_opens_nothing(house: House, tmp_path: Path) -> None:
    house.keyholder.write_key_file(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(RefusedError, match="other users"):
        open_state(house.home / "keyholder", KeyFile(tmp_path / "key"))


def test_what_is_missing_is_named(house: House, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no keyholder in"):
        open_state(tmp_path / "nowhere", Passphrase("x"))
    with pytest.raises(NotFoundError, match="no such file"):
        open_state(house.home / "keyholder", KeyFile(tmp_path / "none"))
    house.close()
    (house.home / "keyholder" / DATABASE).unlink()
    with pytest.raises(NotFoundError, match="is missing"):
        open_state(house.home / "keyholder", Passphrase(PASSPHRASE))
    (house.home / "keyholder" / DATABASE).touch()
    with pytest.raises(NotFoundError, match="or empty"):
        open_state(house.home / "keyholder", Passphrase(PASSPHRASE))
    (house.home / "keyholder" / DATABASE).write_bytes(bytes(range(256)) * 40)
    with pytest.raises(IntegrityError, match="not a database") as raised:
        open_state(house.home / "keyholder", Passphrase(PASSPHRASE))
    assert "kifabrik keyholder restore" in raised.value.hint


def test_the_tenant_key_can_be_taken_away(house: House, tmp_path: Path) -> None:
    key = house.home / "keyholder" / "tenant.key"
    key.rename(tmp_path / "tenant.key")
    with pytest.raises(NotFoundError, match="no tenant key"):
        load_tenant_key(house.home / "keyholder", PASSPHRASE)
    assert load_tenant_key(tmp_path / "tenant.key", PASSPHRASE) == house.tenant_key
    assert not house.keyholder.status().tenant_key_here
    house.restart()
    house.round.work()


def test_an_interrupted_sign_up_goes_on_with_the_same_keys_and_a_finished_one_is_left_alone(
    house: House, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    first = make_folder(folder, "http://factory.invalid", "words", work_factor=WORK)
    tenant = first.tenant
    first.close()
    again = make_folder(folder, "http://factory.invalid", "words", work_factor=WORK)
    assert again.tenant == tenant
    again.close()
    with pytest.raises(ConflictError, match="already"):
        make_folder(house.home / "keyholder", "http://factory.invalid", PASSPHRASE, work_factor=WORK)
    with pytest.raises(UsageError, match="empty"):
        make_folder(tmp_path / "empty", "http://factory.invalid", "", work_factor=WORK)


def test_a_damaged_database_is_said_to_be_damaged(house: House) -> None:
    folder = house.home / "keyholder"
    house.close()
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (folder / name).unlink(missing_ok=True)
    (folder / DATABASE).write_bytes(b"not a database" * 100)
    with pytest.raises(IntegrityError, match="cannot use"):
        open_state(folder, Passphrase(PASSPHRASE))


@pytest.mark.parametrize(("version", "age"), [(VERSION + 1, "a newer"), (FIRST - 1, "an older")])
def test_a_database_of_another_version_is_left_alone(tmp_path: Path, version: int, age: str) -> None:
    path = tmp_path / "k.db"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(IntegrityError, match=f"{age} version"):
        Database(path)


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    with Database(tmp_path / "k.db") as db:

        def half() -> None:
            with db.transaction():
                db.execute("INSERT INTO settings VALUES ('a', '1')")
                with db.transaction():
                    db.execute("INSERT INTO settings VALUES ('b', '2')")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            half()
        assert db.rows("SELECT * FROM settings") == []


def test_changes_of_another_connection_are_noticed(tmp_path: Path) -> None:
    with Database(tmp_path / "k.db") as one, Database(tmp_path / "k.db") as other:
        before = one.revision()
        one.execute("INSERT INTO settings VALUES ('a', '1')")
        assert one.revision() == before
        other.execute("INSERT INTO settings VALUES ('b', '2')")
        assert one.revision() != before


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    with Database(tmp_path / "k.db") as db:
        db.execute("PRAGMA max_page_count = 40")

        def fill() -> None:
            with db.transaction():
                for number in range(1000):
                    db.execute("INSERT INTO mirror_entries VALUES (?, ?)", (number, bytes(1000)))

        with pytest.raises(CapacityError, match="full"):
            fill()
        assert db.rows("SELECT * FROM mirror_entries") == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnavailableError, match="cannot open"):
        Database(tmp_path / "file" / "k.db")
    with pytest.raises(UnavailableError, match="cannot write"):
        write_private(tmp_path / "file" / "k", b"")
    with pytest.raises(NotFoundError):
        read_private(tmp_path / "none")


def test_time_never_goes_back(house: House) -> None:
    clock = house.state.clock
    house.clock.ahead = timedelta(days=1)
    later = clock.now()
    clock.keep()
    house.clock.ahead = timedelta()
    assert clock.now() >= later
    assert clock.set_back_s() > 86000
    house.restart()
    assert house.state.clock.now() >= later


def test_a_person_freezes_thaws_and_asks_in_words(house: House) -> None:
    keyholder = house.keyholder
    with pytest.raises(UsageError):
        keyholder.freeze("press-line-7")
    with pytest.raises(NotFoundError, match="not frozen"):
        keyholder.thaw()
    keyholder.freeze(note="looking for a leak")
    assert [block.note for block in keyholder.status().blocks] == ["looking for a leak"]
    keyholder.thaw()
    with pytest.raises(NotFoundError, match="no request waits"):
        keyholder.approve("ab")


def test_the_status_tells_what_a_person_needs(house: House) -> None:
    anna = house.enrol()
    house.steward.invite(Role.AUDITOR, "Ada")
    data = anna.seal({"a": b"x"})
    grant = house.grant(data)
    status = house.keyholder.status()
    assert status.healthy
    assert status.log_size == len(house.factory.entries)
    assert {(one.name, one.enrolled, one.removed) for one in status.members} == {
        ("Anna", True, False),
        ("Ada", False, False),
    }
    assert [(one.grant, one.state) for one in status.grants] == [(grant, "live")]
    anna.order(data).attempt().obtain()
    assert house.keyholder.status().runs_since_backup == 1
    house.steward.revoke(grant.grant)
    assert house.keyholder.status().grants[0].state == "revoked"


def test_the_steward_is_told_what_does_not_exist(house: House) -> None:
    steward = house.steward
    data = house.enrol().seal({"a": b"x"})
    house.round.work()
    with pytest.raises(NotFoundError):
        steward.revoke("g-" + "a" * 16)
    with pytest.raises(NotFoundError):
        steward.remove_member("Nobody")
    with pytest.raises(NotFoundError):
        steward.grant("d-" + "a" * 16, "purpose")
    house.steward.invite(Role.ENGINEER, "Anna")
    with pytest.raises(NotFoundError, match="more than one"):
        steward.remove_member("Anna")
    for wrong in ({"days": 0}, {"runs_per_day": -1}):
        with pytest.raises(UsageError):
            house.grant(data, **wrong)


def test_the_bell_wakes_and_remembers_what_for() -> None:
    bell = Bell()
    assert bell.wait(60) == []
    assert bell.wait(0) is None
    threading.Timer(0.01, bell.ring, ("a",)).start()
    assert bell.wait(60) == ["a"]


def test_what_nobody_waits_for_is_put_off_after_a_round_and_taken_along_by_one_that_is_due() -> None:
    bell = Bell()
    assert bell.wait(60) == []
    bell.knock()
    assert bell.wait(0) is None
    bell.ring("a")
    assert bell.wait(0) == ["a"]
    bell.knock()
    bell.knock()
    assert bell.wait(60) == []
    assert bell.wait(0) is None
