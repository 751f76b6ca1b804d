"""Rows of runs, their history and locks."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, and_, func, insert, select, update

from kifabrik.factory.run_records import Event, Run
from kifabrik.factory.schedule import Promise
from kifabrik.runs.states import RunState, is_end
from kifabrik.stores.sql.attempts import SqlAttemptTable
from kifabrik.stores.sql.fleet import SqlFleetTable
from kifabrik.stores.sql.money import SqlMoneyTable
from kifabrik.stores.sql.rows import add_missing, chunks
from kifabrik.stores.sql.run_columns import event_from_row, promise_to_text, run_from_row, run_to_columns
from kifabrik.stores.sql.schema.runs import events, locks, runs


class SqlRunTable:
    """Implements `kifabrik.factory.run_rows.RunTable`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add_run(self, run: Run) -> None:
        """Add a run behind all others of its tenant."""
        last = select(func.coalesce(func.max(runs.c.position), 0) + 1).where(runs.c.tenant == run.tenant)
        position = self._sql.execute(last).scalar_one()
        self._sql.execute(insert(runs).values(**{**run_to_columns(run), "position": position}))

    def run(self, tenant: str, run: str) -> Run | None:
        """Find a run."""
        row = self._sql.execute(select(runs).where(runs.c.tenant == tenant, runs.c.run == run)).one_or_none()
        return None if row is None else run_from_row(row)

    def run_by_order(self, tenant: str, order: str) -> Run | None:
        """Find the run of an order."""
        row = self._sql.execute(select(runs).where(runs.c.tenant == tenant, runs.c.order == order)).one_or_none()
        return None if row is None else run_from_row(row)

    def save_run(self, run: Run) -> None:
        """Write what may change about a run."""
        values = run_to_columns(run)
        changing = {
            name: values[name]
            for name in (
                "cap_s",
                "most_micro_eur",
                "state",
                "reason",
                "revision",
                "finished",
                "stop",
                "alarmed",
                "promise",
                "published",
                "footprint",
            )
        }
        where = (runs.c.tenant == run.tenant, runs.c.run == run.run)
        self._sql.execute(update(runs).where(*where).values(**changing))

    def page(self, tenant: str, before: str, limit: int, states: Collection[RunState] = ()) -> list[Run]:
        """A tenant's runs, newest first, from the one after the run `before` on; of some states only, if given."""
        query = select(runs).where(runs.c.tenant == tenant)
        if states:
            query = query.where(runs.c.state.in_(sorted(map(str, states))))
            if not any(map(is_end, states)):
                query = query.where(runs.c.finished == "")  # few, and found by an index
        if before:
            found = select(runs.c.position).where(runs.c.tenant == tenant, runs.c.run == before)
            query = query.where(runs.c.position < found.scalar_subquery())
        rows = self._sql.execute(query.order_by(runs.c.position.desc()).limit(limit))
        return [run_from_row(row) for row in rows]

    def queued_runs(self, most: int, known: Mapping[tuple[str, str], Run] | None = None) -> list[Run]:
        """Runs that wait, at most so many of each tenant: its next ones; `known` as they were read before."""
        order = (runs.c.priority.desc(), runs.c.position)
        place = func.row_number().over(partition_by=runs.c.tenant, order_by=order).label("place")
        waiting = and_(runs.c.finished == "", runs.c.state == str(RunState.QUEUED))
        ranked = select(runs.c.tenant, runs.c.run, runs.c.revision, place).where(waiting).subquery()
        named = select(ranked.c.tenant, ranked.c.run, ranked.c.revision).where(ranked.c.place <= most)
        found, others = [], defaultdict(list)
        for tenant, run, revision in self._sql.execute(named):
            before = (known or {}).get((tenant, run))
            if before is not None and before.revision == revision:
                found.append(before)
            else:
                others[tenant].append(run)
        for tenant, names in others.items():
            for chunk in chunks(names):
                rows = self._sql.execute(select(runs).where(runs.c.tenant == tenant, runs.c.run.in_(chunk)))
                found += [run_from_row(row) for row in rows]
        return found

    def count_waiting_before(self, run: Run) -> int:
        """Runs of its tenant that wait and come before a run that has just been ordered."""
        query = select(func.count()).where(
            runs.c.finished == "",
            runs.c.tenant == run.tenant,
            runs.c.state == str(RunState.QUEUED),
            runs.c.priority >= run.priority,
            runs.c.run != run.run,
        )
        return int(self._sql.execute(query).scalar_one())

    def active_runs(self) -> list[Run]:
        """Runs of all tenants that have started and not ended."""
        query = select(runs).where(runs.c.finished == "", runs.c.state != str(RunState.QUEUED))
        return [run_from_row(row) for row in self._sql.execute(query)]

    def overdue_runs(self, now: str) -> list[Run]:
        """Runs of all tenants past their deadline that have not ended and raised no alarm."""
        query = select(runs).where(runs.c.finished == "", runs.c.alarmed == "", runs.c.deadline < now)
        return [run_from_row(row) for row in self._sql.execute(query)]

    def set_waiting(self, run: Run, reason: str, promise: Promise | None) -> bool:
        """Say what a run waits for if it still waits at the revision of `run`; whether it did."""
        change = (
            update(runs)
            .where(
                runs.c.tenant == run.tenant,
                runs.c.run == run.run,
                runs.c.revision == run.revision,
                runs.c.state == str(RunState.QUEUED),
            )
            .values(reason=reason, promise=promise_to_text(promise), revision=run.revision + 1)
        )
        return self._sql.execute(change).rowcount == 1

    def count_unfinished(self, tenant: str) -> tuple[int, int]:
        """Number of runs that have not ended, and what is set aside for them."""
        query = select(func.count(), func.coalesce(func.sum(runs.c.most_micro_eur), 0))
        row = self._sql.execute(query.where(runs.c.finished == "", runs.c.tenant == tenant)).one()
        return int(row[0]), int(row[1])

    def count_queued(self) -> int:
        """Runs of all tenants that wait."""
        query = select(func.count()).where(runs.c.finished == "", runs.c.state == str(RunState.QUEUED))
        return int(self._sql.execute(query).scalar_one())

    def add_event(self, event: Event) -> None:
        """Add a step to a run's history."""
        self._sql.execute(
            insert(events).values(
                tenant=event.tenant,
                run=event.run,
                number=event.number,
                at=event.at,
                state=str(event.state),
                reason=event.reason,
            )
        )

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


class SqlRunRows(SqlRunTable, SqlAttemptTable, SqlFleetTable, SqlMoneyTable):
    """Implements `kifabrik.factory.run_rows.RunRows`."""
