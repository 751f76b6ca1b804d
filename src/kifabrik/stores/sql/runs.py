"""Rows of runs, their history and locks."""

from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Update, bindparam, func, insert, or_, select, update

from kifabrik.factory.run_records import Event, Run, Watched
from kifabrik.factory.schedule import Promise
from kifabrik.runs.states import RunState, is_end
from kifabrik.stores.sql.attempts import SqlAttemptTable
from kifabrik.stores.sql.fleet import SqlFleetTable
from kifabrik.stores.sql.money import SqlMoneyTable
from kifabrik.stores.sql.notes import SqlNoteTable
from kifabrik.stores.sql.orders import SqlOrderTable
from kifabrik.stores.sql.rows import add_missing, any_of, chunks
from kifabrik.stores.sql.run_columns import event_from_row, promise_to_text, run_from_row, run_to_columns
from kifabrik.stores.sql.schema.runs import events, locks, runs

_BATCH: Final = 1000
"""Rows inserted by one statement."""
_CHANGING: Final = (
    *("staged_bytes", "streamed_bytes", "cap_s", "budget_micro_eur", "most_micro_eur", "state", "hold", "reason"),
    *("revision", "finished", "stop", "alarmed", "promise", "published", "footprint"),
)
"""What may change about a run."""
_ONE: Final = (runs.c.tenant == bindparam("of_tenant"), runs.c.run == bindparam("of_run"))
_FIND_RUN: Final = select(runs).where(*_ONE)
_SAVE_RUN: Final = update(runs).where(*_ONE)
_STILL_WAITS: Final = (
    *_ONE,
    runs.c.revision == bindparam("of_revision"),
    or_(*(runs.c.state == str(state) for state in (RunState.QUEUED, RunState.PENDING))),
)
_SET_WAITING: Final = update(runs).where(*_STILL_WAITS)
_SET_WAITING_UNLESS_LOCKED: Final = _SET_WAITING.where(
    runs.c.run.in_(select(runs.c.run).where(*_STILL_WAITS).with_for_update(skip_locked=True).scalar_subquery())
)
"""Who says what runs of many tenants wait for holds none of their locks: it waits for nobody who does."""
_ADD_EVENTS: Final = insert(events)
"""Statements of the busiest paths are made once: making one takes longer than running it."""
_ASKED: Final = (
    *("tenant", "sweep", "priority", "flexible_until", "resources", "place", "python", "staged_bytes"),
    *("streamed_bytes", "cap_s", "slurm"),
)
"""What runs have in common that ask for exactly the same and come at the same turn."""
_NEAR: Final = 10
"""How far behind a run those like it are looked for, in times of how many are wanted."""

_ACTIVE: Final = [str(state) for state in RunState if state is not RunState.QUEUED and not is_end(state)]


class SqlRunTable:
    """Implements `kifabrik.factory.run_rows.RunTable`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add_runs(self, tenant: str, many: Iterable[Run]) -> int:
        """Add runs of a tenant behind its others, in this order; return the position of the first."""
        last = select(func.coalesce(func.max(runs.c.position), 0) + 1).where(runs.c.tenant == tenant)
        first = int(self._sql.execute(last).scalar_one())
        numbered = enumerate(many, first)
        while batch := [{**run_to_columns(run), "position": at} for at, run in islice(numbered, _BATCH)]:
            self._sql.execute(insert(runs), batch)
        return first

    def run(self, tenant: str, run: str) -> Run | None:
        """Find a run."""
        row = self._sql.execute(_FIND_RUN, {"of_tenant": tenant, "of_run": run}).one_or_none()
        return None if row is None else run_from_row(row)

    def save_run(self, run: Run) -> None:
        """Write what may change about a run."""
        self.save_runs([run])

    def save_runs(self, many: Iterable[Run]) -> None:
        """Write what may change about runs."""
        rows = []
        for run in many:
            values = run_to_columns(run)
            rows.append({name: values[name] for name in _CHANGING} | {"of_tenant": run.tenant, "of_run": run.run})
        if rows:
            self._sql.execute(_SAVE_RUN, rows)

    def that_still_wait(self, many: Collection[Run]) -> list[Run]:
        """Those of these runs that wait and are as they were when they were read."""
        still: dict[tuple[str, str], int] = {}
        for chunk in chunks({(run.tenant, run.run) for run in many}):
            query = select(runs.c.tenant, runs.c.run, runs.c.revision).where(runs.c.state == str(RunState.QUEUED))
            rows = self._sql.execute(query.where(any_of(chunk, runs.c.tenant, runs.c.run)))
            still |= {(tenant, run): revision for tenant, run, revision in rows}
        return [run for run in many if still.get((run.tenant, run.run)) == run.revision]

    def page(self, tenant: str, before: str, limit: int) -> list[Run]:
        """A tenant's runs, newest first, from the one after the run `before` on."""
        query = select(runs).where(runs.c.tenant == tenant)
        if before:
            found = select(runs.c.position).where(runs.c.tenant == tenant, runs.c.run == before)
            query = query.where(runs.c.position < found.scalar_subquery())
        rows = self._sql.execute(query.order_by(runs.c.position.desc()).limit(limit))
        return [run_from_row(row) for row in rows]

    def ended_in(self, tenant: str, month: str, most: int) -> list[Run]:
        """A tenant's runs that ended in a calendar month (UTC) such as `2026-11`, the last first."""
        query = select(runs).where(*_ended_in(tenant, month)).order_by(runs.c.finished.desc())
        return [run_from_row(row) for row in self._sql.execute(query.limit(most))]

    def count_ended_in(self, tenant: str, month: str, most: int) -> int:
        """How many runs ended in a calendar month; no more than `most` are counted."""
        some = select(runs.c.position).where(*_ended_in(tenant, month)).limit(most).subquery()
        return int(self._sql.execute(select(func.count()).select_from(some)).scalar_one())

    def queued_runs(self, most: int, tenants: Collection[str] = ()) -> list[Run]:
        """Runs that wait and are not held back, at most so many of each tenant, or of these: its next ones.

        As many again of those that may wait for a better hour, the soonest deadline first: however many they are,
        they do not stand in the way of those that may not.
        """
        waiting = (runs.c.finished == "", runs.c.state == str(RunState.QUEUED), runs.c.hold == "")
        # Of one tenant and priority at a time, an index holds them in their order, however many they are.
        patient = runs.c.flexible_until != ""
        ranks = select(runs.c.tenant, runs.c.priority, patient).where(*waiting).distinct()
        if tenants:
            ranks = ranks.where(runs.c.tenant.in_(tenants))
        found: dict[tuple[str, bool], list[Run]] = {}
        for tenant, priority, flexible in sorted(self._sql.execute(ranks), key=lambda rank: -int(rank[1])):
            own = found.setdefault((str(tenant), bool(flexible)), [])
            query = select(runs).where(*waiting, runs.c.tenant == tenant, runs.c.priority == priority)
            query = (
                query.where(patient).order_by(runs.c.flexible_until, runs.c.position)
                if flexible
                else query.where(runs.c.flexible_until == "").order_by(runs.c.position)
            )
            rows = self._sql.execute(query.limit(most - len(own)))
            own += [run_from_row(row) for row in rows]
        return [run for own in found.values() for run in own]

    def queued_tasks(self, tenant: str, sweep: str, most: int) -> list[Run]:
        """The next tasks of a sweep that wait and are not held back."""
        waiting = (runs.c.finished == "", runs.c.state == str(RunState.QUEUED), runs.c.hold == "")
        query = select(runs).where(runs.c.tenant == tenant, runs.c.sweep == sweep, *waiting)
        return [run_from_row(row) for row in self._sql.execute(query.order_by(runs.c.position).limit(most))]

    def queued_alike(self, run: Run, most: int) -> list[Run]:
        """The next runs of its tenant that wait, are not held back, and ask exactly the same of nodes and cluster.

        Itself among them, if it waits; the others are looked for among the next few of the tenant's runs.
        """
        waiting = (runs.c.finished == "", runs.c.state == str(RunState.QUEUED), runs.c.hold == "")
        asked = run_to_columns(run)
        alike = [runs.c[name] == asked[name] for name in _ASKED]
        near = runs.c.position.between(run.position, run.position + _NEAR * most)
        query = select(runs).where(*waiting, *alike, near).order_by(runs.c.position).limit(most)
        return [run_from_row(row) for row in self._sql.execute(query)]

    def queued_tenants(self) -> list[str]:
        """Tenants that have runs waiting that are not held back."""
        waiting = (runs.c.finished == "", runs.c.state == str(RunState.QUEUED), runs.c.hold == "")
        return list(self._sql.execute(select(runs.c.tenant).where(*waiting).distinct()).scalars())

    def active_runs(self) -> list[Run]:
        """Runs of all tenants that have started and not ended."""
        query = select(runs).where(runs.c.finished == "", runs.c.state.in_(_ACTIVE))
        return [run_from_row(row) for row in self._sql.execute(query)]

    def overdue_runs(self, now: str, most: int) -> list[Run]:
        """Runs of all tenants past their deadline that have not ended and raised no alarm, some of them."""
        query = select(runs).where(runs.c.finished == "", runs.c.alarmed == "", runs.c.deadline < now)
        return [run_from_row(row) for row in self._sql.execute(query.limit(most))]

    def set_waiting(self, run: Run | Watched, reason: str, promise: Promise | None) -> bool:
        """Say what a run waits for if it still waits at the revision of `run`; whether it did.

        A run that is being changed by somebody else this moment is left alone.
        """
        return self._sql.execute(self._set_waiting(), _waiting(run, reason, promise)).rowcount == 1

    def set_all_waiting(self, many: Iterable[tuple[Run | Watched, str]]) -> None:
        """Say of runs what they wait for, of those that still wait at their revisions; they have no promise."""
        rows = [_waiting(run, reason, None) for run, reason in many]
        if rows:
            self._sql.execute(self._set_waiting(), rows)

    def _set_waiting(self) -> Update:
        return _SET_WAITING if self._sql.dialect.name == "sqlite" else _SET_WAITING_UNLESS_LOCKED

    def count_unfinished(self, tenant: str) -> int:
        """Number of runs that have not ended; read from an index alone, however many they are."""
        query = select(func.count()).where(runs.c.finished == "", runs.c.tenant == tenant)
        return int(self._sql.execute(query).scalar_one())

    def set_aside_of(self, tenant: str) -> int:
        """What is set aside for a tenant's runs that have not ended, in micro-euro."""
        query = select(func.coalesce(func.sum(runs.c.most_micro_eur), 0))
        return int(self._sql.execute(query.where(runs.c.finished == "", runs.c.tenant == tenant)).scalar_one())

    def count_queued(self) -> int:
        """Runs of all tenants that wait."""
        query = select(func.count()).where(runs.c.finished == "", runs.c.state == str(RunState.QUEUED))
        return int(self._sql.execute(query).scalar_one())

    def add_event(self, event: Event) -> None:
        """Add a step to a run's history."""
        self.add_events([event])

    def add_events(self, many: Iterable[Event]) -> None:
        """Add steps to runs' histories."""
        rows = ({**vars(event), "state": str(event.state)} for event in many)
        while batch := list(islice(rows, _BATCH)):
            self._sql.execute(_ADD_EVENTS, batch)

    def events(self, tenant: str, run: str) -> list[Event]:
        """A run's history, oldest first."""
        where = (events.c.tenant == tenant, events.c.run == run)
        rows = self._sql.execute(select(events).where(*where).order_by(events.c.number))
        return [event_from_row(row) for row in rows]

    def add_lock(self, tenant: str, digest: str, text: str) -> None:
        """Keep a lock's text; keeping it again changes nothing."""
        add_missing(self._sql, locks, tenant=tenant, digest=digest, text=text)

    def lock(self, tenant: str, digest: str) -> str | None:
        """A lock's text."""
        where = (locks.c.tenant == tenant, locks.c.digest == digest)
        return self._sql.execute(select(locks.c.text).where(*where)).scalar_one_or_none()


def _waiting(run: Run | Watched, reason: str, promise: Promise | None) -> dict[str, Any]:
    values = {"reason": reason, "promise": promise_to_text(promise), "revision": run.revision + 1}
    return values | {"of_tenant": run.tenant, "of_run": run.run, "of_revision": run.revision}


class SqlRunRows(SqlRunTable, SqlOrderTable, SqlAttemptTable, SqlNoteTable, SqlFleetTable, SqlMoneyTable):
    """Implements `kifabrik.factory.run_rows.RunRows`."""


def _ended_in(tenant: str, month: str) -> tuple[ColumnElement[bool], ...]:
    """Conditions for runs that ended in a month such as `2026-11`; times are text, which sorts."""
    number = int(month[:4]) * 12 + int(month[5:])  # of the month after it, counted from January of year 0
    after = f"{number // 12:04d}-{number % 12 + 1:02d}"
    return runs.c.tenant == tenant, runs.c.finished >= month, runs.c.finished < after
