"""Rows of attempts and their logs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, String, and_, cast, func, insert, literal, select, update

from kifabrik.factory.log_records import RankLog, Segment
from kifabrik.factory.run_records import Attempt, Run, StopCause, Watched
from kifabrik.runs.states import RunState
from kifabrik.stores.sql.rows import any_of, chunks, plain, put, record
from kifabrik.stores.sql.run_columns import NOWHERE, attempt_from_row, attempt_to_columns
from kifabrik.stores.sql.schema.runs import attempts, rank_logs, runs, segments

_COLUMNS = [column for column in attempts.c if column.name != "stream_header"]
_WATCHED = (
    *(attempts.c[name] for name in ("tenant", "run", "attempt", "cap_s", "created", "submits", "taken", "running")),
    *(runs.c[name] for name in ("revision", "reason", "deadline")),
    *(attempts.c.state, attempts.c.placement != NOWHERE, runs.c.stop),
)
"""In the order of the fields of `Watched`."""
_CHANGING: Final = (
    *(attempts.c.attempt, attempts.c.submits, attempts.c.state, attempts.c.taken, attempts.c.running),
    *(attempts.c.placement != NOWHERE, runs.c.revision, runs.c.stop),
)
"""What of `Watched` can change; the run's reason does with its revision."""
_STAMP: Final[ColumnElement[str]] = reduce(lambda text, one: text + "/" + cast(one, String), _CHANGING, literal(""))
_GOING_ON: Final = and_(
    attempts.c.tenant == runs.c.tenant,
    attempts.c.run == runs.c.run,
    attempts.c.finished == "",
    runs.c.finished == "",
)
_STAMPS: Final = select(func.aggregate_strings(_STAMP, " ")).where(_GOING_ON)
"""All in one row: fetching ten thousand takes longer than looking them up."""
_READ_WATCHED: Final = select(_STAMP, *_WATCHED).where(_GOING_ON)

_ADD: Final = insert(attempts)
"""Made once: making it takes longer than running it."""


class SqlAttemptTable:
    """Implements `kifabrik.factory.run_rows.AttemptTable`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add_attempt(self, attempt: Attempt) -> None:
        """Add an attempt."""
        self.add_attempts([attempt])

    def add_attempts(self, many: Iterable[Attempt]) -> None:
        """Add attempts."""
        rows = [{"stream_header": b"", **attempt_to_columns(attempt)} for attempt in many]
        if rows:
            self._sql.execute(_ADD, rows)

    def count_attempts(self, runs: Collection[Run]) -> dict[tuple[str, str], int]:
        """How many attempts were made at each of these runs, by tenant and run; none are left out."""
        wanted = {(run.tenant, run.run) for run in runs}
        of_a_run = (attempts.c.tenant, attempts.c.run)
        found: dict[tuple[str, str], int] = {}
        for chunk in chunks(wanted):
            query = select(*of_a_run, func.count()).where(any_of(chunk, *of_a_run)).group_by(*of_a_run)
            found |= {(tenant, run): count for tenant, run, count in self._sql.execute(query)}
        return {key: count for key, count in found.items() if key in wanted}

    def attempt(self, tenant: str, attempt: str) -> Attempt | None:
        """Find an attempt."""
        row = self._sql.execute(select(*_COLUMNS).where(_one(tenant, attempt))).one_or_none()
        return None if row is None else attempt_from_row(row)

    def save_attempt(self, attempt: Attempt) -> None:
        """Write an attempt."""
        change = update(attempts).where(_one(attempt.tenant, attempt.attempt))
        self._sql.execute(change.values(**attempt_to_columns(attempt)))

    def attempts_of(self, tenant: str, runs: Sequence[str]) -> list[Attempt]:
        """All attempts at these runs, by run and number."""
        found = []
        for chunk in chunks(runs):
            query = select(*_COLUMNS).where(attempts.c.tenant == tenant, attempts.c.run.in_(chunk))
            rows = self._sql.execute(query.order_by(attempts.c.run, attempts.c.number))
            found += [attempt_from_row(row) for row in rows]
        return found

    def attempts_named(self, names: Iterable[str]) -> list[Attempt]:
        """Attempts of any tenant by their ids."""
        found = []
        for chunk in chunks(names):
            rows = self._sql.execute(select(*_COLUMNS).where(attempts.c.attempt.in_(chunk)))
            found += [attempt_from_row(row) for row in rows]
        return found

    def unfinished_attempts(self) -> list[Attempt]:
        """Attempts of all tenants that have not ended."""
        rows = self._sql.execute(select(*_COLUMNS).where(attempts.c.finished == ""))
        return [attempt_from_row(row) for row in rows]

    def watched(self, before: Mapping[str, Watched] = MappingProxyType({})) -> dict[str, Watched]:
        """The same with their runs, but of both only what every pass looks at; what is known is not read again."""
        stamps = str(self._sql.execute(_STAMPS).scalar_one() or "").split()
        found = {stamp: before[stamp] for stamp in stamps if stamp in before}
        for chunk in chunks(stamp.split("/")[1] for stamp in stamps if stamp not in before):
            rows = self._sql.execute(_READ_WATCHED.where(attempts.c.attempt.in_(chunk)))
            found |= {str(row[0]): _watched(row[1:]) for row in rows}
        return found

    def set_stream_header(self, tenant: str, attempt: str, header: bytes) -> None:
        """Keep the age header all segments of an attempt's log share."""
        self._sql.execute(update(attempts).where(_one(tenant, attempt)).values(stream_header=header))

    def stream_header(self, tenant: str, attempt: str) -> bytes:
        """The age header of an attempt's log, or nothing."""
        query = select(attempts.c.stream_header).where(_one(tenant, attempt))
        return self._sql.execute(query).scalar_one_or_none() or b""

    def add_segment(self, segment: Segment) -> None:
        """Add a segment to a log."""
        values = {column.name: getattr(segment, column.name) for column in segments.c}
        self._sql.execute(insert(segments).values(**values))

    def count_segments(self, tenant: str, attempts: Iterable[str]) -> dict[tuple[str, int], tuple[int, int]]:
        """How many segments each log of these attempts has, and their size, by attempt and rank."""
        found: dict[tuple[str, int], tuple[int, int]] = {}
        of_a_log = (segments.c.attempt, segments.c.rank)
        for chunk in chunks(attempts):
            query = select(*of_a_log, func.count(), func.sum(segments.c.size)).group_by(*of_a_log)
            rows = self._sql.execute(query.where(segments.c.tenant == tenant, segments.c.attempt.in_(chunk)))
            found |= {(attempt, rank): (int(count), int(size)) for attempt, rank, count, size in rows}
        return found

    def segments(self, tenant: str, attempt: str, rank: int, after: int, most: int) -> list[Segment]:
        """At most `most` segments with numbers above `after`, in order."""
        where = (
            segments.c.tenant == tenant,
            segments.c.attempt == attempt,
            segments.c.rank == rank,
            segments.c.number > after,
        )
        rows = self._sql.execute(select(segments).where(*where).order_by(segments.c.number).limit(most))
        return [record(Segment, row) for row in rows]

    def rank_log(self, tenant: str, attempt: str, rank: int) -> RankLog | None:
        """Find the log of a node that is not the first."""
        where = (rank_logs.c.tenant == tenant, rank_logs.c.attempt == attempt, rank_logs.c.rank == rank)
        row = self._sql.execute(select(rank_logs).where(*where)).one_or_none()
        return None if row is None else record(RankLog, row)

    def rank_logs(self, tenant: str, attempts: Iterable[str]) -> list[RankLog]:
        """The logs of all nodes of these attempts but the first of each, by rank, without their headers."""
        columns = [column for column in rank_logs.c if column.name != "header"]
        found = []
        for chunk in chunks(attempts):
            query = select(*columns).where(rank_logs.c.tenant == tenant, rank_logs.c.attempt.in_(chunk))
            rows = self._sql.execute(query.order_by(rank_logs.c.attempt, rank_logs.c.rank))
            found += [record(RankLog, row) for row in rows]
        return found

    def save_rank_log(self, log: RankLog) -> None:
        """Write the log of a node that is not the first."""
        put(self._sql, rank_logs, **plain(log))


def _watched(values: Sequence[Any]) -> Watched:
    """By position, as there may be thousands."""
    state, placed, stop = values[-3:]
    parsed = (RunState(state), bool(placed), StopCause(stop) if stop else None)
    return Watched(*(*values[:-3], *parsed))


def _one(tenant: str, attempt: str) -> ColumnElement[bool]:
    return and_(attempts.c.tenant == tenant, attempts.c.attempt == attempt)
