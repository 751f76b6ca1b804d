"""Deletions, abandoned uploads and the check that everything agrees."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from databases import sqlite_only
from kifabrik.errors import CapacityError, ConflictError, NotFoundError, UnavailableError
from kifabrik.factory import deletions as deletions_module
from kifabrik.factory.check import Check
from kifabrik.factory.check_runs import RunCheck
from kifabrik.factory.deletions import Deletions
from kifabrik.factory.factory import Factory
from kifabrik.factory.housekeeping import Housekeeping
from kifabrik.factory.keys import SMALLEST, object_key
from kifabrik.factory.objects import ABANDONED_AFTER, Objects
from kifabrik.factory.records import Why
from kifabrik.factory.returned import EVERY, REMEMBERED, Returned
from kifabrik.factory.unregistered import Unregistered
from kifabrik.stores.folder import FolderObjects
from kifabrik.stores.sql.objects import SqlObjectRows
from kifabrik.stores.staging import FolderStaging
from signing_up import sign_up


class _Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


class _Unreachable(FolderObjects):
    """An object store that stores and cannot be reached for deleting, as a cloud's may be."""

    def delete(self, key: str) -> None:
        raise UnavailableError(f"cannot delete {key}")


class _Room:
    """Objects and deletions of one tenant under a hand-set clock."""

    def __init__(self, home: Path, factory: Factory, quota: int = 10**6) -> None:
        self.clock = _Clock()
        self.store, self.tenant = factory.store, sign_up(factory)
        self.files = FolderObjects(home / "objects")
        self.deletions = Deletions(self.store, self.files, self.clock)
        staging = FolderStaging(home / "staging")
        self.objects = Objects(self.store, self.files, staging, self.deletions, self.clock, quota)
        self.check = Check(self.store, self.files, factory.log, [RunCheck(self.store)])

    def put(self, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()
        assert self.objects.receive(self.tenant, digest, len(body), 0, body) == len(body)
        return digest

    def begin(self, *digests: str, files: FolderObjects | None = None) -> Deletions:
        deletions = Deletions(self.store, files or self.files, self.clock)
        with self.store.write(self.tenant) as transaction:
            assert deletions.begin(transaction, self.tenant, digests, Why.ERASED) == len(digests)
        return deletions

    def used(self) -> int:
        with self.store.read() as transaction:
            return transaction.accounts.tenant(self.tenant).bytes_used

    def findings(self) -> list[str]:
        return [finding.what for finding in self.check.run(deep=True)]


@pytest.fixture
def room(home: Path, opened: Factory) -> Iterator[_Room]:
    return _Room(home, opened)


def test_a_deletion_that_could_not_be_done_is_done_later(home: Path, room: _Room) -> None:
    digest, kept = room.put(b"gone"), room.put(b"kept")
    room.begin(digest, files=_Unreachable(home / "objects"))
    with pytest.raises(NotFoundError):
        room.objects.read(room.tenant, digest)
    assert room.files.size(object_key(room.tenant, digest)) == 4
    assert room.used() == 2 * SMALLEST
    assert room.findings() == []
    assert room.deletions.carry_out() == 0  # the claim of whoever failed has not lapsed
    room.clock.moment += timedelta(minutes=11)
    assert room.deletions.carry_out() == 1
    assert room.files.size(object_key(room.tenant, digest)) is None
    assert room.used() == SMALLEST
    assert b"".join(room.objects.read(room.tenant, kept)[2]) == b"kept"
    assert room.findings() == []


class _Stubborn(FolderObjects):
    """A disk on which one object cannot be deleted."""

    def __init__(self, root: Path, stuck: str) -> None:
        super().__init__(root)
        self._stuck = stuck

    def delete(self, key: str) -> None:
        if key.endswith(self._stuck):
            raise UnavailableError(f"cannot delete {key}")
        super().delete(key)


def test_one_object_that_cannot_be_deleted_keeps_no_other_from_it(
    home: Path, room: _Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions_module, "_BATCH", 2)
    bodies = [f"body {number}".encode() for number in range(5)]
    digests = [room.put(body) for body in bodies]
    stuck = _Stubborn(home / "objects", digests[0])
    room.begin(*digests, files=stuck)
    assert [room.files.size(object_key(room.tenant, one)) for one in digests] == [6, None, None, None, None]
    assert room.used() == SMALLEST
    room.clock.moment += timedelta(minutes=11)
    with pytest.raises(UnavailableError, match="cannot delete"):
        Deletions(room.store, stuck, room.clock).carry_out()
    room.clock.moment += timedelta(minutes=11)
    assert room.deletions.carry_out() == 1
    assert room.used() == 0
    assert room.findings() == []


def test_what_is_deleted_is_claimed_a_few_at_a_time(room: _Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletions_module, "_BATCH", 3)
    digests = [room.put(f"body {number}".encode()) for number in range(7)]
    claims: list[int] = []
    claim = SqlObjectRows.claim_deletions

    def counted(rows, *words):
        held = claim(rows, *words)
        claims.append(len(held))
        return held

    monkeypatch.setattr(SqlObjectRows, "claim_deletions", counted)
    room.begin(*digests)
    assert claims == [3, 3, 1, 0]
    assert room.used() == 0


def test_housekeeping_goes_on_after_whatever_went_wrong(room: _Room, caplog: pytest.LogCaptureFixture) -> None:
    done = []

    class Deleting:
        def carry_out(self):
            raise PermissionError("a disk that refuses in a way nobody foresaw")

    class Erasing:
        def settle(self):
            done.append("settled")

    leftovers = Unregistered(room.store, room.deletions, room.clock, ABANDONED_AFTER)
    returned = Returned(room.store, room.files, room.deletions, room.clock)
    Housekeeping(Deleting(), Erasing(), room.objects, leftovers, returned).tidy()  # type: ignore[arg-type]
    assert done == ["settled"]
    assert "nobody foresaw" in caplog.text


def test_an_object_is_taken_whole_over_what_an_earlier_try_left_of_it(room: _Room) -> None:
    body = b"a segment of a log"
    digest = hashlib.sha256(body).hexdigest()
    assert room.objects.receive(room.tenant, digest, len(body), 0, bytes(5)) == 5  # as after a power cut
    room.objects.put(room.tenant, digest, body)
    assert b"".join(room.objects.read(room.tenant, digest)[2]) == body
    assert room.used() == SMALLEST
    assert room.findings() == []


def test_an_object_under_deletion_is_not_uploaded_again_before_it_is_gone(home: Path, room: _Room) -> None:
    digest = room.put(b"again")
    room.begin(digest, files=_Unreachable(home / "objects"))
    with pytest.raises(UnavailableError, match="being deleted"):
        room.put(b"again")
    room.clock.moment += timedelta(minutes=11)
    assert room.put(b"again") == digest
    assert room.deletions.carry_out() == 0
    assert room.findings() == []


def test_an_abandoned_upload_gives_its_room_back(room: _Room) -> None:
    digest = hashlib.sha256(bytes(900_000)).hexdigest()
    assert room.objects.receive(room.tenant, digest, 900_000, 0, bytes(10)) == 10
    with pytest.raises(CapacityError):
        room.put(bytes(200_000))
    room.clock.moment += ABANDONED_AFTER / 2
    assert room.objects.give_up_abandoned() == 0
    assert room.objects.receive(room.tenant, digest, 900_000, 10, bytes(10)) == 20
    room.clock.moment += ABANDONED_AFTER / 2 + timedelta(minutes=1)
    assert room.objects.give_up_abandoned() == 0
    room.clock.moment += ABANDONED_AFTER
    assert room.objects.give_up_abandoned() == 1
    assert room.used() == 0
    room.put(bytes(200_000))


def test_an_object_that_a_crash_left_between_disk_and_database_is_cleared_away(home: Path, room: _Room) -> None:
    body = b"whole, durable, and nobody knows"
    digest = hashlib.sha256(body).hexdigest()
    assert room.objects.receive(room.tenant, digest, len(body), 0, body[:5]) == 5
    left = home / "objects" / object_key(room.tenant, digest)  # where the crash came after the rename
    left.parent.mkdir(parents=True)
    left.write_bytes(body)
    assert room.findings() == []
    room.clock.moment += ABANDONED_AFTER + timedelta(minutes=1)
    assert room.objects.give_up_abandoned() == 1
    assert not left.exists()
    assert room.used() == 0
    assert room.findings() == []


def test_the_check_names_what_does_not_agree(home: Path, room: _Room) -> None:
    missing, short, changed = room.put(b"missing"), room.put(b"too short"), room.put(b"changed")
    folder = home / "objects"
    (folder / object_key(room.tenant, missing)).unlink()
    (folder / object_key(room.tenant, short)).write_bytes(b"short")
    (folder / object_key(room.tenant, changed)).write_bytes(b"CHANGED")
    stray = folder / object_key(room.tenant, "ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"stray")
    with room.store.write(room.tenant) as transaction:
        transaction.accounts.reserve_bytes(room.tenant, 5, 10**9)
    found = "\n".join(room.findings())
    for digest, what in ((missing, "is missing"), (short, "has 5 bytes, not 9"), (changed, "other bytes")):
        assert f"{object_key(room.tenant, digest)} {what}" in found.replace("has other bytes", "other bytes")
    assert f"{object_key(room.tenant, 'ab' * 32)} belongs to nothing" in found
    assert f"{3 * SMALLEST + 5} bytes are counted, {3 * SMALLEST} are there" in found


@sqlite_only
def test_the_check_names_a_changed_log_entry(room: _Room) -> None:
    assert room.findings() == []
    with room.store.engine.begin() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql(
            "UPDATE log_entries SET data = CAST(replace(data, 'created', 'creates') AS BLOB)"
        )
    assert any("entry 0" in what for what in room.findings())


def test_the_check_names_a_statement_that_was_taken_away(room: _Room) -> None:
    with room.store.engine.begin() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("DELETE FROM statements")
    assert any("which is missing" in what for what in room.findings())


class _Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class _HeldOpen(FolderObjects):
    """A store in which something happens before a file is in its place, or after it and before anybody is told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.before: Callable[[], object] | None = None
        self.after: Callable[[], object] | None = None

    def adopt(self, file: Path, key: str) -> None:
        before, self.before = self.before, None
        after, self.after = self.after, None
        kept = file.with_suffix(".kept")
        kept.write_bytes(file.read_bytes())
        if before is not None:
            before()
        super().adopt(kept, key)
        file.unlink(missing_ok=True)
        if after is not None:
            after()


@pytest.fixture
def held_open(home: Path, room: _Room) -> _HeldOpen:
    """The room's store, in which an upload can be held open."""
    files = _HeldOpen(home / "objects")
    room.files = files
    room.deletions = Deletions(room.store, files, room.clock)
    staging = FolderStaging(home / "staging")
    room.objects = Objects(room.store, files, staging, room.deletions, room.clock, 10**6)
    return files


def _come_and_go(room: _Room, files: _HeldOpen, body: bytes) -> None:
    """Somebody else sends the same object, it is used, and then erased."""
    digest = hashlib.sha256(body).hexdigest()
    other = Objects(
        room.store,
        FolderObjects(files.root),
        FolderStaging(files.root.parent / "elsewhere"),
        room.deletions,
        room.clock,
        10**6,
    )
    assert other.receive(room.tenant, digest, len(body), 0, body) == len(body)
    room.begin(digest)
    assert room.files.size(object_key(room.tenant, digest)) is None


def test_an_upload_held_open_across_the_deletion_of_its_object_stores_nothing(
    room: _Room, held_open: _HeldOpen
) -> None:
    body = b"sealed under a key that is destroyed meanwhile"
    held_open.before = lambda: _come_and_go(room, held_open, body)
    with pytest.raises(ConflictError, match="was deleted while it was sent"):
        room.put(body)
    assert list(room.files.keys()) == []
    assert room.findings() == []
    assert room.used() == 0
    assert room.put(body)  # whoever sends it anew begins anew
    assert room.findings() == []


def test_small_objects_held_open_across_their_deletion_are_not_taken(room: _Room, held_open: _HeldOpen) -> None:
    body, other = b"sealed under a key that is destroyed meanwhile", b"and one that is not"
    held_open.before = lambda: _come_and_go(room, held_open, body)
    taken = room.objects.take(room.tenant, sorted([body, other], key=lambda one: hashlib.sha256(one).hexdigest()))
    gone = hashlib.sha256(body).hexdigest()
    assert taken == [gone]
    assert room.findings() == []


def test_what_a_killed_service_left_of_an_upload_whose_object_was_deleted_goes_at_the_next_start(
    home: Path, room: _Room, held_open: _HeldOpen, caplog: pytest.LogCaptureFixture
) -> None:
    body = b"sealed under a key that is destroyed meanwhile"
    digest = hashlib.sha256(body).hexdigest()

    def die() -> None:
        raise _Killed

    held_open.before = lambda: _come_and_go(room, held_open, body)
    held_open.after = die
    with pytest.raises(_Killed):
        room.put(body)
    assert room.files.size(object_key(room.tenant, digest)) == len(body)
    assert [one for one in room.findings() if "came again after it was deleted (erased)" in one]
    assert Returned(room.store, FolderObjects(home / "objects"), room.deletions, room.clock).remove() == 1
    assert room.files.size(object_key(room.tenant, digest)) is None
    assert room.findings() == []
    assert room.used() == 0
    assert digest in caplog.text


def test_what_nobody_remembers_to_have_deleted_is_named_and_left_alone(home: Path, room: _Room) -> None:
    """A database that was lost may have known it, and its backup will need it."""
    body = b"of an unknown origin"
    file = home / "unknown"
    file.write_bytes(body)
    room.files.adopt(file, object_key(room.tenant, hashlib.sha256(body).hexdigest()))
    assert Returned(room.store, room.files, room.deletions, room.clock).remove() == 0
    assert ["belongs to nothing" in one for one in room.findings()] == [True]


def test_what_is_uploaded_anew_after_its_deletion_is_left_alone(room: _Room) -> None:
    digest = room.put(b"once more")
    room.begin(digest)
    room.put(b"once more")
    assert Returned(room.store, room.files, room.deletions, room.clock).remove() == 0
    assert b"".join(room.objects.read(room.tenant, digest)[2]) == b"once more"


def test_the_store_is_looked_through_every_few_hours_and_what_was_deleted_is_forgotten_after_a_year(
    home: Path, room: _Room
) -> None:
    digest = room.put(b"gone")
    room.begin(digest)
    returned = Returned(room.store, room.files, room.deletions, room.clock)
    assert returned.remove() == 0

    def come_again() -> None:
        file = home / "again"
        file.write_bytes(b"gone")
        room.files.adopt(file, object_key(room.tenant, digest))

    come_again()
    assert returned.remove() == 0
    room.clock.moment += EVERY
    assert returned.remove() == 1
    room.clock.moment += REMEMBERED + timedelta(days=1)
    assert returned.remove() == 0
    come_again()
    room.clock.moment += EVERY
    assert returned.remove() == 0
    assert ["belongs to nothing" in one for one in room.findings()] == [True]
