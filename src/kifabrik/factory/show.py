"""Runs as their tenant sees them: one, a page of them, their history, their evidence."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Version
from kifabrik.factory.run_book import find_run
from kifabrik.factory.run_records import Attempt, Event, Run
from kifabrik.runs.states import RunState
from kifabrik.values import Place

MOST_LISTED: Final = 500


@dataclass(frozen=True)
class RunPicture:
    """A run with its attempts and outputs.

    Args:
        run: The run.
        attempts: By number.
        nodes: Names of each attempt's nodes, by attempt.
        outputs: In the order the job declares them.
    """

    run: Run
    attempts: tuple[Attempt, ...]
    nodes: dict[str, str]
    outputs: tuple[Version, ...]

    @property
    def place(self) -> Place:
        """Where it runs or ran last; before that, where it may run."""
        return self.attempts[-1].place if self.attempts else self.run.place


@dataclass(frozen=True)
class EvidenceView:
    """Digests of every statement about a run, in the order they were made."""

    run: str
    order: str
    code: str
    requests: tuple[str, ...]
    decisions: tuple[str, ...]
    streams: tuple[str, ...]
    manifests: tuple[str, ...]
    finishes: tuple[str, ...]
    provenance: tuple[str, ...]


class Shows:
    """Shows runs.

    Args:
        store: Opens transactions.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def one(self, tenant: str, run: str) -> RunPicture:
        """Show one run.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._store.read() as transaction:
            return _pictures(transaction, tenant, [find_run(transaction, tenant, run)])[0]

    def page(self, tenant: str, before: str, limit: int, states: Collection[RunState] = ()) -> list[RunPicture]:
        """Show runs, newest first, from the one after `before` on; of some states only, if any are given."""
        with self._store.read() as transaction:
            runs = transaction.runs.page(tenant, before, min(limit, MOST_LISTED), states)
            return _pictures(transaction, tenant, runs)

    def history(self, tenant: str, run: str) -> list[Event]:
        """What happened to a run, oldest first; what it waits for now comes last.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._store.read() as transaction:
            found = find_run(transaction, tenant, run)
            events = transaction.runs.events(tenant, run)
        if events and events[-1].reason != found.reason:
            events.append(Event(tenant, run, found.revision, events[-1].at, found.state, found.reason))
        return events

    def evidence(self, tenant: str, run: str) -> EvidenceView:
        """Name every statement about a run.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._store.read() as transaction:
            found = find_run(transaction, tenant, run)
            attempts = transaction.runs.attempts_of(tenant, [run])
            requests = transaction.leases.of_run(tenant, run)
            versions = transaction.datasets.versions(tenant, f"{run}/")
        return EvidenceView(
            run=run,
            order=found.order,
            code=found.code,
            requests=tuple(one.digest for one in requests),
            decisions=tuple(one.decision for one in requests if one.decision),
            streams=_some(one.stream for one in attempts),
            manifests=_some(one.manifest for one in versions if not one.owner.endswith("/code")),
            finishes=_some(one.finish for one in attempts),
            provenance=_some(one.provenance for one in attempts),
        )


def _some(digests: Iterable[str]) -> tuple[str, ...]:
    return tuple(digest for digest in digests if digest)


def _pictures(transaction: Transaction, tenant: str, runs: Sequence[Run]) -> list[RunPicture]:
    attempts = transaction.runs.attempts_of(tenant, [run.run for run in runs])
    names = {node.node: node.name for node in transaction.runs.nodes()}
    pictures = []
    for run in runs:
        own = tuple(attempt for attempt in attempts if attempt.run == run.run)
        made = [transaction.datasets.by_manifest(tenant, one) for attempt in own for one in attempt.outputs]
        pictures.append(
            RunPicture(
                run=run,
                attempts=own,
                nodes={one.attempt: ", ".join(names.get(share.node, "") for share in one.placement) for one in own},
                outputs=tuple(version for version in made if version is not None),
            )
        )
    return pictures
