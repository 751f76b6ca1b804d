"""The log of an attempt: JSON lines, sealed in segments, each signed and chained to the one before.

Invariants:
- a segment is signed before it is sent, and sent again until the factory has it: none is left out;
- all segments share one age header, so one lease opens a log that is still growing;
- a flood of output is cut at a limit, and the cut is noted; the job itself is not disturbed;
- what waits for the factory takes bounded memory: a job that writes faster than the factory takes it waits
  for it, as at any pipe. Remarks of the launcher never wait, so a flood does not keep it from ending a run.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from kifabrik.client.attempts import Attempts
from kifabrik.leases.statements import Lease
from kifabrik.runs.statements import LogSegment, LogStream
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import make_header, new_file_key, seal_bytes
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import Statement, sign_statement
from kifabrik.values import format_size, format_time, now_utc, sha256_hex

_PAUSE_S: Final = 0.2
"""Between segments while output keeps coming; the first line goes out at once."""
_SEGMENT_BYTES: Final = 1_000_000
LIMIT_BYTES: Final = 1_000_000_000
MOST_HELD_BYTES: Final = 32_000_000
_LINE_BYTES: Final = 64_000
_NOTE: Final = "note"


class Journal:
    """Collects records from any thread and sends them sealed from one thread of its own.

    Args:
        attempts: Client of this attempt.
        stream: Opens the log.
        header: The age header all segments share.
        file_key: The key in it.
        run_key: Signs stream and segments.
        limit: Most bytes of records; what follows is dropped with a note.
        most_held: Bytes of records that may wait to be sent.
        on_lost: Called once if a segment cannot be sent for good, as when the factory refuses it: then the log is
            cut, and its own chain does not show it.
    """

    def __init__(
        self,
        attempts: Attempts,
        stream: LogStream,
        header: bytes,
        file_key: bytes,
        run_key: SigningKey,
        *,
        limit: int = LIMIT_BYTES,
        most_held: int = MOST_HELD_BYTES,
        on_lost: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._attempts = attempts
        self._run, self._attempt, self._rank = stream.run, stream.attempt, stream.rank
        self._file_key = file_key
        self._run_key = run_key
        self._limit = limit
        self._most_held = most_held
        self._on_lost = on_lost
        self._lines: list[bytes] = []
        self._held = 0
        self._total = 0
        self._news = threading.Condition()
        self._closing = False
        self.segments = 0
        self.tail = ""
        attempts.open_stream(sign_statement(stream, {"header": stream.header}, run_key), header)
        self._sender = threading.Thread(target=self._send_all, name="journal", daemon=True)
        self._sender.start()

    @classmethod
    def open(
        cls,
        attempts: Attempts,
        lease: Statement[Lease],
        run_key: SigningKey,
        *,
        rank: int = 0,
        limit: int = LIMIT_BYTES,
        on_lost: Callable[[Exception], None] = lambda _error: None,
    ) -> "Journal":
        """Open the log of one node of the attempt a lease is for, sealed to the lease's output recipient."""
        said = lease.predicate
        file_key = new_file_key()
        header = make_header(file_key, [Recipient.from_text(said.output_recipient)])
        opened = format_time(now_utc())
        stream = LogStream(said.tenant, said.run, said.receiver, lease.digest, sha256_hex(header), opened, rank)
        return cls(attempts, stream, header, file_key, run_key, limit=limit, on_lost=on_lost)

    def line(self, kind: str, text: str) -> None:
        """Add a line of the job's output (`out`, `err`) or a remark of the launcher (`note`)."""
        self._add({"at": round(time.time(), 3), "kind": kind, "text": text}, waits=kind != _NOTE)

    def metric(self, name: str, value: float, step: int) -> None:
        """Add a metric the job reported."""
        record = {"at": round(time.time(), 3), "kind": "metric", "name": name, "value": value, "step": step}
        self._add(record, waits=True)

    def close(self) -> None:
        """Send what is left; afterwards `segments` and `tail` are final."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        self._sender.join()

    @property
    def is_full(self) -> bool:
        """Whether nothing that is added is kept any more."""
        return self._total >= self._limit

    @property
    def total_bytes(self) -> int:
        """Bytes of records so far."""
        return self._total

    def _add(self, record: dict[str, Any], *, waits: bool) -> None:
        if self._total >= self._limit:  # a flood goes on after its end; it shall not cost more than reading
            return
        line = json.dumps(record, ensure_ascii=False).encode(errors="replace") + b"\n"
        with self._news:
            if waits:
                self._news.wait_for(lambda: self._held < self._most_held or self._total >= self._limit)
            if self._total >= self._limit:
                return
            self._total += len(line)
            if self._total >= self._limit:
                note = f"The log reached {format_size(self._limit)}; what follows is not kept."
                line = json.dumps({"at": record["at"], "kind": _NOTE, "text": note}).encode() + b"\n"
            self._lines.append(line)
            self._held += len(line)
            self._news.notify_all()

    def _send_all(self) -> None:
        try:
            while piece := self._next_piece():
                self._send(piece)
                if len(piece) < _SEGMENT_BYTES:
                    self._pause()
        except Exception as error:  # noqa: BLE001 - whatever it was, the log is cut and the run must say so
            self._on_lost(error)
        finally:
            with self._news:  # nobody waits for a sender that is gone
                self._limit = 0
                self._lines.clear()
                self._news.notify_all()

    def _pause(self) -> None:
        """Let more come together; what is to end is sent at once."""
        with self._news:
            self._news.wait_for(lambda: self._closing, _PAUSE_S)

    def _next_piece(self) -> bytes:
        with self._news:
            self._news.wait_for(lambda: self._lines or self._closing)
            taken, size = 0, 0
            while taken < len(self._lines) and size < _SEGMENT_BYTES:
                size += len(self._lines[taken])
                taken += 1
            piece = b"".join(self._lines[:taken])
            del self._lines[:taken]
            self._held -= size
            self._news.notify_all()
            return piece

    def _send(self, piece: bytes) -> None:
        body = seal_bytes(piece, self._file_key)
        said = LogSegment(
            run=self._run,
            attempt=self._attempt,
            number=self.segments,
            previous=self.tail,
            body=sha256_hex(body),
            size=len(body),
            created=format_time(now_utc()),
            rank=self._rank,
        )
        envelope = sign_statement(said, {"body": said.body}, self._run_key)
        self._attempts.add_segment(envelope, body)
        self.segments += 1
        self.tail = envelope.digest


def split_lines(rest: bytes, piece: bytes) -> tuple[list[str], bytes]:
    """Cut output into lines; a line longer than 64 kB is cut too.

    Returns:
        The whole lines as text, and the bytes of the line that has not ended.
    """
    *lines, rest = (rest + piece).split(b"\n")
    if len(rest) > _LINE_BYTES:
        lines.append(rest)
        rest = b""
    cut = [line[at : at + _LINE_BYTES] for line in lines for at in range(0, len(line) or 1, _LINE_BYTES)]
    return [part.decode(errors="replace").rstrip("\r") for part in cut], rest
