"""What the runs' use cases need from the store.

Invariants the implementations keep:
- capacity is taken by one conditional update, so no two services give the same share away;
- an attempt's shares are given back once: whoever ends an attempt first does it;
- what belongs to a tenant is looked up under its id; only what drives all runs looks across tenants.
"""

# ruff: noqa: D102 - a name and its types say it, where there is no docstring

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from kifabrik.factory.allowances import Limits, Usage
from kifabrik.factory.capacity import Placement, Share
from kifabrik.factory.log_records import RankLog, Segment
from kifabrik.factory.node_records import Leader, NodeRecord
from kifabrik.factory.run_records import Attempt, Event, Hold, Run, StopCause, Watched
from kifabrik.factory.schedule import Promise
from kifabrik.factory.sweep_records import Admitted, TaskCount, TaskReason
from kifabrik.runs.gathering import Stage
from kifabrik.runs.states import RunState


class RunTable(Protocol):
    """Runs, their history and their locks."""

    def add_runs(self, tenant: str, many: Iterable[Run]) -> int:
        """Add runs of a tenant behind its others, in this order; return the position of the first.

        Raises:
            ConflictError: An id has been used.
        """
        ...

    def run(self, tenant: str, run: str) -> Run | None: ...
    def save_run(self, run: Run) -> None: ...
    def save_runs(self, many: Iterable[Run]) -> None: ...
    def that_still_wait(self, many: Collection[Run]) -> list[Run]:
        """Those of these runs that wait and are as they were when they were read."""
        ...

    def page(self, tenant: str, before: str, limit: int) -> list[Run]:
        """A tenant's runs, newest first, from the one after the run `before` on."""
        ...

    def ended_in(self, tenant: str, month: str, most: int) -> list[Run]:
        """A tenant's runs that ended in a calendar month (UTC) such as `2026-11`, the last first."""
        ...

    def count_ended_in(self, tenant: str, month: str, most: int) -> int:
        """How many runs ended in a calendar month; no more than `most` are counted."""
        ...

    def queued_runs(self, most: int, tenants: Collection[str] = ()) -> list[Run]:
        """Runs that wait and are not held back, at most so many of each tenant, or of these: its next ones.

        As many again of those that may wait for a better hour.
        """
        ...

    def queued_tasks(self, tenant: str, sweep: str, most: int) -> list[Run]:
        """The next tasks of a sweep that wait and are not held back."""
        ...

    def queued_alike(self, run: Run, most: int) -> list[Run]:
        """The next runs of its tenant that wait and ask exactly the same of the cluster, itself among them."""
        ...

    def queued_tenants(self) -> list[str]:
        """Tenants that have runs waiting."""
        ...

    def active_runs(self) -> list[Run]:
        """Runs of all tenants that have started and not ended."""
        ...

    def overdue_runs(self, now: str, most: int) -> list[Run]:
        """Runs of all tenants past their deadline that have not ended and raised no alarm, some of them."""
        ...

    def set_waiting(self, run: Run | Watched, reason: str, promise: Promise | None) -> bool:
        """Say what a run waits for if it still waits at the revision of `run`; whether it did."""
        ...

    def set_all_waiting(self, many: Iterable[tuple[Run | Watched, str]]) -> None:
        """The same for many that have no promise, whether they did or not."""
        ...

    def count_unfinished(self, tenant: str) -> int:
        """Number of runs that have not ended."""
        ...

    def set_aside_of(self, tenant: str) -> int:
        """What is set aside for a tenant's runs that have not ended, in micro-euro."""
        ...

    def count_queued(self) -> int:
        """Runs of all tenants that wait."""
        ...

    def add_event(self, event: Event) -> None: ...
    def add_events(self, many: Iterable[Event]) -> None: ...
    def events(self, tenant: str, run: str) -> list[Event]: ...
    def add_lock(self, tenant: str, digest: str, text: str) -> None: ...
    def lock(self, tenant: str, digest: str) -> str | None: ...


class OrderTable(Protocol):
    """Orders, what they need, and all runs of one order together."""

    def add_order(self, order: Admitted, needed: Collection[str]) -> None:
        """Add an order and the run ids of the orders it needs.

        Raises:
            ConflictError: Its digest, run id or nonce has been used.
        """
        ...

    def order(self, tenant: str, digest: str) -> Admitted | None: ...
    def order_of(self, tenant: str, run: str) -> Admitted | None:
        """Find an order by its run id."""
        ...

    def save_order(self, order: Admitted) -> None: ...
    def orders_page(
        self, tenant: str, before: str, limit: int, states: Collection[RunState] = ()
    ) -> list[Admitted]:
        """A tenant's orders, newest first, from the one after the order of run id `before` on.

        If any states are given, only those that have a run in one of them.
        """
        ...

    def tasks(self, tenant: str, sweep: str, after: int, limit: int) -> list[Run]:
        """Tasks of a sweep in their order, from the one after position `after` on."""
        ...

    def runs_of_order(self, tenant: str, digest: str, limit: int) -> list[Run]:
        """The first runs of an order, by the digest of its statement."""
        ...

    def runs_named(self, tenant: str, names: Collection[str]) -> list[Run]: ...
    def runs_at(self, tenant: str, positions: Collection[int]) -> dict[int, Run]:
        """Runs of a tenant by their positions, such as the first ones of orders."""
        ...

    def count_tasks(self, tenant: str, sweeps: Sequence[str]) -> list[TaskCount]:
        """How many tasks of these sweeps are in which state."""
        ...

    def task_reasons(self, tenant: str, sweep: str) -> list[TaskReason]:
        """Why the tasks of a sweep are where they are, the commonest reasons first."""
        ...

    def set_aside(self, tenant: str, sweep: str) -> int:
        """What the tasks of a sweep have cost and can cost still, together, in micro-euro."""
        ...

    def unfinished_of(self, tenant: str, order_run: str) -> tuple[int, int]:
        """How many runs of an order have not ended, and how many have ended otherwise than well."""
        ...

    def needed_by(self, tenant: str, order_run: str) -> list[str]:
        """Run ids of the orders that need this one."""
        ...

    def needs_of(self, tenant: str, order_run: str) -> list[str]:
        """Run ids of the orders that this one needs."""
        ...

    def let_go(self, tenant: str, order_run: str, hold: Hold, most: int, reason: str, **sizes: int) -> int:
        """Let the next runs of an order go on that wait held back by `hold`; return how many did."""
        ...

    def hold_again(self, tenant: str, order_run: str, reason: str, **sizes: int) -> None:
        """Let the runs of an order that waited for its needs wait for their turn in the sweep instead."""
        ...

    def end_untouched(
        self,
        tenant: str,
        order_run: str,
        state: RunState,
        reason: str,
        now: str,
        stop: StopCause | None,
        alarmed: str,
    ) -> int:
        """End the runs of an order that wait and have used nothing yet; return how many there were."""
        ...

    def going_on(self, tenant: str, order_run: str) -> list[Run]:
        """Runs of an order that have not ended."""
        ...


class AttemptTable(Protocol):
    """Attempts and their logs."""

    def add_attempt(self, attempt: Attempt) -> None: ...
    def add_attempts(self, many: Iterable[Attempt]) -> None: ...
    def count_attempts(self, runs: Collection[Run]) -> dict[tuple[str, str], int]:
        """How many attempts were made at each of these runs, by tenant and run; none are left out."""
        ...

    def attempt(self, tenant: str, attempt: str) -> Attempt | None: ...
    def save_attempt(self, attempt: Attempt) -> None: ...
    def attempts_of(self, tenant: str, runs: Sequence[str]) -> list[Attempt]:
        """All attempts at these runs, by run and number."""
        ...

    def attempts_named(self, names: Iterable[str]) -> list[Attempt]:
        """Attempts of any tenant by their ids."""
        ...

    def unfinished_attempts(self) -> list[Attempt]:
        """Attempts of all tenants that have not ended."""
        ...

    def watched(self, before: Mapping[str, Watched] = ...) -> dict[str, Watched]:
        """The same with their runs, but of both only what every pass looks at.

        Args:
            before: What an earlier call returned; only what has changed since then is read.

        Returns:
            Each under a text that is another one once anything of it has changed.
        """
        ...

    def set_stream_header(self, tenant: str, attempt: str, header: bytes) -> None: ...
    def stream_header(self, tenant: str, attempt: str) -> bytes: ...
    def add_segment(self, segment: Segment) -> None: ...
    def count_segments(self, tenant: str, attempts: Iterable[str]) -> dict[tuple[str, int], tuple[int, int]]:
        """How many segments each log of these attempts has, and their size, by attempt and rank."""
        ...

    def segments(self, tenant: str, attempt: str, rank: int, after: int, most: int) -> list[Segment]: ...
    def rank_log(self, tenant: str, attempt: str, rank: int) -> RankLog | None: ...
    def rank_logs(self, tenant: str, attempts: Iterable[str]) -> list[RankLog]:
        """The logs of all nodes of these attempts but the first of each, by rank, without their headers."""
        ...

    def save_rank_log(self, log: RankLog) -> None: ...


class NoteTable(Protocol):
    """What the launchers of one attempt leave for each other, by stage and rank."""

    def put_note(self, tenant: str, attempt: str, stage: Stage, rank: int, text: str) -> bool:
        """Leave a note unless there is one of this stage and rank; whether there was none."""
        ...

    def note(self, tenant: str, attempt: str, stage: Stage, rank: int) -> str | None: ...
    def notes(self, tenant: str, attempt: str, stage: Stage) -> dict[int, str]: ...
    def count_notes(self, tenant: str, attempt: str, stage: Stage) -> int: ...
    def drop_notes(self, tenant: str, attempt: str) -> None: ...


class FleetTable(Protocol):
    """Nodes, what is free on them, and who leads."""

    def put_node(self, node: NodeRecord) -> None:
        """Add a node or change it; what runs hold of it stays held."""
        ...

    def nodes(self) -> list[NodeRecord]: ...
    def node_keys(self, nodes: Iterable[str]) -> dict[str, str]:
        """Keys of these nodes in hex, by id."""
        ...

    def node_by_key(self, key: str) -> NodeRecord | None: ...
    def take(self, placement: Placement) -> bool:
        """Take all shares of a placement; whether all were free. Roll back where not."""
        ...

    def give_back(self, placement: Placement) -> None: ...
    def free(self) -> dict[str, Share]:
        """What is free on each node, by its id."""
        ...

    def lead(self, name: str, holder: str, now: str, until: str) -> int | None:
        """Lead until `until` if nobody else does at `now`; the fencing token, or None.

        The token grows whenever the leader changes.
        """
        ...

    def leader(self, name: str) -> Leader | None:
        """Who led last, whether its time has run out or not."""
        ...

    def led_until(self, name: str) -> str:
        """When the time of who led last runs out or has run out; empty where nobody leads."""
        ...

    def leads(self, name: str, token: int) -> bool:
        """Whether this token is still the leader's; call it inside the transaction that relies on it.

        If so, nobody else leads before that transaction has ended.
        """
        ...

    def absent(self, holder: str) -> bool | None:
        """Whether the process of this name is connected to the database no more; None where nothing is known."""
        ...

    def resign(self, name: str, token: int) -> None: ...


class MoneyTable(Protocol):
    """What tenants may use and have used."""

    def limits(self, tenant: str) -> Limits: ...
    def set_limits(self, tenant: str, limits: Limits) -> None: ...
    def usage(self, tenants: Iterable[str]) -> list[Usage]: ...
    def save_usage(self, usage: Usage) -> None: ...


class RunRows(RunTable, OrderTable, AttemptTable, NoteTable, FleetTable, MoneyTable, Protocol):
    """Everything about runs."""
