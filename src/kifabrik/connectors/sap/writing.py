"""Write changed rows to a service: many in one round trip where it takes that, or one after the other.

Invariants:
- rows that go together are one change set: all of them are written, or none;
- nothing is sent twice: whether it arrived is found by comparing again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kifabrik.connectors.sap.asking import Caller
from kifabrik.connectors.sap.batch_bodies import Asking, BatchFormat
from kifabrik.connectors.sap.batch_requests import MOST_TOGETHER, Batches, ChangeSetError
from kifabrik.connectors.sap.literals import to_json
from kifabrik.connectors.sap.model import EntityType, Service, Version
from kifabrik.connectors.sap.pages import query
from kifabrik.connectors.sap.push import Change, Difference, address
from kifabrik.connectors.sap.tokens import Guarded
from kifabrik.errors import KifabrikError, UnavailableError

_TYPES: Final = {
    Version.V4: "application/json;IEEE754Compatible=true",
    Version.V2: "application/json",
}

_AGAIN: Final = "Repeat the command: it compares first, and writes nothing twice."


@dataclass(frozen=True)
class Written:
    """What was written.

    Args:
        added: New rows.
        changed: Rows with new values.
    """

    added: int
    changed: int


def write(
    caller: Caller,
    service: Service,
    entity: EntityType,
    difference: Difference,
    *,
    together: bool = True,
    on_row: Callable[[int], None] = lambda _rows: None,
) -> Written:
    """Write every change.

    Args:
        caller: Signed in.
        service: What it says of itself.
        entity: The type of what is written.
        difference: From `compare`.
        together: Whether several rows may go in one round trip, where the service takes it.
        on_row: Told how many rows were written.

    Raises:
        ConflictError: Somebody changed a row meanwhile; what was written until then stays.
        KifabrikError: The service refuses a row, or cannot be reached; likewise.
    """
    writer = _Writer(caller, service, entity, difference)
    size = writer.together() if together and len(difference.changes) > 1 else 1
    written = added = 0
    for start in range(0, len(difference.changes), size):
        some = difference.changes[start : start + size]
        try:
            writer.write(some) if size > 1 else writer.write_one(some[0])
        except KifabrikError as error:
            done = f"{written} of {len(difference.changes)} rows are written"
            if isinstance(error, UnavailableError):  # whether it arrived is not known
                more = "the one" if len(some) == 1 else f"the {len(some)}"
                raise type(error)(f"{error.message}; {done}, and perhaps {more} after them", hint=_AGAIN) from None
            raise type(error)(f"{error.message}; {done}", hint=error.hint or "Compare again, then push.") from None
        written += len(some)
        added += sum(change.before is None for change in some)
        on_row(len(some))
    return Written(added, written - added)


class _Writer:
    def __init__(self, caller: Caller, service: Service, entity: EntityType, difference: Difference) -> None:
        self._version = service.version
        self._entity = entity
        self._difference = difference
        self._guarded = Guarded(caller, eager=True)
        self._batches = Batches(caller, service.version, self._guarded)

    def together(self) -> int:
        """How many rows may go together."""
        one = {"$top": "1", "$select": ",".join(self._entity.keys)}
        found = self._batches.find(query(self._difference.entity_set, one))
        return 1 if found is BatchFormat.NONE else MOST_TOGETHER

    def write(self, changes: Sequence[Change]) -> None:
        try:
            self._batches.write([self._asking(change) for change in changes])
        except ChangeSetError as refused:
            known = 0 <= refused.number < len(changes)
            row = f"row {_key(changes[refused.number])}" if known else f"a row of {len(changes)}"
            more = "" if known else f", from {_key(changes[0])} to {_key(changes[-1])}"
            raise type(refused.error)(
                f"{refused.error.message}; {row}{more}, so none of these {len(changes)} is written",
                hint=refused.error.hint,
            ) from None

    def write_one(self, change: Change) -> None:
        one = self._asking(change)
        headers = dict(one.headers)
        method = one.method
        if method == "MERGE":
            method, headers["x-http-method"] = "POST", "MERGE"
        try:
            self._guarded.send(method, one.link, one.body, headers, again=False)
        except KifabrikError as error:
            raise type(error)(f"{error.message}; row {_key(change)}", hint=error.hint) from None

    def _asking(self, change: Change) -> Asking:
        version, fields = self._version, self._entity.fields
        values = change.after if change.before is not None else {**change.key, **change.after}
        names = change.fields if change.before is not None else list(values)
        body = json.dumps(
            {name: to_json(fields[name], values[name], version) for name in names}, ensure_ascii=False
        ).encode()
        headers = {"content-type": _TYPES[version], "accept": "application/json"}
        if change.before is None:
            return Asking("POST", self._difference.entity_set, headers, body)
        if change.tag:
            headers["if-match"] = change.tag
        method = "PATCH" if version is Version.V4 else "MERGE"
        return Asking(method, address(self._difference, self._entity, change, version), headers, body)


def _key(change: Change) -> str:
    return ", ".join(f"{name}={value}" for name, value in change.key.items())
