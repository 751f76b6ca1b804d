"""What a list says of a run or a sweep."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kifabrik.factory.run_records import Attempt, Run
from kifabrik.factory.show import RunPicture, SweepPicture
from kifabrik.portal.states import LOOKS
from kifabrik.prices.pricelist import cost
from kifabrik.runs.states import RunState, is_end
from kifabrik.runs.sweeps import sentence_of, state_of
from kifabrik.values import Money, parse_time

_WAIT: Final = frozenset({RunState.QUEUED, RunState.PENDING, RunState.WAITING_FOR_KEY})


@dataclass(frozen=True)
class Row:
    """A run or a sweep in a list.

    Args:
        run: Its id.
        purpose: Purpose id.
        state: Where it stands.
        reason: Why.
        since_s: For how long.
        created: When it was ordered.
        wall_ms: Time of all its attempts that have ended.
        energy_mj: Energy of these.
        cost: In micro-euro.
        estimate: Whether that counts an attempt that goes on, by the clock.
        tasks: Number of runs of a sweep; 0 for one run.
    """

    run: str
    purpose: str
    state: RunState
    reason: str
    since_s: float
    created: str
    wall_ms: int
    energy_mj: int
    cost: int
    estimate: bool
    tasks: int = 0

    @property
    def look(self) -> str:
        """Its state's kind."""
        return LOOKS[self.state]

    @property
    def waits(self) -> bool:
        """Whether it waits rather than goes."""
        return self.state in _WAIT

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return is_end(self.state)


def rows(pictures: Iterable[RunPicture | SweepPicture], now: datetime) -> list[Row]:
    """Say what a list says of these."""
    return [_of_sweep(one, now) if isinstance(one, SweepPicture) else _of_run(one, now) for one in pictures]


def cost_so_far(picture: RunPicture, now: datetime) -> tuple[int, bool]:
    """What a run has cost, in micro-euro, and whether an attempt that goes on is counted in it, by the clock."""
    run, settled = picture.run, picture.run.footprint.cost_micro_eur
    last = picture.attempts[-1] if picture.attempts else None
    if last is None or last.finished or not last.running or is_end(run.state):
        return settled, False
    seconds = min(max((now - parse_time(last.running)).total_seconds(), 0.0), last.cap_s)
    return settled + cost(Money(run.rate_micro_eur), seconds).micro_eur, True


def _of_run(picture: RunPicture, now: datetime) -> Row:
    run = picture.run
    amount, estimate = cost_so_far(picture, now)
    return Row(
        run=run.run,
        purpose=run.purpose,
        state=run.state,
        reason=run.reason,
        since_s=(now - parse_time(_since(picture))).total_seconds(),
        created=run.created,
        wall_ms=run.footprint.wall_ms,
        energy_mj=run.footprint.energy_mj,
        cost=amount,
        estimate=estimate,
    )


def _of_sweep(picture: SweepPicture, now: datetime) -> Row:
    state = state_of(picture.tasks)
    return Row(
        run=picture.order.run,
        purpose=picture.one.purpose,
        state=state,
        reason=sentence_of(picture.tasks),
        since_s=(now - parse_time(picture.order.created)).total_seconds(),
        created=picture.order.created,
        wall_ms=0,
        energy_mj=0,
        cost=sum(count.cost_micro_eur for count in picture.counts),
        estimate=not is_end(state),
        tasks=sum(picture.tasks.values()),
    )


def _since(picture: RunPicture) -> str:
    """When it came to be as it is, as far as its attempts tell."""
    run = picture.run
    last = picture.attempts[-1] if picture.attempts else None
    if run.finished:
        return run.finished
    if last is None:
        return run.created
    return _of_attempt(last, run.state)


def _of_attempt(attempt: Attempt, state: RunState) -> str:
    if state is RunState.QUEUED:
        return attempt.finished or attempt.created
    if state in {RunState.RUNNING, RunState.SEALING}:
        return attempt.running or attempt.taken or attempt.created
    return attempt.taken or attempt.created


@dataclass(frozen=True)
class Waiting:
    """A run in the operator's queue: whose, what it asks for, why it waits and for how long."""

    tenant: str
    run: Run
    since_s: float


def queued(runs: Iterable[Run], now: datetime) -> list[Waiting]:
    """Say it of these."""
    return [Waiting(one.tenant, one, (now - parse_time(one.created)).total_seconds()) for one in runs]
