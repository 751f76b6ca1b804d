"""What only a launcher may do, with the token of its attempt."""

from kifabrik.client.connection import Connection
from kifabrik.runs.states import RunState
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.attempts import Control, Finished, Progress, SegmentAdded, StreamOpened, Work
from kifabrik.wire.tenants import Logged, Signed


class Attempts:
    """One attempt as seen from its launcher."""

    def __init__(self, connection: Connection, attempt: str) -> None:
        self._http = connection
        self._path = f"/v1/attempts/{attempt}"

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

    def control(self, *, wait_s: float) -> Control:
        """What the factory asks of the launcher, waiting for it at most `wait_s`."""
        return self._http.get(f"{self._path}/control", Control, wait_s=wait_s)
