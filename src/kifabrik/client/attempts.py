"""What only a launcher may do, with the token of its attempt."""

from collections.abc import Sequence

from kifabrik.client.connection import Connection
from kifabrik.runs.gathering import Stage
from kifabrik.runs.states import Outcome, RunState
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.attempts import (
    Control,
    FaultLeft,
    Finished,
    KeysLeft,
    NoteLeft,
    Progress,
    SegmentAdded,
    StageView,
    StreamOpened,
    Work,
)
from kifabrik.wire.tenants import Logged, Signed


class Attempts:
    """One attempt as seen from its launcher, or from that of one of its nodes.

    Args:
        connection: With the attempt's token.
        attempt: Attempt id.
        rank: Number of this node in the attempt, from 0.
    """

    def __init__(self, connection: Connection, attempt: str, rank: int = 0) -> None:
        self._http = connection
        self._path = f"/v1/attempts/{attempt}"
        self._rank = rank

    def work(self) -> Work:
        """All the launcher needs to begin."""
        return self._http.get(f"{self._path}/work", Work)

    def progress(self, state: RunState, reason: str = "") -> None:
        """Move the run forward."""
        self._http.send(f"{self._path}/progress", Progress(state=state, reason=reason))

    def open_stream(self, stream: Envelope, header: bytes) -> None:
        """Open the attempt's log."""
        self._http.send(f"{self._path}/stream", StreamOpened(stream=stream.to_json(), header=header))

    def add_segment(self, segment: Envelope, body: bytes) -> None:
        """Add one segment to the log."""
        self._http.send(f"{self._path}/segments", SegmentAdded(statement=segment.to_json(), body=body))

    def add_checkpoint(self, manifest: Envelope) -> Logged:
        """Register a sealed checkpoint whose objects are uploaded."""
        return self._http.post(f"{self._path}/checkpoints", Signed(statement=manifest.to_json()), Logged)

    def finish(self, finished: Finished) -> None:
        """Close the attempt."""
        self._http.send(f"{self._path}/finish", finished)

    def leave(self, stage: Stage, text: str = "") -> None:
        """Leave a note for the launchers on the other nodes."""
        self._http.send(f"{self._path}/notes", NoteLeft(rank=self._rank, stage=stage, text=text))

    def stage(self, stage: Stage, *, wait_s: float) -> StageView:
        """How far a stage has come, waiting at most `wait_s` until it is complete."""
        return self._http.get(f"{self._path}/notes", StageView, wait_s=wait_s, rank=self._rank, stage=stage)

    def hand_over(self, body: bytes, headers: Sequence[bytes]) -> None:
        """Hand every rank what was sealed for it."""
        self._http.send(f"{self._path}/keys", KeysLeft(body=body, headers=list(headers)))

    def fail(self, outcome: Outcome, message: str) -> None:
        """Say why the attempt cannot go on at this node."""
        body = FaultLeft(rank=self._rank, outcome=outcome, message=message)
        self._http.send(f"{self._path}/fault", body)

    def control(self, *, wait_s: float) -> Control:
        """What the factory asks of the launcher, waiting for it at most `wait_s`."""
        return self._http.get(f"{self._path}/control", Control, wait_s=wait_s)
