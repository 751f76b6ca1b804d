"""Plans, orders, runs and their logs."""

from typing import Annotated

from pydantic import Field

from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import MOST_TASKS, Place, Resources
from kifabrik.wire.body import Binary, Body, Detail, Sha256, Text
from kifabrik.wire.datasets import VersionView


class PlanRequest(Body):
    """Asks what an order would cost and where it could run."""

    resources: Resources
    place: Place
    max_duration_s: int
    budget_micro_eur: int = 0
    python: str = "3.11"
    inputs: Annotated[list[Sha256], Field(max_length=50)] = Field(default_factory=list)
    """Manifests of its inputs: their size decides how the run gets them."""
    tasks: Annotated[int, Field(ge=0, le=MOST_TASKS)] = 0
    """Tasks of a sweep; 0 for one run."""


class Plan(Body):
    """What would happen.

    `cap_s` is the time after which a run is stopped, the smaller of its longest duration and what
    the budget pays for; `most_micro_eur` is the price of running that long. Of a sweep, the first is of each
    task and begins with an equal part of the budget; the second is of all tasks together. `data_bytes` is the
    sealed size of the inputs, and `streamed` whether they are opened while they are read, for want of memory.
    """

    feasible: bool
    reason: str
    rate_micro_eur_per_hour: int
    cap_s: int
    most_micro_eur: int
    place: Place
    nodes: int
    queued_before: int
    price_list: str
    data_bytes: int = 0
    streamed: bool = False


class RunOrder(Body):
    """An order with what it names."""

    order: Text
    code: Text
    lock: Annotated[str, Field(max_length=5_000_000)]
    detail: Detail | None = None


class EnergyView(Body):
    """Energy from one source."""

    source: str
    device: str
    joules: float


class FootprintView(Body):
    """What a run used, over all its attempts."""

    wall_s: float = 0
    cpu_s: float = 0
    gpu_s: float = 0
    memory_peak_bytes: int = 0
    energy: list[EnergyView] = Field(default_factory=list)
    energy_measured: bool = False
    carbon_g: float | None = None
    cost_micro_eur: int = 0
    surroundings: "SurroundingsView | None" = None


class SurroundingsView(Body):
    """What the energy meant beyond the machines, by factors the operator states.

    `uncertain_percent` is that of the energy itself.
    """

    drawn_j: float
    heat_j: float
    water_withdrawn_l: float
    water_consumed_l: float
    carbon_market_g: float | None = None
    uncertain_percent: int


class AttemptView(Body):
    """One attempt."""

    attempt: str
    number: int
    state: RunState
    outcome: Outcome | None = None
    node: str = ""
    exit_status: int | None = None
    started: str = ""
    finished: str = ""
    stream: str = ""
    """Digest of the log stream statement, once there is one; of several nodes, of the first."""
    other_streams: list[str] = Field(default_factory=list)
    """The same of the other nodes, from rank 1 on."""


class RunView(Body):
    """A run as the factory knows it. `revision` grows with every change: pass it to wait for the next.

    Of a sweep as a whole, state and reason sum up its tasks, and there are no attempts, outputs and metrics.
    """

    run: str
    member: str
    purpose: str
    state: RunState
    revision: int
    reason: str
    order: Sha256
    resources: Resources
    place: Place
    attempts: list[AttemptView]
    outputs: list[VersionView]
    published: dict[str, float]
    footprint: FootprintView
    cap_s: int
    created: str
    finished: str = ""
    tasks: dict[RunState, int] = Field(default_factory=dict)
    """How many tasks of the sweep are in which state; empty for one run."""


class RunEvent(Body):
    """One step of a run's history, as a sentence."""

    at: str
    state: RunState
    reason: str


class Evidence(Body):
    """Digests of every statement about a run, in the order they were made; fetch them by digest."""

    run: str
    order: Sha256
    code: Sha256
    requests: list[Sha256]
    decisions: list[Sha256]
    streams: list[Sha256]
    manifests: list[Sha256]
    finishes: list[Sha256]
    provenance: list[Sha256]


class SegmentView(Body):
    """A signed log segment and its sealed body."""

    statement: Text
    body: Binary


class StreamView(Body):
    """A piece of an attempt's log."""

    stream: str
    header: Binary
    segments: list[SegmentView]
    ended: bool
