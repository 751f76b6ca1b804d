"""What a launcher and the service tell each other."""

from typing import Annotated

from pydantic import Field

from kifabrik.runs.gathering import Stage
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import MOST_NODES, Place
from kifabrik.wire.body import Binary, Body, NodesText, Sha256, Text

Rank = Annotated[int, Field(ge=0, lt=MOST_NODES)]
"""Number of a node in its attempt, from 0."""


class Work(Body):
    """All a launcher needs to begin; it believes only what verifies."""

    tenant_key: Sha256
    keyholder: Text
    membership: Text
    device: Text
    order: Text
    code: Text
    inputs: list[Text]
    checkpoint: str
    """Manifest of the last checkpoint of an earlier attempt, or empty."""
    lock: str
    run: str
    """Which run of the order this is: the order's own, or a task of its sweep."""
    number: int
    cap_s: int
    place: Place
    streamed: bool = False
    """Whether the inputs are to be opened while they are read: they do not fit into memory."""
    attested: bool = False
    """Whether a grant asks for attested nodes, so that the launcher need not ask in vain first."""


class Progress(Body):
    """A launcher moves its run forward."""

    state: RunState
    reason: str = ""


class StreamOpened(Body):
    """Opens the log of an attempt."""

    stream: Text
    header: Binary


class SegmentAdded(Body):
    """Adds one segment to the log."""

    statement: Text
    body: Binary


class Finished(Body):
    """Closes an attempt: `run-finished`, manifests of the outputs, SLSA provenance; all DSSE text."""

    finish: NodesText
    outputs: list[Text]
    provenance: Text
    message: str = ""


class Control(Body):
    """What the factory asks of a launcher: nothing, or to stop with a checkpoint.

    `cause` is `stop` (a person), `cap`, `preemption`, or `node`: another node of the run cannot go on. Then
    `outcome` and `message` say what happened there.
    """

    stop: bool
    cause: str = ""
    outcome: Outcome | None = None
    message: str = ""


class NoteLeft(Body):
    """What a rank leaves for the others; see `kifabrik.runs.gathering.Stage`."""

    rank: Rank
    stage: Stage
    text: NodesText = ""


class KeysLeft(Body):
    """What rank 0 has sealed for every rank: an age body, and for each rank the header that opens it."""

    body: Binary
    headers: list[Binary]


class FaultLeft(Body):
    """Why the attempt cannot go on at a node."""

    rank: Rank
    outcome: Outcome
    message: str = ""


class StageView(Body):
    """How far a stage has come, and what the caller needs of it once it is complete."""

    here: int
    complete: bool
    notes: dict[int, str] = Field(default_factory=dict)
    over: bool = False
    """The attempt cannot go on; `control` says why."""
