"""What the store keeps about runs and nodes, as frozen values.

Times are RFC 3339 text as `kifabrik.values.format_time` writes it; an empty text means not yet. Money is
in micro-euro.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from kifabrik.factory.capacity import Demand, Gpu, Node, Placement
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
class Admitted:
    """An order that was admitted; its runs are entered with it.

    Args:
        tenant: Tenant id.
        order: Digest of the order statement.
        run: The order's run id: that of its one run, or of its sweep.
        nonce: Of the order; unique within the tenant.
        tasks: Number of runs that were entered for a sweep; 0 for one run.
        max_parallel: Most of them at once; 0 for no limit.
        budget_micro_eur: Most they may cost together; 0 for no limit of their own.
        created: By the factory's clock.
        position: Of its first run; the store sets it.
        stopped: When somebody stopped the sweep as a whole.
        alarmed: When its deadline passed before all its runs had ended.
    """

    tenant: str
    order: str
    run: str
    nonce: str
    tasks: int
    max_parallel: int
    budget_micro_eur: int
    created: str
    position: int = 0
    stopped: str = ""
    alarmed: str = ""


@dataclass(frozen=True)
class TaskCount:
    """Tasks of a sweep that are in one state.

    Args:
        sweep: Its run id.
        state: Their state.
        tasks: How many.
        cost_micro_eur: What they have cost, those that have ended.
        revisions: Sum of their revisions.
        finished: When the last of them ended; empty if none has.
    """

    sweep: str
    state: RunState
    tasks: int
    cost_micro_eur: int
    revisions: int
    finished: str


@dataclass(frozen=True)
class TaskReason:
    """Tasks of a sweep that are in one state for one reason; `run` is one of them, `at` when the last got there."""

    state: RunState
    reason: str
    tasks: int
    run: str
    at: str


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
class RankLog:
    """The log of one node of an attempt, as far as it has come.

    Args:
        tenant: Tenant id.
        attempt: Attempt id.
        rank: Number of the node in the attempt, from 0.
        stream: Digest of the log stream statement; empty before it is open.
        segments: Number of segments.
        tail: Digest of the last segment statement.
        log_bytes: Size of all sealed segments.
        header: The age header all segments share; empty where only the others are asked for.
    """

    tenant: str
    attempt: str
    rank: int
    stream: str = ""
    segments: int = 0
    tail: str = ""
    log_bytes: int = 0
    header: bytes = b""


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


@dataclass(frozen=True)
class Segment:
    """One log segment; `body` is None where it is kept as an object of digest `sha256`."""

    tenant: str
    attempt: str
    rank: int
    number: int
    statement: str
    sha256: str
    size: int
    body: bytes | None


@dataclass(frozen=True)
class NodeRecord:
    """A node the operator has enrolled; `key` is its Ed25519 key in hex, `streams` whether it has FUSE."""

    node: str
    name: str
    key: str
    place: Place
    cpus: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    pythons: tuple[str, ...]
    created: str
    enabled: bool = True
    streams: bool = False

    @cached_property
    def capacity(self) -> Node:
        """What it offers."""
        return Node(
            self.node,
            self.name,
            self.place,
            self.cpus,
            self.memory_bytes,
            self.gpus,
            self.pythons,
            self.streams,
        )


@dataclass(frozen=True)
class Leader:
    """The service that drives, and the number its doings are fenced by."""

    holder: str
    token: int


@dataclass(frozen=True)
class Limits:
    """What the operator allows a tenant; 0 means no limit.

    Args:
        most_runs: Runs that have not ended.
        most_cpus: Cores held at once.
        most_gpus: GPUs held at once.
        month_micro_eur: Cost of a calendar month (UTC).
        weight: Its share beside other tenants where both wait.
    """

    most_runs: int = 10_000
    most_cpus: int = 0
    most_gpus: int = 0
    month_micro_eur: int = 0
    weight: float = 1.0


@dataclass(frozen=True)
class Usage:
    """What a tenant used: decayed for fairness as of `at`, and summed for the month `month` (`2026-11`)."""

    tenant: str
    recent_micro_eur: float = 0.0
    at: str = ""
    month: str = ""
    month_micro_eur: int = 0
