"""Appending: threads, processes, kills, tiles, cosigned heads."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kifabrik.errors import IntegrityError, NotFoundError, UnavailableError, UsageError
from kifabrik.factory.factory import Factory
from kifabrik.factory.records import SealedDetail
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.notes import NoteVerifier
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.tiles import tiles_of
from kifabrik.ledger.verify import Report, verify_log
from kifabrik.signatures.dsse import Envelope
from kifabrik.wiring.factory import open_factory
from signing_up import sign_up

_APPEND = """
import sys
from pathlib import Path
from kifabrik.ledger.entry import EntryKind
from kifabrik.wiring.factory import open_factory
factory, tenant, name, count = open_factory(Path(sys.argv[1])), sys.argv[2], sys.argv[3], int(sys.argv[4])
print("ready", flush=True)
for number in range(count):
    with factory.store.write(tenant) as transaction:
        refs = {"purpose": f"{name}-{number}"}
        index = factory.log.append(transaction, tenant, EntryKind.MODEL_ACCEPTED, refs)
    print(index, flush=True)
"""


def _append(factory: Factory, tenant: str, text: str = "x") -> int:
    with factory.store.write(tenant) as transaction:
        return factory.log.append(transaction, tenant, EntryKind.MODEL_ACCEPTED, {"purpose": text})


def _verified(factory: Factory, tenant: str) -> Report:
    policy = Policy.of(NoteVerifier.from_vkey(factory.log.vkey(tenant)))
    report = verify_log(lambda path: factory.log.tile(tenant, path), factory.log.checkpoint(tenant), policy)
    report.require()
    return report


def _names(factory: Factory, tenant: str) -> list[object]:
    with factory.store.read() as transaction:
        entries = transaction.logs.entries(tenant, 0, 10**6)
    return [Entry.from_bytes(data).refs.get("purpose") for data in entries]


def _appender(home: Path, tenant: str, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _APPEND, str(home), tenant, name, str(count)], stdout=subprocess.PIPE, text=True
    )


def test_entries_and_tiles_verify_across_the_edge_of_a_tile(opened: Factory) -> None:
    tenant = sign_up(opened)
    for number in range(258):
        _append(opened, tenant, f"n-{number}")
        if number in (252, 253, 254, 257):
            assert _verified(opened, tenant).entries == number + 3
    assert [tile.path for tile in tiles_of(260)] == [
        "tile/entries/000",
        "tile/entries/001.p/4",
        "tile/0/000",
        "tile/0/001.p/4",
        "tile/1/000.p/1",
    ]
    for missing in ("tile/0/001", "tile/0/001.p/5", "tile/1/000", "tile/2/000.p/1", "tile/0/1", "tile/x/000"):
        with pytest.raises(NotFoundError):
            opened.log.tile(tenant, missing)


def test_a_change_that_is_rolled_back_leaves_no_entry(opened: Factory) -> None:
    tenant = sign_up(opened)
    before = opened.log.checkpoint(tenant)

    def change_my_mind() -> None:
        with opened.store.write(tenant) as transaction:
            opened.log.append(transaction, tenant, EntryKind.MODEL_ACCEPTED, {})
            raise UsageError("changed my mind")

    with pytest.raises(UsageError, match="changed my mind"):
        change_my_mind()
    assert opened.log.checkpoint(tenant) == before


def test_threads_append_without_losing_or_repeating_an_index(opened: Factory) -> None:
    tenant = sign_up(opened)
    with ThreadPoolExecutor(8) as pool:
        indexes = list(pool.map(lambda number: _append(opened, tenant, f"t-{number}"), range(80)))
    assert sorted(indexes) == list(range(2, 82))
    assert _verified(opened, tenant).entries == 82


def test_two_processes_append_to_one_log(home: Path, opened: Factory) -> None:
    tenant = sign_up(opened)
    writers = [_appender(home, tenant, name, 40) for name in ("a", "b")]
    indexes = [int(line) for writer in writers for line in writer.communicate(timeout=60)[0].split()[1:]]
    assert sorted(indexes) == list(range(2, 82))
    assert _verified(opened, tenant).entries == 82
    assert set(_names(opened, tenant)[2:]) == {f"{w}-{n}" for w in "ab" for n in range(40)}


@pytest.mark.parametrize("turn", range(3))
def test_whatever_moment_a_process_is_killed_at_the_log_is_whole(home: Path, opened: Factory, turn: int) -> None:
    tenant = sign_up(opened)
    writer = _appender(home, tenant, "k", 10_000)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(0.02 + 0.033 * turn)
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = [int(line) for line in writer.communicate()[0].split()]
    size = _verified(opened, tenant).entries
    assert acknowledged == list(range(2, 2 + len(acknowledged)))
    assert size - 2 - len(acknowledged) in (0, 1)  # the last may be committed and not yet acknowledged
    assert _names(opened, tenant)[2:] == [f"k-{number}" for number in range(size - 2)]
    again = open_factory(home)
    assert _append(again, tenant) == size
    again.store.close()
    assert opened.check.run() == []


def test_a_detail_lies_beside_its_entry(opened: Factory) -> None:
    tenant = sign_up(opened)
    detail, large = SealedDetail("ab" * 32, b"sealed"), SealedDetail("cd" * 32, bytes(10**6))
    with opened.store.write(tenant) as transaction:
        opened.log.append(transaction, tenant, EntryKind.MODEL_ACCEPTED, {}, detail)
    assert opened.log.detail(tenant, "ab" * 32) == b"sealed"
    with pytest.raises(NotFoundError):
        opened.log.detail(sign_up(opened), "ab" * 32)
    with pytest.raises(UsageError), opened.store.write(tenant) as transaction:
        opened.log.append(transaction, tenant, EntryKind.MODEL_ACCEPTED, {}, large)


def test_the_logs_key_is_private_and_its_loss_is_said(home: Path, opened: Factory) -> None:
    tenant = sign_up(opened)
    key = home / "keys" / f"{tenant}.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert (home / "keys").stat().st_mode & 0o777 == 0o700
    key.unlink()
    again = open_factory(home)
    with pytest.raises(UnavailableError, match="lost the key"):
        _append(again, tenant)
    again.store.close()


def test_nothing_is_appended_to_the_log_of_nobody(opened: Factory) -> None:
    with pytest.raises(NotFoundError):
        _append(opened, "t-aaaaaaaaaaaaaaaa")


def test_a_head_that_no_witness_signed_is_not_kept_as_cosigned(opened: Factory) -> None:
    tenant = sign_up(opened)
    with pytest.raises(IntegrityError):
        opened.log.cosign(tenant, opened.log.checkpoint(tenant))
    with pytest.raises(NotFoundError):
        opened.log.cosigned(tenant)


def test_what_is_new_comes_with_its_head_and_the_statements_it_names(opened: Factory) -> None:
    tenant = sign_up(opened)
    _append(opened, tenant)
    with opened.store.read() as transaction:
        entries = transaction.logs.entries(tenant, 0, 9)
    for size in range(5):
        news = opened.log.since(tenant, size, statements=False)
        assert (news.checkpoint, list(news.entries)) == (opened.log.checkpoint(tenant), entries[size:])
        assert not news.statements
    enrolled = next(one for one in map(Entry.from_bytes, entries) if one.kind is EntryKind.KEYHOLDER_ENROLLED)
    (text,) = opened.log.since(tenant, 0, statements=True).statements
    assert Envelope.from_json(text).digest == enrolled.refs["statement"]


def test_what_is_new_is_left_out_where_it_is_more_than_a_bundle(opened: Factory) -> None:
    tenant = sign_up(opened)
    size = len(opened.log.since(tenant, 0, statements=False).entries)
    for _ in range(257 - size):
        _append(opened, tenant)
    assert opened.log.since(tenant, 0, statements=True).entries == ()
    assert len(opened.log.since(tenant, 1, statements=True).entries) == 256
