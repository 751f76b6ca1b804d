"""Runs: ordered, listed, shown, stopped."""

from typing import Annotated

from fastapi import APIRouter, Query

from kifabrik.factory.hints import run_topic
from kifabrik.factory.records import Principal
from kifabrik.runs.states import RunState, is_end
from kifabrik.service import run_bodies
from kifabrik.service.auth import TENANT, WRITERS, TheFactory, allow
from kifabrik.service.bodies import Ident, RunIdent, detail
from kifabrik.service.doors import Door, takes
from kifabrik.service.limits import MIB
from kifabrik.service.streams import TheWaiters, WaitSeconds, Watch, long_poll
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.runs import Evidence, RunEvent, RunOrder, RunView

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=Door)
Reader = Annotated[Principal, allow(*TENANT)]
Writer = Annotated[Principal, allow(*WRITERS)]


@router.post("")
@takes(8 * MIB)
def order(body: RunOrder, caller: Writer, factory: TheFactory) -> RunView:
    """Hand in a signed order; its code bundle's objects are uploaded before."""
    admitted = factory.runs.admission.admit(
        caller.tenant,
        caller.member,
        Envelope.from_json(body.order),
        Envelope.from_json(body.code),
        body.lock,
        detail(body.detail),
    )
    return run_bodies.run_view(factory.runs.shows.one(caller.tenant, admitted.run))


@router.get("")
def page(
    caller: Reader,
    factory: TheFactory,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[str, Query(max_length=64, description="The run to go on after.")] = "",
    state: Annotated[tuple[RunState, ...], Query(max_length=len(RunState), description="Only these states.")] = (),
) -> list[RunView]:
    """Runs, newest first; a sweep is one, and counts as being in the states of its tasks."""
    return [run_bodies.run_view(one) for one in factory.runs.shows.page(caller.tenant, before, limit, state)]


@router.get("/{run}", response_model=RunView)
@long_poll
def show(
    run: RunIdent,
    caller: Reader,
    factory: TheFactory,
    waiters: TheWaiters,  # noqa: ARG001 - used by `long_poll`
    revision: Annotated[int, Query(ge=0, le=2**53)] = 0,
    wait: WaitSeconds = 0,
) -> Watch[RunView]:
    """One run; waits until its revision is higher than the one given, or it has ended."""

    def ready(view: RunView) -> bool:
        return view.revision > revision or is_end(view.state)

    def read() -> RunView:
        return run_bodies.run_view(factory.runs.shows.one(caller.tenant, run))

    return Watch(run_topic(caller.tenant, run), read, ready, wait)


@router.get("/{run}/tasks")
def tasks(
    run: Ident,
    caller: Reader,
    factory: TheFactory,
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
    after: Annotated[str, Query(max_length=64, description="The task to go on after.")] = "",
) -> list[RunView]:
    """Tasks of a sweep, in their order."""
    return [run_bodies.run_view(one) for one in factory.runs.shows.tasks(caller.tenant, run, after, limit)]


@router.get("/{run}/events")
def history(run: RunIdent, caller: Reader, factory: TheFactory) -> list[RunEvent]:
    """What happened to a run, and why; of a sweep, how its tasks stand."""
    return [run_bodies.run_event(event) for event in factory.runs.shows.history(caller.tenant, run)]


@router.get("/{run}/evidence")
def evidence(run: RunIdent, caller: Reader, factory: TheFactory) -> Evidence:
    """Digests of every statement about a run; fetch them by digest and verify them."""
    return run_bodies.evidence(factory.runs.shows.evidence(caller.tenant, run))


@router.post("/{run}/stop")
def stop(run: RunIdent, caller: Writer, factory: TheFactory) -> RunView:
    """Stop a run or all tasks of a sweep, with a checkpoint if its job keeps them."""
    factory.runs.stopping.stop(caller.tenant, caller.member, run)
    return run_bodies.run_view(factory.runs.shows.one(caller.tenant, run))
