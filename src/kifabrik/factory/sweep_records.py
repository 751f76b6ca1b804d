"""What the store keeps about admitted orders and the sweeps among them, as frozen values."""

from dataclasses import dataclass

from kifabrik.runs.states import RunState


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
