"""The log of a run, fetched sealed and opened on this machine."""

from collections.abc import Iterator
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
from kifabrik.signatures.statements import verify_statement
from kifabrik.values import now_utc, sha256_hex
from kifabrik.wire.runs import AttemptView, RunView, SegmentView

_WAIT_S: Final = 20.0


class AttemptLog:
    """Opens the log of one attempt, checking signature and chain of every segment.

    Args:
        session: Connected.
        attempt: Its view, with a stream.
        run: Run id.
        header: The stream's header as it was leased before; None to ask for it.

    Raises:
        RefusedError: The keyholder does not release this log to this member.
        IntegrityError: The log was not opened by the run key of a lease.
    """

    def __init__(self, session: Session, run: str, attempt: AttemptView, header: bytes | None = None) -> None:
        asked = ask_for_results(session, run, [attempt.stream]) if header is None else None
        # While the keyholder decides: no key it releases is used before the stream is verified.
        stream = session.datasets.statement(attempt.stream)
        self._statement, self._run_key = verify_stream(session, stream)
        if self._statement.predicate.run != run:
            raise IntegrityError("the log belongs to another run")
        leased = asked.answer().headers[attempt.stream] if asked is not None else header or b""
        self._file_key = open_header(leased, [session.profile.opener])
        self._session = session
        self._run = run
        self._attempt = attempt
        self._next = 0
        self._tail = ""

    def lines(self, *, wait_s: float) -> tuple[list[LogLine], bool]:
        """Return the records since the last call, and whether the log has ended."""
        view = self._session.runs.log(self._attempt.attempt, after=self._next - 1, wait_s=wait_s)
        return [line for segment in view.segments for line in self._open(segment)], view.ended

    def _open(self, segment: SegmentView) -> Iterator[LogLine]:
        statement = verify_statement(Envelope.from_json(segment.statement), LogSegment, [self._run_key])
        said = statement.predicate
        if (said.attempt, said.number, said.previous) != (self._attempt.attempt, self._next, self._tail):
            raise IntegrityError(f"the log is not whole: segment {self._next} is missing or was exchanged")
        if sha256_hex(segment.body) != said.body:
            raise IntegrityError(f"segment {said.number} of the log was changed")
        self._next, self._tail = said.number + 1, statement.digest
        yield from read_lines(open_bytes(segment.body, self._file_key), self._attempt.number)

    def close(self) -> Iterator[LogLine]:
        """Check that an ended log came to its end; yield a remark where nobody can tell.

        The factory says when a log has ended, and could say so early. Only the launcher knows, and it has
        signed it, unless it was killed.

        Raises:
            IntegrityError: The launcher has signed another end than this one.
        """
        for digest in self._session.runs.evidence(self._run).finishes:
            try:
                envelope = self._session.datasets.statement(digest)
                said = verify_statement(envelope, Finish, [self._run_key]).predicate
            except IntegrityError:
                continue  # of another attempt, which has a run key of its own
            if (said.segments, said.log_tail) != (self._next, self._tail):
                raise IntegrityError(
                    f"the log is not whole: {self._next} segments came, and the launcher sent {said.segments}"
                )
            return
        text = (
            f"Attempt {self._attempt.number} ended without its launcher's word: the end of its log may be missing."
        )
        yield LogLine(now_utc().timestamp(), "note", text, self._attempt.number)


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
        for attempt in view.attempts:
            if attempt.attempt in done or not attempt.stream:
                continue
            yield from _attempt_lines(session, run, attempt, follow=follow)
            done.add(attempt.attempt)
        if not follow or is_end(view.state):
            if not any(one.stream and one.attempt not in done for one in view.attempts):
                return
            continue
        view = session.runs.show(run, revision=view.revision, wait_s=_WAIT_S)


def _attempt_lines(session: Session, run: str, attempt: AttemptView, *, follow: bool) -> Iterator[LogLine]:
    log = AttemptLog(session, run, attempt)
    while True:
        lines, ended = log.lines(wait_s=_WAIT_S if follow else 0)
        yield from lines
        if ended and not lines:
            yield from log.close()
            return
        if not (follow or lines):
            return


def wait_for_end(session: Session, run: str) -> RunView:
    """Wait until a run has ended."""
    view = session.runs.show(run)
    while not is_end(view.state):
        view = session.runs.show(run, revision=view.revision, wait_s=_WAIT_S)
    return view
