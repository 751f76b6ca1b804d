"""Between the bodies of plans, runs and attempts and what the use cases take and return."""

import base64

from kifabrik.factory.attempts import Asked, WorkView
from kifabrik.factory.finish import Closing
from kifabrik.factory.journals import LogPiece
from kifabrik.factory.plan import PlanView
from kifabrik.factory.run_records import Attempt, Event
from kifabrik.factory.show import EvidenceView, RunPicture, SweepPicture
from kifabrik.meters.footprint import Footprint, Surroundings
from kifabrik.runs.states import Outcome, is_end
from kifabrik.runs.sweeps import sentence_of, state_of
from kifabrik.service.bodies import version_view
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.attempts import Control, Finished, KeysLeft, Work
from kifabrik.wire.runs import (
    AttemptView,
    EnergyView,
    Evidence,
    FootprintView,
    Plan,
    RunEvent,
    RunView,
    SegmentView,
    StreamView,
    SurroundingsView,
)

_MILLI = 1000


def plan(found: PlanView) -> Plan:
    """A plan as a body."""
    return Plan(
        feasible=found.feasible,
        reason=found.reason,
        rate_micro_eur_per_hour=found.quote.rate.micro_eur,
        cap_s=found.quote.cap_s,
        most_micro_eur=found.quote.most.micro_eur,
        place=found.place,
        nodes=found.nodes,
        queued_before=found.queued_before,
        price_list=found.price_list,
        data_bytes=found.data_bytes,
        streamed=found.streamed,
    )


def _sweep_view(picture: SweepPicture) -> RunView:
    """A sweep as a body: what its tasks have in common, and how they stand."""
    order, run, tasks = picture.order, picture.one, picture.tasks
    state = state_of(tasks)
    return RunView(
        run=order.run,
        member=run.member,
        purpose=run.purpose,
        state=state,
        revision=sum(count.revisions for count in picture.counts),
        reason=sentence_of(tasks),
        order=order.order,
        resources=run.resources,
        place=run.place,
        attempts=[],
        outputs=[],
        published={},
        footprint=FootprintView(cost_micro_eur=sum(count.cost_micro_eur for count in picture.counts)),
        cap_s=run.cap_s,
        created=order.created,
        finished=max(count.finished for count in picture.counts) if is_end(state) else "",
        tasks=tasks,
    )


def run_view(picture: RunPicture | SweepPicture) -> RunView:
    """A run or a sweep as a body."""
    if isinstance(picture, SweepPicture):
        return _sweep_view(picture)
    run = picture.run
    return RunView(
        run=run.run,
        member=run.member,
        purpose=run.purpose,
        state=run.state,
        revision=run.revision,
        reason=run.reason,
        order=run.order,
        resources=run.resources,
        place=picture.place,
        attempts=[_attempt(one, picture) for one in picture.attempts],
        outputs=[version_view(one) for one in picture.outputs],
        published=dict(run.published),
        footprint=_footprint(run.footprint),
        cap_s=run.cap_s,
        created=run.created,
        finished=run.finished,
    )


def run_event(event: Event) -> RunEvent:
    """A step of a run's history as a body."""
    return RunEvent(at=event.at, state=event.state, reason=event.reason)


def evidence(found: EvidenceView) -> Evidence:
    """A run's statements as a body."""
    return Evidence(
        run=found.run,
        order=found.order,
        code=found.code,
        requests=list(found.requests),
        decisions=list(found.decisions),
        streams=list(found.streams),
        manifests=list(found.manifests),
        finishes=list(found.finishes),
        provenance=list(found.provenance),
    )


def stream_view(piece: LogPiece) -> StreamView:
    """A piece of a log as a body."""
    return StreamView(
        stream=piece.stream,
        header=piece.header,
        segments=[SegmentView(statement=statement, body=body) for statement, body in piece.segments],
        ended=piece.ended,
    )


def work(found: WorkView) -> Work:
    """What a launcher needs to begin, as a body."""
    return Work(
        tenant_key=found.tenant_key,
        keyholder=found.keyholder.to_json(),
        membership=found.membership.to_json(),
        device=found.device.to_json(),
        order=found.order.to_json(),
        code=found.code.to_json(),
        inputs=[one.to_json() for one in found.inputs],
        checkpoint=found.checkpoint.to_json() if found.checkpoint else "",
        lock=found.lock,
        run=found.run,
        number=found.number,
        cap_s=found.cap_s,
        place=found.place,
        streamed=found.streamed,
        attested=found.attested,
    )


def control(asked: Asked) -> Control:
    """What is asked of an attempt's launchers, as a body."""
    if asked.stop is not None:
        return Control(stop=True, cause=str(asked.stop))
    if asked.fault is None:
        return Control(stop=False)
    message = f"Node {asked.fault.rank}: {asked.fault.message}" if asked.fault.message else ""
    return Control(stop=True, cause="node", outcome=Outcome(asked.fault.outcome), message=message)


def sealed_keys(body: KeysLeft) -> dict[int, str]:
    """What rank 0 has sealed for every rank, as notes: the body for itself, the headers for the others."""
    return {
        rank: base64.b64encode(body.body if rank == 0 else header).decode()
        for rank, header in enumerate(body.headers)
    }


def closing(body: Finished) -> Closing:
    """What a launcher hands in at the end.

    Raises:
        IntegrityError: Something in it is not a DSSE envelope.
    """
    return Closing(
        finish=Envelope.from_json(body.finish),
        outputs=tuple(Envelope.from_json(one) for one in body.outputs),
        provenance=Envelope.from_json(body.provenance) if body.provenance else None,
        message=body.message,
    )


def _attempt(attempt: Attempt, picture: RunPicture) -> AttemptView:
    return AttemptView(
        attempt=attempt.attempt,
        number=attempt.number,
        state=attempt.state,
        outcome=attempt.outcome,
        node=picture.nodes[attempt.attempt],
        exit_status=attempt.exit_status,
        started=attempt.created,
        finished=attempt.finished,
        stream=attempt.stream,
        other_streams=picture.streams[attempt.attempt],
    )


def _footprint(used: Footprint) -> FootprintView:
    return FootprintView(
        wall_s=used.wall_ms / _MILLI,
        cpu_s=used.cpu_ms / _MILLI,
        gpu_s=used.gpu_ms / _MILLI,
        memory_peak_bytes=used.memory_peak_bytes,
        energy=[
            EnergyView(source=str(part.source), device="", joules=part.millijoules / _MILLI) for part in used.energy
        ],
        energy_measured=bool(used.energy) and used.measured,
        carbon_g=None if used.carbon_mg is None else used.carbon_mg / _MILLI,
        cost_micro_eur=used.cost_micro_eur,
        surroundings=_surroundings(used.surroundings) if used.surroundings else None,
    )


def _surroundings(found: Surroundings) -> SurroundingsView:
    return SurroundingsView(
        drawn_j=found.drawn_mj / _MILLI,
        heat_j=found.heat_mj / _MILLI,
        water_withdrawn_l=found.withdrawn_ml / _MILLI,
        water_consumed_l=found.consumed_ml / _MILLI,
        carbon_market_g=None if found.market_mg is None else found.market_mg / _MILLI,
        uncertain_percent=found.uncertain_percent,
    )
