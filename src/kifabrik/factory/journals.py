"""Logs of attempts: opened under a lease, then one signed and chained segment after the other.

Invariants:
- a log is opened by the run key that the attempt's lease binds, and only by it;
- segments are taken in order, each naming the one before: nothing is left out, nothing put in between;
- an attempt on several nodes has a log for each, under one run key; a segment belongs to the rank it names;
- a log has a limit, so no flood fills the factory; large bodies are objects, small ones rows.
"""

from dataclasses import dataclass, replace
from typing import Final

from kifabrik.errors import CapacityError, ConflictError, IntegrityError, RefusedError, UsageError
from kifabrik.factory.attempts import Attempts
from kifabrik.factory.log_records import RankLog, Segment
from kifabrik.factory.objects import Objects
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import RequestState
from kifabrik.factory.run_book import RunBook, find_attempt
from kifabrik.factory.run_records import Attempt
from kifabrik.runs.gathering import check_rank
from kifabrik.runs.statements import LogSegment, LogStream
from kifabrik.runs.states import RunState
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement, verify_statement
from kifabrik.values import format_size, sha256_hex

MOST_LOG_BYTES: Final = 1_250_000_000
"""Of one attempt, sealed. Launchers cut at 1 GB of plaintext and note it; this stops one that does not."""

MOST_SEGMENT_BYTES: Final = 4 * 2**20
_MOST_HEADER_BYTES: Final = 4096
_ROW_BYTES: Final = 32 * 1024
"""Larger bodies are kept as objects."""

_MOST_ANSWERED: Final = 200
_MOST_ANSWERED_BYTES: Final = 4 * 2**20


@dataclass(frozen=True)
class LogPiece:
    """A piece of a log: its opening statement by digest, the shared header, segments with their bodies."""

    stream: str
    header: bytes
    segments: tuple[tuple[str, bytes], ...]
    ended: bool


class Journals:
    """Takes and shows logs.

    Args:
        store: Opens transactions.
        attempts: Knows which attempts go on.
        objects: Keeps large bodies.
        book: Wakes whoever follows a log.
        most_bytes: Limit of one log.
    """

    def __init__(
        self,
        store: Store,
        attempts: Attempts,
        objects: Objects,
        book: RunBook,
        *,
        most_bytes: int = MOST_LOG_BYTES,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._objects = objects
        self._book = book
        self._most_bytes = most_bytes

    def open(self, tenant: str, attempt: str, stream: Envelope, header: bytes) -> None:
        """Open the log of an attempt, which has its keys now; opening it again changes nothing.

        Raises:
            RefusedError: No key was released to the attempt.
            IntegrityError: Not signed by the run key of its lease, or about something else.
            ConflictError: It is open already, or the attempt has ended.
        """
        if len(header) > _MOST_HEADER_BYTES:
            raise UsageError(f"the header of a log has {len(header)} bytes, at most {_MOST_HEADER_BYTES}")
        with self._store.write(tenant) as transaction:
            found, run = self._attempts.going_on(transaction, tenant, attempt)
            lease = lease_of(transaction, found)
            said = verify_statement(stream, LogStream, [VerifyKey.from_hex(found.run_key)]).predicate
            if (said.tenant, said.run, said.attempt) != (tenant, run.run, attempt):
                raise IntegrityError("the log is of another attempt")
            if said.lease != lease or said.header != sha256_hex(header):
                raise IntegrityError("the log names another lease or another header")
            check_rank(said.rank, run.resources.nodes)
            log = rank_log(transaction, found, said.rank)
            if log.stream == stream.digest:
                return
            if log.stream:
                raise ConflictError(
                    f"attempt {attempt} has a log already" + (f" of node {said.rank}" if said.rank else "")
                )
            transaction.statements.add(tenant, stream)
            if said.rank:
                transaction.runs.save_rank_log(replace(log, stream=stream.digest, header=header))
            else:
                transaction.runs.set_stream_header(tenant, attempt, header)
                opened = replace(found, lease=lease, stream=stream.digest)
                self._attempts.reach(transaction, opened, run, RunState.STAGING)
            self._book.tell_of(transaction, found)

    def add(self, tenant: str, attempt: str, segment: Envelope, body: bytes) -> None:
        """Add a segment to a log; adding the last one again changes nothing.

        Raises:
            IntegrityError: Not signed by the run key, or its body is another.
            ConflictError: The log is not open, the segment is not the next one, or the attempt has ended.
            CapacityError: The log has reached its limit.
        """
        if not 0 < len(body) <= MOST_SEGMENT_BYTES:
            raise UsageError(f"a log segment has 1 to {MOST_SEGMENT_BYTES} bytes, not {len(body)}")
        with self._store.read() as transaction:
            found, run = self._attempts.going_on(transaction, tenant, attempt)
            statement = _verified(found, segment, body)
            rank = statement.predicate.rank
            check_rank(rank, run.resources.nodes)
            log = rank_log(transaction, found, rank)
        if not log.stream:
            raise ConflictError(f"the log of attempt {attempt} is not open")
        if statement.digest == log.tail:
            return
        in_row = len(body) <= _ROW_BYTES
        if not in_row:
            self._objects.put(tenant, statement.predicate.body, body)
        with self._store.write(tenant) as transaction:
            found, _ = self._attempts.going_on(transaction, tenant, attempt)
            log = rank_log(transaction, found, rank)
            if statement.digest == log.tail:
                return
            _append(transaction, found, log, statement, segment, body if in_row else None, self._most_bytes)
            if not in_row:
                transaction.objects.keep(tenant, [statement.predicate.body])
            self._book.tell_of(transaction, found)

    def read(self, tenant: str, attempt: str, after: int, rank: int = 0) -> LogPiece:
        """Return segments with numbers above `after`, some megabytes at most, and whether more can come.

        Raises:
            NotFoundError: There is no such attempt.
        """
        with self._store.read() as transaction:
            found = find_attempt(transaction, tenant, attempt)
            log = rank_log(transaction, found, rank)
            header = log.header if rank else transaction.runs.stream_header(tenant, attempt)
            rows = transaction.runs.segments(tenant, attempt, rank, after, _MOST_ANSWERED)
        taken: list[tuple[str, bytes]] = []
        size = 0
        for row in rows:
            if taken and size + row.size > _MOST_ANSWERED_BYTES:
                break
            taken.append((row.statement, self._body(row)))
            size += row.size
        last = rows[len(taken) - 1].number if taken else after
        return LogPiece(
            stream=log.stream,
            header=header,
            segments=tuple(taken),
            ended=bool(found.finished) and last >= log.segments - 1,
        )

    def _body(self, row: Segment) -> bytes:
        if row.body is not None:
            return row.body
        _, _, pieces = self._objects.read(row.tenant, row.sha256)
        return b"".join(pieces)


def rank_log(transaction: Transaction, attempt: Attempt, rank: int) -> RankLog:
    """The log of one node of an attempt as far as it has come; an empty one before it is open.

    That of the first node stands with the attempt, its header apart.
    """
    if rank == 0:
        said = (attempt.stream, attempt.segments, attempt.tail, attempt.log_bytes)
        return RankLog(attempt.tenant, attempt.attempt, 0, *said)
    found = transaction.runs.rank_log(attempt.tenant, attempt.attempt, rank)
    return found or RankLog(attempt.tenant, attempt.attempt, rank)


def _append(
    transaction: Transaction,
    found: Attempt,
    log: RankLog,
    statement: Statement[LogSegment],
    envelope: Envelope,
    body: bytes | None,
    most_bytes: int,
) -> None:
    said = statement.predicate
    if (said.number, said.previous) != (log.segments, log.tail):
        raise ConflictError(
            f"segment {said.number} does not follow segment {log.segments - 1} of this log",
            hint="Another launcher writes to it, or one was lost.",
        )
    if log.log_bytes + said.size > most_bytes:
        raise CapacityError(f"the log has reached {format_size(most_bytes)}; nothing more is kept of it")
    transaction.runs.add_segment(
        Segment(found.tenant, found.attempt, log.rank, said.number, envelope.to_json(), said.body, said.size, body)
    )
    segments, tail, log_bytes = log.segments + 1, statement.digest, log.log_bytes + said.size
    if log.rank:
        transaction.runs.save_rank_log(replace(log, segments=segments, tail=tail, log_bytes=log_bytes))
    else:
        transaction.runs.save_attempt(replace(found, segments=segments, tail=tail, log_bytes=log_bytes))


def lease_of(transaction: Transaction, attempt: Attempt) -> str:
    """Digest of the lease that was released to an attempt.

    Raises:
        RefusedError: None was.
    """
    for request in transaction.leases.of_runs(attempt.tenant, [attempt.run]):
        if request.attempt == attempt.attempt and request.state is RequestState.RELEASED:
            return request.decision
    raise RefusedError(f"no key was released to attempt {attempt.attempt}")


def _verified(found: Attempt, segment: Envelope, body: bytes) -> Statement[LogSegment]:
    if not found.run_key:
        raise ConflictError(f"the log of attempt {found.attempt} is not open")
    statement = verify_statement(segment, LogSegment, [VerifyKey.from_hex(found.run_key)])
    said = statement.predicate
    if (said.run, said.attempt) != (found.run, found.attempt):
        raise IntegrityError("the segment is of another log")
    if said.size != len(body) or said.body != sha256_hex(body):
        raise IntegrityError("the segment's body is not the one it names")
    return statement
