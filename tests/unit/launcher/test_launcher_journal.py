"""The log of an attempt: lines, segments, chain, limit."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import RefusedError
from kifabrik.launcher.journal import Journal, split_lines
from kifabrik.runs.statements import LogSegment, LogStream
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_bytes, open_header
from kifabrik.seals.sealing import make_header, new_file_key
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import verify_statement
from kifabrik.values import format_time, now_utc, sha256_hex


class Taken:
    """What a factory does with a journal: keeps the stream and every segment, or refuses from one on."""

    def __init__(self, refuse_from=10**9):
        self.streams, self.segments = [], []
        self.refuse_from = refuse_from
        self.came = threading.Event()

    def open_stream(self, stream, header):
        self.streams.append((stream, header))

    def add_segment(self, segment, body):
        if len(self.segments) >= self.refuse_from:
            raise RefusedError("no more")
        self.segments.append((segment, body))
        self.came.set()


@pytest.fixture
def opened():
    """Make a journal; yields a function that does, with what is needed to read what came of it."""
    identity, run_key = Identity.generate(), SigningKey.generate()

    def make(attempts, **options):
        file_key = new_file_key()
        header = make_header(file_key, [identity.recipient])
        stream = LogStream("t-x", "r-x", "a-x", "0" * 64, sha256_hex(header), format_time(now_utc()))
        return Journal(attempts, stream, header, file_key, run_key, **options)

    def read(attempts):
        (_, header) = attempts.streams[0]
        key = open_header(header, [identity])
        records = []
        previous = ""
        for number, (envelope, body) in enumerate(attempts.segments):
            said = verify_statement(envelope, LogSegment, [run_key.public]).predicate
            assert (said.number, said.previous, said.body) == (number, previous, sha256_hex(body))
            previous = envelope.digest
            records += [json.loads(line) for line in open_bytes(body, key).splitlines()]
        return records, previous

    make.read = read
    return make


def test_every_line_arrives_sealed_signed_chained_and_in_order(opened):
    attempts = Taken()
    journal = opened(attempts)
    for number in range(50):
        journal.line("out" if number % 2 else "err", f"line {number}")
    journal.metric("auc", 0.5, 3)
    journal.close()
    records, tail = opened.read(attempts)
    assert [record["text"] for record in records[:50]] == [f"line {number}" for number in range(50)]
    assert {"name": "auc", "value": 0.5, "step": 3, "kind": "metric"}.items() <= records[50].items()
    assert (journal.tail, journal.segments) == (tail, len(attempts.segments))


def test_the_first_line_goes_out_while_the_job_is_still_running(opened):
    attempts = Taken()
    journal = opened(attempts)
    journal.line("out", "first")
    assert attempts.came.wait(60)
    journal.close()


def test_what_is_left_at_the_end_does_not_wait_for_more_to_come(opened, monkeypatch):
    monkeypatch.setattr("kifabrik.launcher.journal._PAUSE_S", 3600)
    attempts = Taken()
    journal = opened(attempts)
    journal.line("out", "first")
    assert attempts.came.wait(60)
    journal.line("out", "last")
    ending = threading.Thread(target=journal.close, daemon=True)
    ending.start()
    ending.join(60)
    assert not ending.is_alive()
    assert [record["text"] for record in opened.read(attempts)[0]] == ["first", "last"]


def test_lines_of_many_threads_are_all_there(opened):
    attempts = Taken()
    journal = opened(attempts)
    threads = [
        threading.Thread(target=lambda: [journal.line("out", "x" * 50) for _ in range(200)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert len(opened.read(attempts)[0]) == 1600


def test_a_flood_is_cut_at_the_limit_with_one_note(opened):
    attempts = Taken()
    journal = opened(attempts, limit=10_000)
    for _ in range(1000):
        journal.line("out", "flood " * 10)
    journal.close()
    records, _ = opened.read(attempts)
    assert [record["kind"] for record in records].count("note") == 1
    assert records[-1]["kind"] == "note"
    assert "10 kB" in records[-1]["text"]
    assert 90 < len(records) < 110


def test_a_great_deal_of_output_is_sent_in_pieces(opened):
    attempts = Taken()
    journal = opened(attempts)
    for _ in range(60):
        journal.line("out", "y" * 50_000)
    journal.close()
    assert len(attempts.segments) > 1
    assert max(len(body) for _, body in attempts.segments) < 1_200_000
    assert len(opened.read(attempts)[0]) == 60


def test_a_factory_that_refuses_ends_the_log_and_disturbs_nobody(opened):
    attempts, lost = Taken(refuse_from=0), []
    journal = opened(attempts, on_lost=lost.append)
    journal.line("out", "one")
    journal.close()
    journal.line("out", "two")
    assert [type(error) for error in lost] == [RefusedError]
    assert (journal.segments, journal.tail) == (0, "")


def test_whatever_ends_the_sending_is_told_as_a_log_that_is_cut(opened):
    class Torn(Taken):
        def add_segment(self, segment, body):
            raise MemoryError

    lost = []
    journal = opened(Torn(), on_lost=lost.append)
    journal.line("out", "one")
    journal.close()
    assert [type(error) for error in lost] == [MemoryError]


def test_lines_that_are_no_unicode_do_not_break_the_log(opened):
    attempts = Taken()
    journal = opened(attempts)
    journal.line("out", "\ud800 half a surrogate")
    journal.close()
    assert len(opened.read(attempts)[0]) == 1


@given(st.binary(max_size=2000), st.lists(st.integers(1, 300), max_size=20))
def test_output_cut_anywhere_gives_the_same_lines(output, sizes):
    pieces, rest = [], output
    for size in sizes:
        pieces, rest = [*pieces, rest[:size]], rest[size:]
    found, held = [], b""
    for piece in [*pieces, rest]:
        lines, held = split_lines(held, piece)
        found += lines
    whole, last = split_lines(b"", output)
    assert (found, held) == (whole, last)
    assert len(found) == output.count(b"\n")


def test_a_line_without_end_is_cut_so_that_memory_stays_bounded():
    lines, rest = [], b""
    for _ in range(100):
        more, rest = split_lines(rest, b"z" * 10_000)
        lines += more
        assert len(rest) <= 64_000
    assert sum(map(len, lines)) + len(rest) == 1_000_000
    assert max(map(len, lines)) <= 64_000
