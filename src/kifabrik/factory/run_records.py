"""What the store keeps about runs and their attempts, as frozen values.

Times are RFC 3339 text as `kifabrik.values.format_time` writes it; an empty text means not yet. Money is
in micro-euro.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kifabrik.factory.capacity import Demand, Placement
from kifabrik.factory.schedule import Promise
from kifabrik.meters.footprint import Footprint, footprint
from kifabrik.meters.reading import Reading
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import Money, Place, Resources

NOTHING_USED: Final = footprint((), Money())
"""The footprint of a run before its first attempt has ended."""


class StopCause(StrEnum):
    """Why a launcher is asked to stop; the values are those of `wire.attempts.Control`."""

    STOP = "stop"
    """A person asked for it."""
    CAP = "cap"
    PREEMPTION = "preemption"


class Hold(StrEnum):
    """What a run that waits is held back by, whatever is free."""

    NOTHING = ""
    NEEDS = "needs"
    """Runs its order needs have not all succeeded."""
    TURN = "turn"
    """As many tasks of its sweep as may run at once are on their way."""


@dataclass(frozen=True)
class Run:
    """A run.

    Args:
        tenant: Tenant id.
        run: Run id.
        member: Who ordered it.
        purpose: Purpose id.
        order: Digest of the order statement.
        code: Digest of the code bundle's manifest statement.
        lock: Digest of the environment's lock.
        resources: On each node.
        place: Where it may run.
        python: Python version of its environment.
        staged_bytes: Sealed size of what is opened into memory, about what it takes there: its code, and its
            inputs unless they are streamed.
        streamed_bytes: Sealed size of its inputs if they are streamed, else 0.
        priority: Among the tenant's own runs.
        outputs: Number of declared outputs.
        attempts: Most attempts.
        retry_on: Causes another attempt may follow.
        max_duration_s: Longest time of one attempt.
        cap_s: Time after which the next attempt is stopped: duration or budget, whichever is less.
        rate_micro_eur: Price of an hour.
        budget_micro_eur: Most it may cost; 0 for no limit of its own. Of a sweep's budget, this task's part.
        most_micro_eur: Most it can cost still and has cost: what is set aside of the tenant's budget.
        created: By the factory's clock.
        deadline: Of the order.
        position: Counts the tenant's runs in the order they came; the store sets it.
        state: Where it stands.
        reason: Why, as a sentence.
        revision: Grows with every change.
        finished: When it ended.
        stop: Why it is to be stopped, if it is.
        alarmed: When its deadline passed before it had ended.
        promise: What the scheduler promised it.
        published: Metrics the order allows the factory to see.
        footprint: Over all attempts.
        slurm: What its order asks of a Slurm cluster.
        sweep: Run id of the sweep it is a task of; empty if it is none.
        hold: What it is held back by while it waits.
        flexible_until: Until when it may wait for a better hour of the plant; empty if it may not.
    """

    tenant: str
    run: str
    member: str
    purpose: str
    order: str
    code: str
    lock: str
    resources: Resources
    place: Place
    python: str
    staged_bytes: int
    streamed_bytes: int
    priority: int
    outputs: int
    attempts: int
    retry_on: tuple[str, ...]
    max_duration_s: int
    cap_s: int
    rate_micro_eur: int
    budget_micro_eur: int
    most_micro_eur: int
    created: str
    deadline: str
    position: int = 0
    state: RunState = RunState.QUEUED
    reason: str = ""
    revision: int = 1
    finished: str = ""
    stop: StopCause | None = None
    alarmed: str = ""
    promise: Promise | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    footprint: Footprint = NOTHING_USED
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    sweep: str = ""
    hold: Hold = Hold.NOTHING
    flexible_until: str = ""

    @property
    def demand(self) -> Demand:
        """What it needs of nodes."""
        return Demand(self.resources, self.place, self.python, self.staged_bytes, self.streamed_bytes)


@dataclass(frozen=True)
class Attempt:
    """One attempt at a run.

    Args:
        tenant: Tenant id.
        run: Run id.
        attempt: Attempt id.
        number: From 1.
        placement: What it may use.
        place: Where its nodes are.
        cap_s: Longest time its job may run.
        created: When it was started by the scheduler.
        state: Where it stands.
        submits: How often a launcher was started for it.
        taken: When its launcher first asked for its work.
        running: When its job started.
        outcome: How it ended.
        exit_status: Of the customer's program.
        finished: When it ended.
        run_key: Ed25519 key in hex of the launcher that asked for keys first.
        lease: Digest of the lease statement.
        stream: Digest of the log stream statement.
        segments: Number of log segments.
        tail: Digest of the last segment statement.
        log_bytes: Size of all sealed segments.
        checkpoint: Digest of the last checkpoint's manifest statement made by it.
        outputs: Digests of the outputs' manifest statements.
        finish: Digest of the run-finished statement.
        provenance: Digest of the provenance statement.
        reading: What its launcher signed that it used; of several nodes, on the first.
        other_readings: What the launchers of the other nodes signed, as far as they could.
    """

    tenant: str
    run: str
    attempt: str
    number: int
    placement: Placement
    place: Place
    cap_s: int
    created: str
    state: RunState = RunState.STARTING
    submits: int = 0
    taken: str = ""
    running: str = ""
    outcome: Outcome | None = None
    exit_status: int | None = None
    finished: str = ""
    run_key: str = ""
    lease: str = ""
    stream: str = ""
    segments: int = 0
    tail: str = ""
    log_bytes: int = 0
    checkpoint: str = ""
    outputs: tuple[str, ...] = ()
    finish: str = ""
    provenance: str = ""
    reading: Reading | None = None
    other_readings: tuple[Reading, ...] = ()

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Of all nodes that signed one."""
        return (*((self.reading,) if self.reading else ()), *self.other_readings)


@dataclass(frozen=True)
class Watched:
    """An attempt that goes on, and of its run what is looked at in every pass: no more, as there may be thousands.

    Args:
        tenant: Tenant id.
        run: Run id.
        attempt: Attempt id.
        cap_s: Longest time its job may run.
        created: When it was started by the scheduler, or handed to a cluster's.
        submits: How often a launcher was started for it.
        taken: When its launcher first asked for its work.
        running: When its job started.
        revision: Of its run.
        reason: Of its run.
        deadline: Of its run's order.
        state: Where it stands.
        placed: Whether it holds a share of a node.
        stop: Why its run is to be stopped, if it is.
    """

    tenant: str
    run: str
    attempt: str
    cap_s: int
    created: str
    submits: int
    taken: str
    running: str
    revision: int
    reason: str
    deadline: str
    state: RunState
    placed: bool
    stop: StopCause | None


@dataclass(frozen=True)
class Event:
    """One step of a run's history; `number` counts from 1."""

    tenant: str
    run: str
    number: int
    at: str
    state: RunState
    reason: str
