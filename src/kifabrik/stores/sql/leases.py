"""Rows of requests for keys and their answers."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from kifabrik.factory.records import KeyRequest, RequestState
from kifabrik.stores.sql.rows import chunks, plain, record
from kifabrik.stores.sql.schema.leases import headers as header_table
from kifabrik.stores.sql.schema.leases import requests


class SqlLeaseRows:
    """Implements `kifabrik.factory.rows.LeaseRows`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add(self, request: KeyRequest) -> None:
        """Add a request."""
        self._sql.execute(insert(requests).values(**plain(request)))

    def get(self, tenant: str, digest: str) -> KeyRequest | None:
        """Find a request."""
        row = self._sql.execute(select(requests).where(*_one(tenant, digest))).one_or_none()
        return None if row is None else _request(row)

    def of_runs(self, tenant: str, runs: Iterable[str]) -> list[KeyRequest]:
        """All requests about these runs, of each the oldest first."""
        found = []
        for chunk in chunks(runs):
            query = select(requests).where(requests.c.tenant == tenant, requests.c.run.in_(chunk))
            rows = self._sql.execute(query.order_by(requests.c.created, requests.c.digest))
            found += [_request(row) for row in rows]
        return found

    def decide(self, tenant: str, digest: str, state: RequestState, decision: str) -> bool:
        """Record the answer or, for the same one, how far it is; whether there was no other before."""
        where = (*_one(tenant, digest), requests.c.decision.in_(("", decision)))
        change = update(requests).where(*where).values(state=str(state), decision=decision)
        return self._sql.execute(change).rowcount == 1

    def set_asked(self, tenant: str, digest: str) -> bool:
        """Note that a person must decide; whether nobody had decided."""
        where = (*_one(tenant, digest), requests.c.decision == "")
        return self._sql.execute(update(requests).where(*where).values(state=str(RequestState.ASKED))).rowcount == 1

    def add_headers(self, tenant: str, digest: str, headers: Mapping[str, bytes]) -> None:
        """Keep the headers released with a lease."""
        rows = [
            {"tenant": tenant, "request": digest, "item": item, "headers": blob} for item, blob in headers.items()
        ]
        if rows:
            self._sql.execute(insert(header_table), rows)

    def headers(self, tenant: str, digest: str) -> dict[str, bytes]:
        """The headers released with a lease, by item."""
        where = (header_table.c.tenant == tenant, header_table.c.request == digest)
        return {row.item: row.headers for row in self._sql.execute(select(header_table).where(*where))}

    def drop_headers_to_members(self, tenant: str, runs: Iterable[str]) -> int:
        """Delete the headers that were released to members for results and logs of these runs; how many."""
        dropped = 0
        for chunk in chunks(runs):
            to_members = (requests.c.tenant == tenant, requests.c.member != "", requests.c.run.in_(chunk))
            asked = select(requests.c.digest).where(*to_members)
            where = (header_table.c.tenant == tenant, header_table.c.request.in_(asked))
            dropped += self._sql.execute(delete(header_table).where(*where)).rowcount
        return dropped


def _one(tenant: str, digest: str) -> tuple[ColumnElement[bool], ...]:
    return requests.c.tenant == tenant, requests.c.digest == digest


def _request(row: Row[Any]) -> KeyRequest:
    return record(KeyRequest, row, state=RequestState(row.state))
