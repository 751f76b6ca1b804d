"""Results go back: compared with what the service has, shown, and written only when a person says so.

Invariants:
- nothing is written in a dry run, and nothing at all if more rows would change than the plan allows;
- only fields the plan names are written, and nothing is deleted;
- writing again writes nothing twice: what is there already is no change;
- a row that somebody changed since it was compared is not overwritten, where the service has entity tags.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa

from kifabrik.connectors.sap.asking import Caller
from kifabrik.connectors.sap.columns import Column
from kifabrik.connectors.sap.literals import address_of, fitting
from kifabrik.connectors.sap.model import EntityType, Field, Service, Version
from kifabrik.connectors.sap.pages import Row, listed, pages, query
from kifabrik.connectors.sap.plan import PushPlan
from kifabrik.connectors.sap.pull import fetch_service
from kifabrik.connectors.sap.result_rows import Results
from kifabrik.errors import CapacityError, IntegrityError, UsageError


@dataclass(frozen=True)
class Change:
    """One row to write.

    Args:
        key: Its key, by field.
        before: What the service has, by field; None if it has no such row.
        after: What it shall have.
        tag: Of the entity as it was compared, if the service says one.
    """

    key: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any]
    tag: str = ""

    @property
    def fields(self) -> list[str]:
        """Names of the fields that differ."""
        return [name for name, value in self.after.items() if self.before is None or self.before[name] != value]


@dataclass(frozen=True)
class Difference:
    """What would be written.

    Args:
        entity_set: Where.
        rows: Rows of the results.
        same: Rows the service has already as they are.
        changes: The others.
    """

    entity_set: str
    rows: int
    same: int
    changes: tuple[Change, ...] = field(default=())

    @property
    def added(self) -> int:
        """Rows the service does not have."""
        return sum(change.before is None for change in self.changes)

    @property
    def changed(self) -> int:
        """Rows the service has with other values."""
        return len(self.changes) - self.added


def compare(caller: Caller, plan: PushPlan, source: Results) -> tuple[Difference, EntityType, Service]:
    """Compare results with what a service has.

    Args:
        caller: Signed in to the service of the plan.
        plan: What a person confirmed.
        source: The results.

    Raises:
        UsageError: Plan, results and service do not go together.
        CapacityError: More rows would change, or by more, than the plan allows.
    """
    service = fetch_service(caller)
    entity = service.entity_type(plan.push.entity_set)
    wanted = _fields(plan, entity)
    results = list(_results(plan, source, wanted))
    there = {
        _key(entity, row): (row, tag) for row, tag in _rows_there(caller, service.version, plan, entity, wanted)
    }
    changes, same, seen = [], 0, set()
    for row in results:
        key = _key(entity, row)
        if key in seen:
            raise UsageError(f"{source.name} has a key twice: {_shown(entity, row)}", hint="Each row once.")
        seen.add(key)
        before, tag = there.get(key, (None, ""))
        after = {name: row[name] for name in wanted if name not in entity.keys}
        if before is not None and all(before[name] == value for name, value in after.items()):
            same += 1
            continue
        changes.append(Change({name: row[name] for name in entity.keys}, before, after, tag))
    difference = Difference(plan.push.entity_set, len(results), same, tuple(changes))
    _check(plan, difference)
    return difference, entity, service


def _fields(plan: PushPlan, entity: EntityType) -> dict[str, Field]:
    where = plan.push.entity_set
    named = {name: entity.field(name, where) for name in plan.push.fields}
    missing = [key for key in entity.keys if key not in named]
    if missing:
        raise UsageError(
            f"{where}: the plan names no column for the key {missing[0]!r}", hint="Add it under fields."
        )
    if len(named) == len(entity.keys):
        raise UsageError(f"{where}: the plan names only keys, so there is nothing to write")
    return named


def _results(plan: PushPlan, source: Results, wanted: dict[str, Field]) -> Iterator[Row]:
    columns = dict(plan.push.fields)
    for number, row in enumerate(source.rows(set(columns.values())), 1):
        try:
            yield {name: fitting(wanted[name], row[column]) for name, column in columns.items()}
        except UsageError as error:
            raise UsageError(f"{source.name}, row {number}: {error.message}", hint=error.hint) from None


def _rows_there(
    caller: Caller, version: Version, plan: PushPlan, entity: EntityType, wanted: dict[str, Field]
) -> Iterator[tuple[Row, str]]:
    link = query(
        plan.push.entity_set,
        {
            "$select": ",".join(wanted),
            "$filter": plan.push.filter,
            "$orderby": ",".join(entity.keys),
            "$format": "" if version is Version.V4 else "json",
        },
    )
    columns = [Column(one, version) for one in wanted.values()]
    for page in pages(caller, version, link, plan.push.entity_set):
        rows = listed(page.rows)
        arrays = {one.name: one.make([row.get(one.name) for row in rows], plan.push.entity_set) for one in columns}
        values = {
            name: _listed(array, f"{plan.push.entity_set}: a value of {name!r}") for name, array in arrays.items()
        }
        for number, raw in enumerate(rows):
            row = {name: fitting(wanted[name], values[name][number]) for name in wanted}
            yield row, str(raw.get("@odata.etag") or (raw.get("__metadata") or {}).get("etag") or "")


def _listed(array: pa.Array, what: str) -> list[Any]:
    try:
        values: list[Any] = array.to_pylist()
    except (ValueError, OverflowError):
        raise IntegrityError(f"{what} lies beyond the years 1 to 9999", hint="Narrow filter in the plan.") from None
    return values


def _key(entity: EntityType, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in entity.keys)


def _shown(entity: EntityType, row: Row) -> str:
    return ", ".join(f"{name}={row[name]}" for name in entity.keys)


def _check(plan: PushPlan, difference: Difference) -> None:
    push = plan.push
    if len(difference.changes) > push.rows:
        raise CapacityError(
            f"{len(difference.changes):,} rows of {push.entity_set} would change, "
            f"and the plan allows {push.rows:,}",
            hint="Look at the results; raise rows in the plan only if so many are meant.",
        )
    if difference.added and not push.create:
        first = next(change for change in difference.changes if change.before is None)
        raise CapacityError(
            f"{difference.added:,} rows are not in {push.entity_set}, such as {first.key}",
            hint="Set create: true in the plan if rows may be added.",
        )
    if push.largest_change is not None:
        _check_size(push.entity_set, difference, Decimal(str(push.largest_change)))


def _check_size(where: str, difference: Difference, most: Decimal) -> None:
    for change in difference.changes:
        for name in change.fields if change.before is not None else ():
            old, new = (change.before or {})[name], change.after[name]
            if _grows_by(old, new) > most:
                raise CapacityError(
                    f"{where} {change.key}: {name} would go from {old} to {new}, "
                    "more than the largest_change of the plan",
                    hint="Look at the results; a change of that size needs a plan that allows it.",
                )


def _grows_by(old: Any, new: Any) -> Decimal:
    """How far a number would move, as a share of what it was; of less than one, as if it had been one."""
    if not (isinstance(old, Decimal | int | float) and isinstance(new, Decimal | int | float)):
        return Decimal(0)
    before, after = Decimal(str(old)), Decimal(str(new))
    return abs(after - before) / max(abs(before), Decimal(1))


def address(difference: Difference, entity: EntityType, change: Change, version: Version) -> str:
    """Return where a changed row lives."""
    return address_of(difference.entity_set, entity, change.key, version)
