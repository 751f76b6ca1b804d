"""Only what changed since the version before, where the service truly tracks it.

Invariants:
- after changes are taken, the number of rows there should be is compared with what the service counts: deletions
  it did not tell are found, and then all of the set is taken;
- V2 tells deletions in Atom only: they are asked for whenever the count does not fit, or nobody counts;
- whatever is wrong with changes is answered by a full pull and a warning, never by rows that are missing.
"""

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.connectors.sap.gathering import Work, count_now, part
from kifabrik.connectors.sap.keys import Hasher, Numbers
from kifabrik.connectors.sap.model import Version
from kifabrik.connectors.sap.pages import Row, listed, pages
from kifabrik.connectors.sap.parts import PartBuilder
from kifabrik.connectors.sap.progress import SetProgress
from kifabrik.connectors.sap.selection import Selection, Table
from kifabrik.connectors.sap.tombstones import tombstones
from kifabrik.datasets.made import MadeShard
from kifabrik.errors import IntegrityError, NotFoundError, UsageError

MOST_CHANGES: Final = 500_000
"""More are taken by a full pull, which holds no more than a part in memory."""
REMOVED: Final = ".removed"
"""In the name of a file with keys only."""
GONE: Final = " gone"
"""Behind the name of a table: how many of its keys are gone. No table has a blank in its name."""
_PREDICATE: Final = re.compile(r"\((.*)\)$")
_QUOTED: Final = re.compile(
    r"(?:(?P<name>\w+)=)?(?:(?P<prefix>guid|datetime|datetimeoffset)?'(?P<text>(?:[^']|'')*)'|(?P<plain>[^,']+))(?:,|$)"
)
_SUFFIXED: Final = frozenset({"Edm.Int64", "Edm.Decimal", "Edm.Double", "Edm.Single"})
"""Types whose literals end with a letter in addresses of V2: 5L, 12.50M."""


def take_changes(work: Work, selection: Selection, before: SetProgress) -> list[MadeShard] | None:
    """Take what changed, and note it; None if all of the set has to be taken, with a warning why."""
    try:
        return _take(work, selection, before)
    except (NotFoundError, UsageError):
        why = "the service has forgotten what changed since then"
    except IntegrityError as error:
        why = error.message
    work.warnings.append(f"{selection.name}: {why}; all of it is taken")
    return None


def _take(work: Work, selection: Selection, before: SetProgress) -> list[MadeShard]:
    table = selection.table
    hasher = Hasher(work.salt, table.keys)
    changed: dict[int, Row] = {}
    removed: dict[int, Row] = {}
    delta = ""
    for page in pages(work.caller, selection.version, before.delta, selection.name):
        for row in listed(page.rows):
            number = _hashed(hasher, row, selection)
            changed[number] = row
            removed.pop(number, None)
        for row in page.removed:
            gone = removed_key(row, table)
            number = _hashed(hasher, gone, selection)
            removed[number] = gone
            changed.pop(number, None)
        delta = page.delta or delta
        if len(changed) + len(removed) > MOST_CHANGES:
            raise IntegrityError(f"more than {MOST_CHANGES:,} changes")
    if not delta:
        raise IntegrityError("the service gives no link to further changes")
    numbers = _numbers(work, before, changed, removed)
    there = count_now(work.caller, selection)
    if selection.version is Version.V2 and there != len(numbers):
        for row in tombstones(work.caller, before.delta, selection.name):
            gone = removed_key(row, table)
            number = hasher(gone)
            removed[number] = gone
            changed.pop(number, None)
        numbers = _numbers(work, before, changed, removed)
    if there is not None and there != len(numbers):
        raise IntegrityError(
            f"with the changes there would be {len(numbers):,} rows, and the service has {there:,}"
        )
    progress = SetProgress(
        before.schema,
        before.question,
        done=True,
        changes=True,
        count=len(changed),
        parts=list(before.parts),
        delta=delta,
    )
    made = _parts(work, selection, progress, list(changed.values()), list(removed.values()))
    progress.keys = [work.files.save_keys(numbers)]
    progress.rows = {table.name: len(changed), f"{table.name}{GONE}": len(removed)}
    progress.kept = len(numbers)
    work.state.sets[selection.name] = progress
    return made


def _hashed(hasher: Hasher, row: Row, selection: Selection) -> int:
    missing = [column.name for column in selection.table.columns if column.name not in row]
    try:
        number = hasher(row)
    except KeyError:
        raise IntegrityError("a change came without its key") from None
    if missing and len(row) > len(selection.table.keys):
        raise IntegrityError(f"a change came without the field {missing[0]!r}")
    return number


def _numbers(work: Work, before: SetProgress, changed: dict[int, Row], removed: dict[int, Row]) -> Numbers:
    gone, come = (np.fromiter(one, np.uint64, len(one)) for one in (removed, changed))
    return np.union1d(np.setdiff1d(work.files.load_keys(before.keys), gone), come)


def _parts(
    work: Work, selection: Selection, progress: SetProgress, changed: list[Row], removed: list[Row]
) -> list[MadeShard]:
    made = []
    if changed:
        builder = PartBuilder(selection.table, work.salt, work.notes(selection))
        builder.add(changed)
        made.append(part(work, progress, selection.table, builder.finish().data, len(changed)))
    if removed:
        data = _keys_only(selection, removed, work.notes(selection))
        made.append(part(work, progress, selection.table, data, len(removed), REMOVED))
    return made


def _keys_only(selection: Selection, removed: list[Row], notes: dict[str, str]) -> bytes:
    columns = [column for column in selection.table.columns if column.name in selection.table.keys]
    schema = pa.schema(
        [column.arrow for column in columns], {"kifabrik.keys": " ".join(selection.table.keys), **notes}
    )
    arrays = [
        column.make([row[column.name] for row in removed], f"{selection.name}, removed") for column in columns
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _as_in_json(text: str, prefix: str, kind: str) -> str:
    """A literal of an address as V2's JSON writes the same value (OData 2.0 Overview, section 6)."""
    if kind in _SUFFIXED:
        return text.rstrip("LlMmDdFf")
    if prefix == "datetime":
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return f"/Date({round(moment.timestamp() * 1000)})/"
    return text


def removed_key(row: Row, table: Table) -> Row:
    """Return the key of an entity that is gone: from its fields, or from the address it had.

    Raises:
        IntegrityError: Neither says it.
    """
    if all(key in row for key in table.keys):
        return {key: row[key] for key in table.keys}
    address = str(row.get("id") or row.get("@id") or row.get("@odata.id") or "")
    found = _PREDICATE.search(unquote(address))
    types = {column.name: column.field.type for column in table.columns}
    values: Row = {}
    for one in _QUOTED.finditer(found[1]) if found else ():
        name = one["name"] or table.keys[0]
        text = one["plain"] if one["text"] is None else one["text"].replace("''", "'")
        values[name] = _as_in_json(text, one["prefix"] or "", types.get(name, ""))
    if set(values) != set(table.keys):
        raise IntegrityError("the service does not say which entity is gone")
    return values
