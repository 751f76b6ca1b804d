"""What the runs' use cases need from the store.

Invariants the implementations keep:
- capacity is taken by one conditional update, so no two services give the same share away;
- an attempt's shares are given back once: whoever ends an attempt first does it;
- what belongs to a tenant is looked up under its id; only what drives all runs looks across tenants.
"""

# ruff: noqa: D102 - a name and its types say it, where there is no docstring

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from kifabrik.factory.capacity import Placement, Share
from kifabrik.factory.run_records import Attempt, Event, Leader, Limits, NodeRecord, Run, Segment, Usage
from kifabrik.factory.schedule import Promise
from kifabrik.runs.states import RunState


class RunTable(Protocol):
    """Runs, their history and their locks."""

    def add_run(self, run: Run) -> None:
        """Add a run.

        Raises:
            ConflictError: Its id, order or nonce has been used.
        """
        ...

    def run(self, tenant: str, run: str) -> Run | None: ...
    def run_by_order(self, tenant: str, order: str) -> Run | None: ...
    def save_run(self, run: Run) -> None: ...
    def page(self, tenant: str, before: str, limit: int, states: Collection[RunState] = ()) -> list[Run]:
        """A tenant's runs, newest first, from the one after the run `before` on; of some states only, if given."""
        ...

    def queued_runs(self, most: int, known: Mapping[tuple[str, str], Run] | None = None) -> list[Run]:
        """Runs that wait, at most so many of each tenant: its next ones.

        Args:
            most: Of each tenant.
            known: What was read before, by tenant and run: what has its revision still is not read again.
        """
        ...

    def count_waiting_before(self, run: Run) -> int:
        """Runs of its tenant that wait and come before a run that has just been ordered."""
        ...

    def active_runs(self) -> list[Run]:
        """Runs of all tenants that have started and not ended."""
        ...

    def overdue_runs(self, now: str) -> list[Run]:
        """Runs of all tenants past their deadline that have not ended and raised no alarm."""
        ...

    def set_waiting(self, run: Run, reason: str, promise: Promise | None) -> bool:
        """Say what a run waits for if it still waits at the revision of `run`; whether it did."""
        ...

    def count_unfinished(self, tenant: str) -> tuple[int, int]:
        """Number of runs that have not ended, and what is set aside for them."""
        ...

    def count_queued(self) -> int:
        """Runs of all tenants that wait."""
        ...

    def add_event(self, event: Event) -> None: ...
    def events(self, tenant: str, run: str) -> list[Event]: ...
    def add_lock(self, tenant: str, digest: str, text: str) -> None: ...
    def lock(self, tenant: str, digest: str) -> str | None: ...


class AttemptTable(Protocol):
    """Attempts and their logs."""

    def add_attempt(self, attempt: Attempt) -> None: ...
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

    def set_stream_header(self, tenant: str, attempt: str, header: bytes) -> None: ...
    def stream_header(self, tenant: str, attempt: str) -> bytes: ...
    def add_segment(self, segment: Segment) -> None: ...
    def count_segments(self, tenant: str, attempt: str) -> tuple[int, int]:
        """How many segments a log has, and their size."""
        ...

    def segments(self, tenant: str, attempt: str, after: int, most: int) -> list[Segment]: ...


class FleetTable(Protocol):
    """Nodes, what is free on them, and who leads."""

    def put_node(self, node: NodeRecord) -> None:
        """Add a node or change it; what runs hold of it stays held."""
        ...

    def nodes(self) -> list[NodeRecord]: ...
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

    def leads(self, name: str, token: int) -> bool:
        """Whether this token is still the leader's; call it inside the transaction that relies on it."""
        ...

    def resign(self, name: str, token: int) -> None: ...


class MoneyTable(Protocol):
    """What tenants may use and have used."""

    def limits(self, tenant: str) -> Limits: ...
    def set_limits(self, tenant: str, limits: Limits) -> None: ...
    def usage(self, tenants: Iterable[str]) -> list[Usage]: ...
    def save_usage(self, usage: Usage) -> None: ...


class RunRows(RunTable, AttemptTable, FleetTable, MoneyTable, Protocol):
    """Everything about runs."""
