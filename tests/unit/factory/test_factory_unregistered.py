"""Objects that were uploaded and never registered: kept for a while, then removed; never under anybody's hands."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kifabrik.datasets.manifest import BodyRef, Manifest
from kifabrik.errors import CapacityError, ConflictError, KifabrikError, UnavailableError
from kifabrik.factory.check import Check
from kifabrik.factory.deletions import Deletions
from kifabrik.factory.factory import Factory
from kifabrik.factory.housekeeping import Housekeeping
from kifabrik.factory.keys import SMALLEST, object_key
from kifabrik.factory.objects import Objects
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.returned import Returned
from kifabrik.factory.unregistered import GRACE, Unregistered
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import Statement
from kifabrik.stores.folder import FolderObjects
from kifabrik.stores.staging import FolderStaging
from kifabrik.values import Kind, format_time, new_id
from signing_up import sign_up

KEEP = timedelta(days=14)
QUOTA = 10**6
LATE = KEEP + timedelta(minutes=1)


class _Unreachable(FolderObjects):
    """An object store that stores and cannot be reached for deleting, as a cloud's may be."""

    def delete(self, key: str) -> None:
        raise UnavailableError(f"cannot delete {key}")


class _Meeting:
    """A store in which something happens right before the next writing transaction begins."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.first: Callable[[], object] | None = None

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    @contextmanager
    def write(self, *tenants: str) -> Iterator[Transaction]:
        first, self.first = self.first, None
        if first is not None:
            first()
        with self._store.write(*tenants) as transaction:
            yield transaction


class _Room:
    """One tenant's objects under a clock that is set by hand."""

    def __init__(self, home: Path, factory: Factory) -> None:
        self.now = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
        self.tenant, self.versions = sign_up(factory), factory.versions
        self.store = _Meeting(factory.store)
        self.files = FolderObjects(home / "objects")
        self.staging = FolderStaging(home / "staging")
        self.recipient = Identity.generate().recipient.text
        self.deletions = Deletions(factory.store, self.files, self.clock)
        self.unregistered = Unregistered(factory.store, self.deletions, self.clock, KEEP)
        self.objects = Objects(self.store, self.files, self.staging, self.deletions, self.clock, QUOTA)
        self.check = Check(factory.store, self.files, factory.log, [self.unregistered])

    def clock(self) -> datetime:
        return self.now

    def put(self, body: bytes) -> BodyRef:
        digest = hashlib.sha256(body).hexdigest()
        assert self.objects.receive(self.tenant, digest, len(body), 0, body) == len(body)
        return BodyRef(digest, len(body))

    def some(self) -> list[BodyRef]:
        return [self.put(secrets.token_bytes(200)) for _ in range(4)]

    def register(self, bodies: list[BodyRef]) -> None:
        headers, contents, *shards = bodies
        said = Manifest(
            tenant=self.tenant,
            owner=new_id(Kind.DATASET),
            version=1,
            previous="",
            recipient=self.recipient,
            headers=headers.sha256,
            headers_size=headers.size,
            sealed_manifest=contents,
            shards=tuple(shards),
            created=format_time(self.now),
        )
        statement = Statement(said, {}, SigningKey.generate().public, secrets.token_hex(32))
        with self.store.write(self.tenant) as transaction:
            self.versions.enter(transaction, statement)

    def used(self) -> int:
        with self.store.read() as transaction:
            return transaction.accounts.tenant(self.tenant).bytes_used

    def lies(self, body: BodyRef) -> bool:
        return self.files.size(object_key(self.tenant, body.sha256)) is not None

    def findings(self) -> list[str]:
        return [finding.what for finding in self.check.run(deep=True)]


@pytest.fixture
def room(home: Path, opened: Factory) -> _Room:
    return _Room(home, opened)


def test_what_nobody_registers_goes_after_its_time_and_its_room_is_given_back(room: _Room) -> None:
    left = room.some()
    assert room.used() > 0
    room.now += KEEP - timedelta(minutes=1)
    assert room.unregistered.remove() == 0
    room.now += timedelta(minutes=2)
    assert room.unregistered.remove() == 4
    assert room.used() == 0
    assert not any(map(room.lies, left))
    assert room.findings() == []


def test_what_is_registered_stays_for_good(room: _Room) -> None:
    bodies = room.some()
    room.now += KEEP - timedelta(minutes=1)
    room.register(bodies)
    room.now += 100 * KEEP
    assert room.unregistered.remove() == 0
    assert all(map(room.lies, bodies))
    assert room.unregistered.standing() == []
    assert room.findings() == []


@pytest.mark.parametrize("how", ["missing", "offset", "receive", "take"])
def test_who_is_told_that_an_object_is_there_finds_it_there_for_a_whole_time(room: _Room, how: str) -> None:
    body = secrets.token_bytes(200)
    one = room.put(body)
    room.now += KEEP - timedelta(minutes=1)
    said = {
        "missing": lambda: room.objects.missing(room.tenant, [one.sha256]) == [],
        "offset": lambda: room.objects.offset(room.tenant, one.sha256) == one.size,
        "receive": lambda: room.put(body) == one,
        "take": lambda: room.objects.take(room.tenant, [body]) == [],
    }[how]
    assert said()
    room.now += KEEP - timedelta(minutes=1)
    assert room.unregistered.remove() == 0
    room.now += timedelta(minutes=2)
    assert room.unregistered.remove() == 1


def test_an_upload_under_way_is_not_what_was_never_registered(room: _Room) -> None:
    digest = hashlib.sha256(bytes(900)).hexdigest()
    assert room.objects.receive(room.tenant, digest, 900, 0, bytes(10)) == 10
    room.now += LATE
    assert room.unregistered.remove() == 0
    assert room.objects.receive(room.tenant, digest, 900, 10, bytes(890)) == 900
    assert room.unregistered.remove() == 0


def test_a_registration_that_comes_second_is_told_what_is_missing(room: _Room) -> None:
    bodies = room.some()
    room.now += LATE
    room.store.first = room.unregistered.remove
    with pytest.raises(ConflictError, match="4 of 4 objects are not uploaded"):
        room.register(bodies)
    assert room.findings() == []


@pytest.mark.parametrize("how", ["missing", "take", "put"])
def test_a_removal_in_the_middle_of_a_call_is_seen_by_it(room: _Room, how: str) -> None:
    body = secrets.token_bytes(200)
    one = room.put(body)
    room.now += LATE
    room.store.first = room.unregistered.remove
    if how == "missing":
        assert room.objects.missing(room.tenant, [one.sha256]) == [one.sha256]
        return
    if how == "take":
        assert room.objects.take(room.tenant, [body]) == []
    else:
        assert room.put(body) == one
    assert room.lies(one)
    assert room.objects.missing(room.tenant, [one.sha256]) == []
    assert room.findings() == []


def test_a_removal_that_is_decided_and_not_done_in_the_middle_of_a_call_leaves_no_row_without_a_file(
    home: Path, room: _Room
) -> None:
    body = secrets.token_bytes(200)
    one = room.put(body)
    room.now += LATE
    stuck = Deletions(room.store, _Unreachable(home / "objects"), room.clock)
    room.store.first = Unregistered(room.store, stuck, room.clock, KEEP).remove
    with pytest.raises(UnavailableError, match="being deleted"):
        room.objects.take(room.tenant, [body])
    room.now += timedelta(minutes=11)  # the claim of whoever could not delete it has lapsed
    assert room.objects.take(room.tenant, [body]) == []
    assert room.deletions.carry_out() == 0
    assert room.lies(one)
    assert room.findings() == []


def test_registering_and_removing_at_once_end_with_all_or_nothing(room: _Room) -> None:
    versions = [room.some() for _ in range(12)]
    room.now += LATE
    start = threading.Barrier(3)
    refused: list[str] = []

    def register(some: list[list[BodyRef]]) -> None:
        start.wait()
        for bodies in some:
            try:
                room.register(bodies)
            except KifabrikError as error:
                refused.append(error.message)

    threads = [threading.Thread(target=register, args=(part,)) for part in (versions[:6], versions[6:])]
    for thread in threads:
        thread.start()
    start.wait()
    room.unregistered.remove()
    for thread in threads:
        thread.join()
    there = [[room.lies(body) for body in bodies] for bodies in versions]
    assert all(all(one) or not any(one) for one in there)
    assert sum(not any(one) for one in there) == len(refused)
    assert room.findings() == []


def test_a_removal_that_a_crash_cut_off_is_finished_later(home: Path, room: _Room) -> None:
    (one,) = [room.put(b"left over")]
    room.now += LATE
    stuck = Deletions(room.store, _Unreachable(home / "objects"), room.clock)
    assert Unregistered(room.store, stuck, room.clock, KEEP).remove() == 1
    assert room.lies(one)
    assert room.findings() == []
    room.now += timedelta(minutes=11)

    class Erasing:
        def settle(self) -> None:
            return

    returned = Returned(room.store, room.files, room.deletions, room.clock)
    Housekeeping(room.deletions, Erasing(), room.objects, room.unregistered, returned).tidy()  # type: ignore[arg-type]
    assert not room.lies(one)
    assert room.used() == 0


def test_the_check_names_what_should_be_gone_and_what_would_never_go(room: _Room) -> None:
    bodies = room.some()
    room.register(bodies)
    forgotten = room.put(b"forgotten")
    room.now += KEEP + GRACE / 2
    assert room.findings() == []
    room.now += GRACE
    assert ["2026-11-23T08:00:00Z stand on no record" in what for what in room.findings()] == [True]
    with room.store.write(room.tenant) as transaction:
        transaction.objects.keep(room.tenant, [forgotten.sha256])
    assert ["1 objects (9 B) are used by nothing" in what for what in room.findings()] == [True]


def test_who_has_no_room_left_is_told_how_much_of_it_was_never_registered(room: _Room) -> None:
    room.put(bytes(900_000))
    with pytest.raises(CapacityError) as refused:
        room.put(bytes(200_000))
    assert "900 kB were uploaded but never registered: they go in time" in refused.value.hint


def test_very_many_tiny_objects_fill_the_quota_before_the_disk(room: _Room) -> None:
    most = QUOTA // SMALLEST
    room.objects.take(room.tenant, [b"%d" % number for number in range(most)])
    assert room.used() == most * SMALLEST
    for refused in (lambda: room.put(b"x"), lambda: room.objects.take(room.tenant, [b"x"])):
        with pytest.raises(CapacityError):
            refused()
    digest = hashlib.sha256(b"begun").hexdigest()
    with pytest.raises(CapacityError):
        room.objects.receive(room.tenant, digest, 5, 0, b"")
    assert room.findings() == []
    room.now += LATE
    assert room.unregistered.remove() == most
    assert room.used() == 0
