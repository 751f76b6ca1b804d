"""The log of a run, fetched sealed and opened on this machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from kifabrik.customer.leasing import ask_for_results
from kifabrik.customer.log_lines import LogLine, read_lines
from kifabrik.customer.proof import verify_stream
from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError
from kifabrik.runs.statements import Finish, LogSegment
from kifabrik.runs.states import is_end
from kifabrik.seals.opening import open_bytes, open_header
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import verify_statement
from kifabrik.values import now_utc, sha256_hex
from kifabrik.wire.runs import AttemptView, RunView, SegmentView

_WAIT_S: Final = 20.0
_PAUSE_S: Final = 1.0
"""Between looks at the logs of several nodes: news of one ends no waiting for another."""


@dataclass(frozen=True)
class LeasedStream:
    """The log of one node of an attempt, with the key that opens it.

    Args:
        rank: Number of the node.
        run_key: Signs segments and end.
        file_key: Opens bodies.
    """

    rank: int
    run_key: VerifyKey
    file_key: bytes


def lease_streams(session: Session, run: str, attempt: AttemptView) -> list[LeasedStream]:
    """Ask once for the logs of all nodes of an attempt, by rank; those that were never opened are left out.

    Raises:
        RefusedError: The keyholder does not release them to this member.
        IntegrityError: A log was not opened by the run key of a lease, or is of another node than the factory says.
    """
    named = {rank: one for rank, one in enumerate((attempt.stream, *attempt.other_streams)) if one}
    asked = ask_for_results(session, run, list(named.values()))
    # While the keyholder decides: no key it releases is used before the streams are verified.
    keys = {rank: verified_stream(session, run, attempt, rank) for rank in named}
    headers = asked.answer().headers
    return [leased_stream(session, rank, key, headers[named[rank]]) for rank, key in keys.items()]


def verified_stream(session: Session, run: str, attempt: AttemptView, rank: int) -> VerifyKey:
    """Return the run key that has opened the log of a node, and signs what is in it.

    Raises:
        IntegrityError: It was not opened by the run key of a lease, or is of another run or node.
    """
    digest = (attempt.stream, *attempt.other_streams)[rank]
    stream, run_key = verify_stream(session, session.datasets.statement(digest))
    said = stream.predicate
    if (said.run, said.attempt, said.rank) != (run, attempt.attempt, rank):
        raise IntegrityError(f"the log is not that of node {rank} of attempt {attempt.attempt} of {run}")
    return run_key


def leased_stream(session: Session, rank: int, run_key: VerifyKey, header: bytes) -> LeasedStream:
    """Return a verified log with the key that opens it, from the header of a lease."""
    return LeasedStream(rank, run_key, open_header(header, [session.profile.opener]))


class AttemptLog:
    """Opens the log of one node of an attempt, checking signature and chain of every segment.

    Args:
        session: Connected.
        run: Run id.
        attempt: Its view.
        stream: From `lease_streams`.
    """

    def __init__(self, session: Session, run: str, attempt: AttemptView, stream: LeasedStream) -> None:
        self._session = session
        self._run = run
        self._attempt = attempt
        self._stream = stream
        self._next = 0
        self._tail = ""
        self.ended = False
        """Whether the factory says that nothing more will come."""

    def lines(self, *, wait_s: float) -> list[LogLine]:
        """Return the records since the last call, waiting for some at most so long."""
        view = self._session.runs.log(
            self._attempt.attempt, after=self._next - 1, rank=self._stream.rank, wait_s=wait_s
        )
        found = [line for segment in view.segments for line in self._open(segment)]
        self.ended = view.ended and not found
        return found

    def _open(self, segment: SegmentView) -> Iterator[LogLine]:
        statement = verify_statement(Envelope.from_json(segment.statement), LogSegment, [self._stream.run_key])
        said, rank = statement.predicate, self._stream.rank
        place = (said.attempt, said.rank, said.number, said.previous)
        if place != (self._attempt.attempt, rank, self._next, self._tail):
            raise IntegrityError(f"the log is not whole: segment {self._next} is missing or was exchanged")
        if sha256_hex(segment.body) != said.body:
            raise IntegrityError(f"segment {said.number} of the log was changed")
        self._next, self._tail = said.number + 1, statement.digest
        yield from read_lines(open_bytes(segment.body, self._stream.file_key), self._attempt.number, rank)

    def close(self) -> Iterator[LogLine]:
        """Check that an ended log came to its end; yield a remark where nobody can tell.

        The factory says when a log has ended, and could say so early. Only the launcher knows, and it has
        signed it, unless it was killed.

        Raises:
            IntegrityError: The launcher has signed another end than this one, or the log of a node was left out.
        """
        for digest in self._session.runs.evidence(self._run).finishes:
            try:
                envelope = self._session.datasets.statement(digest)
                said = verify_statement(envelope, Finish, [self._stream.run_key]).predicate
            except IntegrityError:
                continue  # of another attempt, which has a run key of its own
            self._check_all_shown(said)
            end = _end_of(said, self._stream.rank)
            if end is None:
                break
            if end != (self._next, self._tail):
                raise IntegrityError(
                    f"the log is not whole: {self._next} segments came, and the launcher sent {end[0]}"
                )
            return
        number, rank = self._attempt.number, self._stream.rank
        whose = f" on node {rank}" if self._attempt.other_streams else ""
        text = f"Attempt {number} ended{whose} without its launcher's word: the end of its log may be missing."
        yield LogLine(now_utc().timestamp(), "note", text, number, rank=rank)

    def _check_all_shown(self, said: Finish) -> None:
        shown = self._attempt.other_streams
        for node in said.others:
            if node.segments and not (node.rank <= len(shown) and shown[node.rank - 1]):
                raise IntegrityError(f"the log of node {node.rank} is left out")


def _end_of(said: Finish, rank: int) -> tuple[int, str] | None:
    """Number of segments and the last one of a node's log; nothing if the node went without a word."""
    if rank == 0:
        return said.segments, said.log_tail
    node = next((one for one in said.others if one.rank == rank and one.ended), None)
    return None if node is None else (node.segments, node.log_tail)


def read_log(session: Session, run: str, *, follow: bool, on_state: Any = None) -> Iterator[LogLine]:
    """Yield the log of a run, attempt after attempt.

    Args:
        session: Connected.
        run: Run id.
        follow: Whether to go on until the run has ended.
        on_state: Called with the `RunView` whenever it changes, if given.
    """
    done: set[str] = set()
    view = session.runs.show(run)
    while True:
        if on_state is not None:
            on_state(view)
        patient = follow and not is_end(view.state)
        for attempt in view.attempts:
            if attempt.attempt in done or not _opened(attempt, patient=patient):
                continue
            yield from _attempt_lines(session, run, attempt, follow=follow)
            done.add(attempt.attempt)
        if not follow or is_end(view.state):
            if not any(_opened(one, patient=patient) and one.attempt not in done for one in view.attempts):
                return
            continue
        view = session.runs.show(run, revision=view.revision, wait_s=_WAIT_S)


def _opened(attempt: AttemptView, *, patient: bool) -> bool:
    """Whether there is a log to read; whoever follows a run waits until all nodes have opened theirs."""
    return bool(attempt.stream) and (all(attempt.other_streams) or not patient or bool(attempt.finished))


def _attempt_lines(session: Session, run: str, attempt: AttemptView, *, follow: bool) -> Iterator[LogLine]:
    logs = [AttemptLog(session, run, attempt, stream) for stream in lease_streams(session, run, attempt)]
    wait_s = (_WAIT_S if len(logs) == 1 else _PAUSE_S) if follow else 0
    while logs:
        came = False
        for place, log in enumerate(list(logs)):
            lines = log.lines(wait_s=0 if place else wait_s)
            yield from lines
            came = came or bool(lines)
            if log.ended:
                yield from log.close()
                logs.remove(log)
        if not (follow or came):
            return


def wait_for_end(session: Session, run: str) -> RunView:
    """Wait until a run has ended."""
    view = session.runs.show(run)
    while not is_end(view.state):
        view = session.runs.show(run, revision=view.revision, wait_s=_WAIT_S)
    return view
