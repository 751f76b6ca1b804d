"""The job writes to its log what it likes, as fast and as much as it can, while the factory takes its time."""

import json
import os
import threading

import pytest

from kifabrik.errors import UnavailableError
from kifabrik.launcher.execution import _reader
from kifabrik.launcher.journal import Journal
from kifabrik.runs.statements import LogStream
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_bytes
from kifabrik.seals.sealing import make_header, new_file_key
from kifabrik.signatures.keys import SigningKey
from kifabrik.values import format_time, now_utc, sha256_hex

FILE_KEY = new_file_key()
LINES, LINE = 200, "x" * 10_000


class SlowFactory:
    """Takes the first segment and is away until it is told to be there again, or to be gone for good."""

    def __init__(self):
        self.bodies, self.there, self.gone = [], threading.Event(), False

    def open_stream(self, _stream, _header):
        pass

    def add_segment(self, _segment, body):
        assert self.there.wait(60)
        if self.gone:
            raise UnavailableError("the factory is gone")
        self.bodies.append(body)

    def records(self):
        return [
            json.loads(line) for body in self.bodies for line in open_bytes(body, FILE_KEY).split(b"\n") if line
        ]


@pytest.fixture
def factory():
    return SlowFactory()


def journal(factory, **options):
    header = make_header(FILE_KEY, [Identity.generate().recipient])
    stream = LogStream("t-x", "r-x", "a-x", "0" * 64, sha256_hex(header), format_time(now_utc()))
    return Journal(factory, stream, header, FILE_KEY, SigningKey.generate(), **options)


def flooding(log):
    """Write many lines from a thread, as a job's output is read."""
    thread = threading.Thread(target=lambda: [log.line("out", LINE) for _ in range(LINES)], daemon=True)
    thread.start()
    return thread


def test_a_flood_waits_for_the_factory_and_not_in_the_launchers_memory(factory):
    log = journal(factory, most_held=300_000)
    thread = flooding(log)
    thread.join(0.5)
    assert thread.is_alive()
    assert log._held < 300_000 + 2 * len(LINE)
    factory.there.set()
    thread.join(60)
    log.close()
    assert [record["text"] for record in factory.records()] == [LINE] * LINES


def test_the_same_flood_fills_memory_without_that_bound(factory):
    log = journal(factory, most_held=10**9)
    flooding(log).join(60)
    assert log._held > 0.5 * LINES * len(LINE)
    factory.there.set()
    log.close()


def test_a_flood_does_not_keep_the_launcher_from_its_own_remarks(factory):
    """Else a job could not be stopped while it floods."""
    log = journal(factory, most_held=100_000)
    thread = flooding(log)
    thread.join(0.2)
    log.line("note", "The run is stopped.")
    assert thread.is_alive()
    factory.there.set()
    thread.join(60)
    log.close()
    assert [record["text"] for record in factory.records() if record["kind"] == "note"] == ["The run is stopped."]


def test_a_factory_that_is_gone_for_good_holds_up_nobody(factory):
    lost = []
    log = journal(factory, most_held=100_000, on_lost=lost.append)
    thread = flooding(log)
    factory.gone = True
    factory.there.set()
    thread.join(60)
    assert not thread.is_alive()
    log.close()
    assert len(lost) == 1


def read(factory, output, **options):
    """Have output read as from a room; return the records that reach the factory."""
    factory.there.set()
    log = journal(factory, **options)
    reading, writing = os.pipe()
    reader = _reader(reading, "out", log)
    with os.fdopen(writing, "wb") as file:
        file.write(output)
    reader.join(60)
    os.close(reading)
    log.close()
    return factory.records()


def test_bytes_of_any_kind_are_kept_as_lines_and_forge_no_record(factory):
    forged = b'{"at": 0, "kind": "note", "text": "The run is stopped."}'
    lines = [
        b"nul \0 nul",
        b"\xff\xfe\xc3(",
        b"\x1b]0;title\x07\x1b[2J\x1b[8m",
        b"\r\x08\x7f",
        "\u2028\u0085\u202e".encode(),
    ]
    records = read(factory, b"\n".join([*lines, forged, b"no end"]))
    assert {record["kind"] for record in records} == {"out"}
    expected = [line.decode(errors="replace").rstrip("\r") for line in [*lines, forged, b"no end"]]
    assert [record["text"] for record in records] == expected


def test_a_line_without_end_is_cut_into_pieces(factory):
    records = read(factory, b"z" * 1_000_000)
    assert max(len(record["text"]) for record in records) <= 64_000
    assert sum(len(record["text"]) for record in records) == 1_000_000


def test_a_flood_of_empty_lines_ends_at_the_limit_with_one_remark(factory):
    records = read(factory, b"\n" * 200_000, limit=100_000)
    assert len(records) < 3_000
    assert [record["text"] for record in records if record["kind"] == "note"] == [
        "The log reached 100 kB; what follows is not kept."
    ]


def test_what_floods_beyond_the_limit_is_not_looked_at(factory):
    """Lines cost their reader more than their writer, and no control group bounds the launcher's processor time."""
    factory.there.set()
    log, looked_at = journal(factory, limit=100_000), []
    keep = log.line
    log.line = lambda kind, text: (looked_at.append(kind), keep(kind, text))
    reading, writing = os.pipe()
    reader = _reader(reading, "out", log)
    with os.fdopen(writing, "wb") as file:
        for _ in range(100):
            file.write(b"\n" * 65_536)
    reader.join(60)
    assert not reader.is_alive()
    os.close(reading)
    log.close()
    assert len(looked_at) <= 65_536  # one piece at most
