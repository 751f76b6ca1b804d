"""Rows of orders, and what concerns all tasks of a sweep at once."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Connection, Select, and_, case, func, insert, literal, select, update
from sqlalchemy.sql.elements import ColumnElement

from kifabrik.factory.run_records import Hold, Run, StopCause
from kifabrik.factory.sweep_records import Admitted, TaskCount, TaskReason
from kifabrik.runs.states import RunState, is_end
from kifabrik.stores.sql.rows import chunks, record
from kifabrik.stores.sql.run_columns import run_from_row, untouched_footprint
from kifabrik.stores.sql.schema.orders import needs, orders
from kifabrik.stores.sql.schema.runs import events, runs

_MOST_REASONS: Final = 50


class SqlOrderTable:
    """Implements `kifabrik.factory.run_rows.OrderTable`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add_order(self, order: Admitted, needed: Collection[str]) -> None:
        """Add an order and the run ids of the orders it needs."""
        values = {name: getattr(order, name) for name in orders.c.keys()}  # noqa: SIM118 - a collection of columns
        self._sql.execute(insert(orders).values(**values))
        rows = [{"tenant": order.tenant, "run": order.run, "need": need} for need in needed]
        if rows:
            self._sql.execute(insert(needs), rows)

    def order(self, tenant: str, digest: str) -> Admitted | None:
        """Find an order by the digest of its statement."""
        return self._one(select(orders).where(orders.c.tenant == tenant, orders.c.order == digest))

    def order_of(self, tenant: str, run: str) -> Admitted | None:
        """Find an order by its run id."""
        return self._one(select(orders).where(orders.c.tenant == tenant, orders.c.run == run))

    def _one(self, query: Select[tuple[object, ...]]) -> Admitted | None:
        row = self._sql.execute(query).one_or_none()
        return None if row is None else record(Admitted, row)

    def save_order(self, order: Admitted) -> None:
        """Write what may change about an order."""
        where = (orders.c.tenant == order.tenant, orders.c.order == order.order)
        change = update(orders).where(*where).values(stopped=order.stopped, alarmed=order.alarmed)
        self._sql.execute(change)

    def orders_page(
        self, tenant: str, before: str, limit: int, states: Collection[RunState] = ()
    ) -> list[Admitted]:
        """A tenant's orders, newest first, from the one after the order of run id `before` on.

        If any states are given, only those that have a run in one of them.
        """
        query = select(orders).where(orders.c.tenant == tenant)
        if states:
            query = query.where(orders.c.run.in_(_orders_with(tenant, states)))
        if before:
            found = select(orders.c.position).where(orders.c.tenant == tenant, orders.c.run == before)
            query = query.where(orders.c.position < found.scalar_subquery())
        rows = self._sql.execute(query.order_by(orders.c.position.desc()).limit(limit))
        return [record(Admitted, row) for row in rows]

    def tasks(self, tenant: str, sweep: str, after: int, limit: int) -> list[Run]:
        """Tasks of a sweep in their order, from the one after position `after` on."""
        where = (runs.c.tenant == tenant, runs.c.sweep == sweep, runs.c.position > after)
        rows = self._sql.execute(select(runs).where(*where).order_by(runs.c.position).limit(limit))
        return [run_from_row(row) for row in rows]

    def runs_of_order(self, tenant: str, digest: str, limit: int) -> list[Run]:
        """The first runs of an order, by the digest of its statement."""
        order = self.order(tenant, digest)
        where = (runs.c.tenant == tenant, _of_order(order.run if order else ""))
        rows = self._sql.execute(select(runs).where(*where).order_by(runs.c.position).limit(limit))
        return [run_from_row(row) for row in rows] if order else []

    def runs_named(self, tenant: str, names: Collection[str]) -> list[Run]:
        """Runs of a tenant by their ids."""
        found = []
        for chunk in chunks(names):
            rows = self._sql.execute(select(runs).where(runs.c.tenant == tenant, runs.c.run.in_(chunk)))
            found += [run_from_row(row) for row in rows]
        return found

    def runs_at(self, tenant: str, positions: Collection[int]) -> dict[int, Run]:
        """Runs of a tenant by their positions, such as the first ones of orders."""
        found: dict[int, Run] = {}
        for chunk in chunks(positions):
            rows = self._sql.execute(select(runs).where(runs.c.tenant == tenant, runs.c.position.in_(chunk)))
            found |= {row.position: run_from_row(row) for row in rows}
        return found

    def count_tasks(self, tenant: str, sweeps: Sequence[str]) -> list[TaskCount]:
        """How many tasks of these sweeps are in which state."""
        cost = func.sum(case((runs.c.finished != "", runs.c.most_micro_eur), else_=0))
        query = (
            select(
                runs.c.sweep,
                runs.c.state,
                func.count(),
                cost,
                func.sum(runs.c.revision),
                func.max(runs.c.finished),
            )
            .where(runs.c.tenant == tenant, runs.c.sweep.in_(sweeps))
            .group_by(runs.c.sweep, runs.c.state)
        )
        return [
            TaskCount(sweep, RunState(state), int(tasks), int(spent), int(revisions), finished)
            for sweep, state, tasks, spent, revisions, finished in self._sql.execute(query)
        ]

    def task_reasons(self, tenant: str, sweep: str) -> list[TaskReason]:
        """Why the tasks of a sweep are where they are, the commonest reasons first."""
        at = func.max(case((runs.c.finished != "", runs.c.finished), else_=runs.c.created))
        query = (
            select(runs.c.state, runs.c.reason, func.count(), func.min(runs.c.run), at)
            .where(runs.c.tenant == tenant, runs.c.sweep == sweep)
            .group_by(runs.c.state, runs.c.reason)
            .order_by(func.count().desc(), runs.c.reason)
            .limit(_MOST_REASONS)
        )
        return [TaskReason(RunState(state), *rest) for state, *rest in self._sql.execute(query)]

    def set_aside(self, tenant: str, sweep: str) -> int:
        """What the tasks of a sweep have cost and can cost still, together, in micro-euro."""
        where = (runs.c.tenant == tenant, runs.c.sweep == sweep)
        return int(
            self._sql.execute(select(func.coalesce(func.sum(runs.c.most_micro_eur), 0)).where(*where)).scalar_one()
        )

    def unfinished_of(self, tenant: str, order_run: str) -> tuple[int, int]:
        """How many runs of an order have not ended, and how many have ended otherwise than well."""
        query = select(
            func.coalesce(func.sum(case((runs.c.finished == "", 1), else_=0)), 0),
            func.coalesce(func.sum(case((_ended_badly(), 1), else_=0)), 0),
        ).where(runs.c.tenant == tenant, _of_order(order_run))
        row = self._sql.execute(query).one()
        return int(row[0]), int(row[1])

    def needed_by(self, tenant: str, order_run: str) -> list[str]:
        """Run ids of the orders that need this one."""
        query = select(needs.c.run).where(needs.c.tenant == tenant, needs.c.need == order_run)
        return list(self._sql.execute(query).scalars())

    def needs_of(self, tenant: str, order_run: str) -> list[str]:
        """Run ids of the orders that this one needs."""
        query = select(needs.c.need).where(needs.c.tenant == tenant, needs.c.run == order_run)
        return list(self._sql.execute(query.order_by(needs.c.need)).scalars())

    def let_go(self, tenant: str, order_run: str, hold: Hold, most: int, reason: str, **sizes: int) -> int:
        """Let the next runs of an order go on that wait held back by `hold`; return how many did.

        Args:
            tenant: Tenant id.
            order_run: Run id of the order.
            hold: What they were held back by.
            most: How many at most.
            reason: What they wait for now.
            sizes: `staged_bytes` and `streamed_bytes`, where they are known only now.
        """
        waiting = (runs.c.finished == "", runs.c.state == str(RunState.QUEUED), runs.c.hold == str(hold))
        next_ones = (
            select(runs.c.run)
            .where(runs.c.tenant == tenant, _of_order(order_run), *waiting)
            .order_by(runs.c.position)
            .limit(most)
        )
        change = (
            update(runs)
            .where(runs.c.tenant == tenant, runs.c.run.in_(next_ones))
            .values(hold="", reason=reason, revision=runs.c.revision + 1, **sizes)
        )
        return self._sql.execute(change).rowcount

    def hold_again(self, tenant: str, order_run: str, reason: str, **sizes: int) -> None:
        """Let the runs of an order that waited for its needs wait for their turn in the sweep instead."""
        where = (
            runs.c.tenant == tenant,
            _of_order(order_run),
            runs.c.finished == "",
            runs.c.hold == str(Hold.NEEDS),
        )
        change = update(runs).where(*where)
        self._sql.execute(change.values(hold=str(Hold.TURN), reason=reason, revision=runs.c.revision + 1, **sizes))

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
        where = and_(
            runs.c.tenant == tenant,
            _of_order(order_run),
            runs.c.finished == "",
            runs.c.state == str(RunState.QUEUED),
            runs.c.footprint == untouched_footprint(),
        )
        history = select(
            runs.c.tenant, runs.c.run, runs.c.revision + 1, literal(now), literal(str(state)), literal(reason)
        ).where(where)
        columns = ["tenant", "run", "number", "at", "state", "reason"]
        self._sql.execute(insert(events).from_select(columns, history))
        change = update(runs).where(where)
        values = {
            "state": str(state),
            "reason": reason,
            "revision": runs.c.revision + 1,
            "finished": now,
            "stop": str(stop or ""),
            "alarmed": alarmed,
            "promise": "",
            "most_micro_eur": 0,
        }
        return self._sql.execute(change.values(**values)).rowcount

    def going_on(self, tenant: str, order_run: str) -> list[Run]:
        """Runs of an order that have not ended."""
        where = (runs.c.tenant == tenant, _of_order(order_run), runs.c.finished == "")
        return [run_from_row(row) for row in self._sql.execute(select(runs).where(*where))]


def _orders_with(tenant: str, states: Collection[RunState]) -> Select[tuple[str]]:
    """Select the run ids of the orders that have a run in one of these states."""
    order_run = case((runs.c.sweep == "", runs.c.run), else_=runs.c.sweep)
    found = select(order_run).where(runs.c.tenant == tenant, runs.c.state.in_(sorted(map(str, states))))
    if any(map(is_end, states)):
        return found
    return found.where(runs.c.finished == "")  # few, and found by an index


def _of_order(order_run: str) -> ColumnElement[bool]:
    return (runs.c.sweep == order_run) | (runs.c.run == order_run)


def _ended_badly() -> ColumnElement[bool]:
    return and_(runs.c.finished != "", runs.c.state != str(RunState.SUCCEEDED))
