"""Write changed rows to a service.

A service that guards writes against forged requests gives a token when asked (`X-CSRF-Token: Fetch`) and wants it
with each write, along with its cookies. Source: SAP Gateway Foundation, "Cross-Site Request Forgery Protection".
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx

from kifabrik.connectors.sap.asking import Answer, Caller
from kifabrik.connectors.sap.literals import to_json
from kifabrik.connectors.sap.model import EntityType, Service, Version
from kifabrik.connectors.sap.push import Change, Difference, address
from kifabrik.errors import ConflictError, KifabrikError, RefusedError

_TOKEN: Final = "x-csrf-token"  # noqa: S105 - the name of a header
_TYPES: Final = {
    Version.V4: "application/json;IEEE754Compatible=true",
    Version.V2: "application/json",
}


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
    on_row: Callable[[int], None] = lambda _rows: None,
) -> Written:
    """Write every change, one after the other.

    Raises:
        ConflictError: Somebody changed a row meanwhile; what was written until then stays.
        KifabrikError: The service refuses a row, or cannot be reached; likewise.
    """
    writer = _Writer(caller, service.version)
    added = changed = 0
    for change in difference.changes:
        try:
            _write(writer, service, entity, difference, change)
        except KifabrikError as error:
            done = f"{added + changed} of {len(difference.changes)} rows are written"
            raise type(error)(f"{error.message}; {done}", hint=error.hint or "Compare again, then push.") from None
        added += change.before is None
        changed += change.before is not None
        on_row(1)
    return Written(added, changed)


def _write(writer: "_Writer", service: Service, entity: EntityType, difference: Difference, change: Change) -> None:
    version = service.version
    values = change.after if change.before is not None else {**change.key, **change.after}
    names = change.fields if change.before is not None else list(values)
    body = {name: to_json(entity.fields[name], values[name], version) for name in names}
    if change.before is None:
        writer.send("POST", difference.entity_set, body)
        return
    tag = {"if-match": change.tag} if change.tag else {}
    writer.send("PATCH", address(difference, entity, change, version), body, tag)


class _Writer:
    def __init__(self, caller: Caller, version: Version) -> None:
        self._caller = caller
        self._version = version
        self._token = self._fetch()

    def send(self, method: str, link: str, body: dict[str, object], headers: dict[str, str] | None = None) -> None:
        for turn in range(2):
            try:
                self._send(method, link, body, headers or {})
            except RefusedError:
                # The session the token belongs to may have ended.
                fresh = self._fetch() if turn == 0 and self._token else ""
                if not fresh:
                    raise
                self._token = fresh
            else:
                return

    def _send(self, method: str, link: str, body: dict[str, object], headers: dict[str, str]) -> Answer:
        head = {"content-type": _TYPES[self._version], "accept": "application/json", **headers}
        if self._token:
            head[_TOKEN] = self._token
        if method == "PATCH" and self._version is Version.V2:
            method, head["x-http-method"] = "POST", "MERGE"
        data = json.dumps(body, ensure_ascii=False).encode()
        return self._caller.send(method, link, headers=head, body=data, again=False)

    def _fetch(self) -> str:
        """Ask for a token; '' if the service wants none."""
        try:
            answer = self._caller.get("", {_TOKEN: "Fetch", "accept": "application/json"})
        except (RefusedError, ConflictError):
            return ""
        token = answer.headers.get(_TOKEN, "")
        return token if answer.status == httpx.codes.OK and token.lower() != "required" else ""
