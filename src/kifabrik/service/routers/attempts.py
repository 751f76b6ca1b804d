"""What a launcher asks and tells, with the token of its attempt; and the log of an attempt."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from kifabrik.factory.attempts import Asked
from kifabrik.factory.gathering import Gathered
from kifabrik.factory.hints import attempt_topic, control_topic, stage_topic
from kifabrik.factory.journals import LogPiece
from kifabrik.factory.records import Principal, Recorded
from kifabrik.runs.gathering import Fault, Stage
from kifabrik.service import run_bodies
from kifabrik.service.auth import ATTEMPT, TENANT, TheFactory, allow
from kifabrik.service.bodies import Ident, envelope, logged
from kifabrik.service.doors import NODES_PARTS, SIGNED, Door, takes
from kifabrik.service.limits import MIB
from kifabrik.service.streams import TheWaiters, WaitSeconds, Watch, in_place, long_poll
from kifabrik.signatures.dsse import Envelope
from kifabrik.values import MOST_NODES
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
from kifabrik.wire.runs import StreamView
from kifabrik.wire.tenants import Logged, Signed

router = APIRouter(prefix="/v1/attempts/{attempt}", tags=["attempts"], route_class=Door)


@in_place
def _own(
    attempt: Ident,  # noqa: ARG001 - stands in the schema; the door compares it
    caller: Annotated[Principal, allow(*ATTEMPT, own=True)],
) -> Principal:
    """The launcher of exactly this attempt; every other attempt is missing to it."""
    return caller


Launcher = Annotated[Principal, Depends(_own)]
Rank = Annotated[int, Query(ge=0, lt=MOST_NODES)]


@router.get("/work")
def work(caller: Launcher, factory: TheFactory) -> Work:
    """All the launcher needs to begin."""
    return run_bodies.work(factory.runs.attempts.work(caller.tenant, caller.attempt))


@router.post("/progress")
@takes(MIB)
def progress(body: Progress, caller: Launcher, factory: TheFactory) -> dict[str, Any]:
    """Move the run forward."""
    factory.runs.attempts.progress(caller.tenant, caller.attempt, body.state, body.reason)
    return {}


@router.post("/stream")
@takes(SIGNED)
def open_stream(body: StreamOpened, caller: Launcher, factory: TheFactory) -> dict[str, Any]:
    """Open the attempt's log."""
    stream = Envelope.from_json(body.stream)
    factory.runs.journals.open(caller.tenant, caller.attempt, stream, body.header)
    return {}


@router.post("/segments")
@takes(8 * MIB)
def add_segment(body: SegmentAdded, caller: Launcher, factory: TheFactory) -> dict[str, Any]:
    """Add one segment to the log."""
    segment = Envelope.from_json(body.statement)
    factory.runs.journals.add(caller.tenant, caller.attempt, segment, body.body)
    return {}


@router.post("/checkpoints")
@takes(SIGNED)
def add_checkpoint(body: Signed, caller: Launcher, factory: TheFactory) -> Logged:
    """Register a sealed checkpoint whose objects are uploaded."""
    recorded: Recorded = factory.runs.finishing.checkpoint(caller.tenant, caller.attempt, envelope(body))
    return logged(recorded)


@router.post("/finish")
@takes(64 * MIB, parts=NODES_PARTS)
def finish(body: Finished, caller: Launcher, factory: TheFactory) -> dict[str, Any]:
    """Close the attempt."""
    factory.runs.finishing.finish(caller.tenant, caller.attempt, run_bodies.closing(body))
    return {}


@router.get("/control", response_model=Control)
@long_poll
def control(
    caller: Launcher,
    factory: TheFactory,
    waiters: TheWaiters,  # noqa: ARG001 - used by `long_poll`
    wait: WaitSeconds = 0,
) -> Watch[Control]:
    """What the factory asks of the launcher; waits for it."""

    def read() -> Control:
        asked: Asked = factory.runs.attempts.control(caller.tenant, caller.attempt)
        return run_bodies.control(asked)

    return Watch(control_topic(caller.tenant, caller.attempt), read, lambda said: said.stop, wait)


@router.post("/notes")
@takes(40 * MIB, parts=NODES_PARTS)
def leave_note(body: NoteLeft, caller: Launcher, factory: TheFactory) -> dict[str, Any]:
    """Leave a note for the launchers on the other nodes."""
    factory.runs.gathering.leave(caller.tenant, caller.attempt, body.stage, body.rank, body.text)
    return {}


@router.post("/keys")
@takes(40 * MIB, parts=NODES_PARTS)
def hand_over_keys(body: KeysLeft, caller: Launcher, factory: TheFactory) -> dict[str, Any]:
    """Hand what rank 0 has sealed to every rank."""
    factory.runs.gathering.hand_over(caller.tenant, caller.attempt, run_bodies.sealed_keys(body))
    return {}


@router.post("/fault")
@takes(MIB)
def leave_fault(body: FaultLeft, caller: Launcher, factory: TheFactory) -> dict[str, Any]:
    """Say why the attempt cannot go on at a node; all its launchers are told to stop."""
    fault = Fault(body.rank, str(body.outcome), body.message)
    factory.runs.gathering.fail(caller.tenant, caller.attempt, fault)
    return {}


@router.get("/notes", response_model=StageView)
@long_poll
def notes(
    stage: Stage,
    caller: Launcher,
    factory: TheFactory,
    waiters: TheWaiters,  # noqa: ARG001 - used by `long_poll`
    rank: Rank = 0,
    wait: WaitSeconds = 0,
) -> Watch[StageView]:
    """How far a stage of an attempt on several nodes has come; waits until it is complete."""

    def read() -> StageView:
        found: Gathered = factory.runs.gathering.gathered(caller.tenant, caller.attempt, stage, rank)
        return StageView(here=found.here, complete=found.complete, notes=dict(found.notes), over=found.over)

    topic = stage_topic(caller.tenant, caller.attempt, stage)
    return Watch(topic, read, lambda view: view.complete or view.over, wait)


@router.get("/log", response_model=StreamView)
@long_poll
def log(
    attempt: Ident,
    caller: Annotated[Principal, allow(*TENANT)],
    factory: TheFactory,
    waiters: TheWaiters,  # noqa: ARG001 - used by `long_poll`
    after: Annotated[int, Query(ge=-1, le=2**53)] = -1,
    rank: Rank = 0,
    wait: WaitSeconds = 0,
) -> Watch[StreamView]:
    """Sealed segments of the log of one of an attempt's nodes with numbers above `after`; waits for one."""

    def read() -> StreamView:
        piece: LogPiece = factory.runs.journals.read(caller.tenant, attempt, after, rank)
        return run_bodies.stream_view(piece)

    def ready(view: StreamView) -> bool:
        return bool(view.segments) or view.ended

    return Watch(attempt_topic(caller.tenant, attempt), read, ready, wait)
