"""What was ordered, requested and decided: the keyholder's own memory of every release.

Invariants:
- one run has one order and one nonce: the first verified one in the log;
- one request has one decision, written here before it is sent;
- releases are never forgotten: limits, lineage and erasure certificates rest on them.
"""

import base64
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kifabrik.keyholder.database import Database
from kifabrik.keyholder.kept import read_kept
from kifabrik.leases.statements import Lease
from kifabrik.orders.order import Order
from kifabrik.orders.tasks import order_run
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement
from kifabrik.values import format_time

_DAY: Final = timedelta(hours=24)


@dataclass(frozen=True)
class KeptOrder:
    """An order that was verified when it was learnt.

    Args:
        statement: With its digest.
        log_index: Of its entry.
    """

    statement: Statement[Order]
    log_index: int


@dataclass(frozen=True)
class AskedRequest:
    """A request that waits for a person.

    Args:
        request: Its digest.
        run: Run id.
        note: Why a person must decide.
    """

    request: str
    run: str
    note: str


@dataclass(frozen=True)
class Decision:
    """A signed decision.

    Args:
        request: Digest of the request.
        envelope: Lease or refusal.
        headers: Item digest to new headers; empty for refusals, and once they were delivered.
        log_index: Of its entry in the log; None before it stands there.
    """

    request: str
    envelope: Envelope
    headers: Mapping[str, bytes]
    log_index: int | None = None


@dataclass(frozen=True)
class GivenLease:
    """A lease that was signed.

    Args:
        lease: Lease id.
        digest: Of the lease statement.
        request: Digest of the request.
        run: Run id.
        receiver: Attempt or member id.
        number: Of the attempt; 0 for a release to a member.
        run_key: Of the attempt, in hex; empty for members.
        created: Time.
    """

    lease: str
    digest: str
    request: str
    run: str
    receiver: str
    number: int
    run_key: str
    created: str


@dataclass(frozen=True)
class UsedDataset:
    """A dataset a lease made use of.

    Args:
        dataset: Dataset id.
        grant: The grant that permitted it; empty where it is not known any more, and for results of a run.
        direct: Whether its own keys were released, not only those of what was made from it.
    """

    dataset: str
    grant: str
    direct: bool


class Records:
    """Orders, requests, decisions and leases."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add_order(self, envelope: Envelope, order: Order, device: VerifyKey, log_index: int) -> bool:
        """Keep an order; the first of its run and of its nonce counts, and only that."""
        row = (envelope.digest, order.run, order.nonce, order.member, device.hex, envelope.to_json(), log_index)
        return self._db.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", row) > 0

    def order(self, digest: str) -> KeptOrder | None:
        """Return an order by its digest."""
        return self._kept(self._db.row("SELECT * FROM orders WHERE digest = ?", (digest,)))

    def order_of(self, run: str) -> KeptOrder | None:
        """Return the order of a run; of a sweep's task, that of the sweep. Whether it covers it is not said."""
        return self._kept(self._db.row("SELECT * FROM orders WHERE run = ?", (order_run(run),)))

    def _kept(self, row: sqlite3.Row | None) -> KeptOrder | None:
        if row is None:
            return None
        order, subjects = read_kept(row["envelope"], Order)
        signer = VerifyKey.from_hex(row["device_key"])
        return KeptOrder(Statement(order, subjects, signer, row["digest"]), row["log_index"])

    def add_request(self, digest: str, log_index: int) -> None:
        """Note that a request stands in the log."""
        self._db.execute("INSERT OR IGNORE INTO requests (digest, log_index) VALUES (?, ?)", (digest, log_index))

    def request_index(self, digest: str) -> int | None:
        """Return where a request stands in the log."""
        row = self._db.row("SELECT log_index FROM requests WHERE digest = ?", (digest,))
        return None if row is None else int(row["log_index"])

    def pending(self) -> list[str]:
        """Return the requests that can be decided now, oldest first; asked ones once a person has spoken."""
        rows = self._db.rows(
            "SELECT digest FROM requests WHERE decided = 0"
            " AND (asked = 0 OR digest IN (SELECT request FROM opinions)) ORDER BY log_index"
        )
        return [row["digest"] for row in rows]

    def asked(self) -> list[AskedRequest]:
        """Return the requests that wait for a person, oldest first."""
        rows = self._db.rows(
            "SELECT digest, run, note FROM requests WHERE decided = 0 AND asked = 1"
            " AND digest NOT IN (SELECT request FROM opinions) ORDER BY log_index"
        )
        return [AskedRequest(row["digest"], row["run"], row["note"]) for row in rows]

    def set_asked(self, digest: str, run: str, note: str) -> None:
        """Note that a person must decide, and why."""
        self._db.execute("UPDATE requests SET asked = 1, run = ?, note = ? WHERE digest = ?", (run, note, digest))

    def add_opinion(self, request: str, *, approved: bool, created: str) -> bool:
        """Keep what a person said about a request, or about a sweep by the digest of its order.

        The first word counts.
        """
        row = (request, int(approved), created)
        return self._db.execute("INSERT OR IGNORE INTO opinions VALUES (?, ?, ?)", row) > 0

    def opinion(self, request: str, sweep: str = "") -> bool | None:
        """Return whether a person has approved a request, or the sweep it is part of; None if nobody has spoken.

        Args:
            request: Its digest.
            sweep: Digest of the sweep's order, if it is for a task.
        """
        rows = self._db.rows("SELECT approved FROM opinions WHERE request IN (?, ?)", (request, sweep or request))
        return all(row["approved"] for row in rows) if rows else None

    def add_decision(self, decision: Decision, created: str) -> None:
        """Write down a decision that is about to be sent."""
        packed = json.dumps({item: base64.b64encode(data).decode() for item, data in decision.headers.items()})
        row = (
            decision.request,
            decision.envelope.digest,
            decision.envelope.to_json(),
            packed.encode(),
            created,
        )
        self._db.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, NULL, 0)", row)

    def decision(self, request: str) -> Decision | None:
        """Return the decision about a request."""
        row = self._db.row("SELECT * FROM decisions WHERE request = ?", (request,))
        return None if row is None else _decision(row)

    def open_decisions(self) -> list[Decision]:
        """Return the decisions that are not wholly delivered yet, oldest first."""
        rows = self._db.rows("SELECT * FROM decisions WHERE done = 0 ORDER BY created, rowid")
        return [_decision(row) for row in rows]

    def missing_lease(self) -> str:
        """Return the request of a lease that does not stand in the log yet; empty if there is none."""
        waiting = [one for one in self.open_decisions() if one.log_index is None and is_lease(one.envelope)]
        return waiting[0].request if waiting else ""

    def confirm(self, request: str, log_index: int) -> None:
        """Note that a decision stands in the log."""
        self._db.execute(
            "UPDATE decisions SET log_index = ? WHERE request = ? AND log_index IS NULL", (log_index, request)
        )

    def close_decision(self, request: str) -> None:
        """Note that nothing more is to be sent; the headers are not needed any more."""
        self._db.execute(
            "UPDATE decisions SET done = 1, headers = CAST('{}' AS BLOB) WHERE request = ?", (request,)
        )

    def drop_headers(self, dataset: str, *, results: bool) -> None:
        """Throw away the headers of undelivered leases that open an erased dataset, or what was made from it.

        Args:
            dataset: Dataset id.
            results: Whether those of its results too, which were to go to a member.
        """
        self._db.execute(
            "UPDATE decisions SET headers = CAST('{}' AS BLOB) WHERE done = 0 AND request IN"
            " (SELECT request FROM leases JOIN lease_datasets USING (lease)"
            " WHERE dataset = ? AND (number > 0 OR ?))",
            (dataset, int(results)),
        )

    def withdraw(self, request: str) -> None:
        """Forget a lease that is not on record and would not be given any more: its keys have never left."""
        with self._db.transaction():
            for table in ("lease_datasets", "leases"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE lease IN (SELECT lease FROM leases WHERE request = ?)",  # noqa: S608
                    (request,),
                )
            self._db.execute("DELETE FROM decisions WHERE request = ? AND log_index IS NULL", (request,))

    def add_lease(self, lease: Lease, digest: str, number: int, used: Iterable[UsedDataset]) -> None:
        """Keep a release."""
        row = (
            lease.lease,
            lease.request,
            digest,
            lease.run,
            lease.receiver,
            number,
            lease.run_key,
            lease.created,
        )
        self._db.execute("INSERT OR IGNORE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._db.insert_many(
            "INSERT OR IGNORE INTO lease_datasets VALUES (?, ?, ?, ?)",
            [(lease.lease, one.dataset, one.grant, int(one.direct)) for one in used],
        )

    def used_by(self, request: str) -> list[UsedDataset]:
        """Return what the lease that answers a request makes use of."""
        rows = self._db.rows(
            "SELECT dataset, grant_id, direct FROM lease_datasets JOIN leases USING (lease) WHERE request = ?",
            (request,),
        )
        return [UsedDataset(row["dataset"], row["grant_id"], bool(row["direct"])) for row in rows]

    def attempts(self, run: str) -> list[GivenLease]:
        """Return the leases given to attempts of a run."""
        return self._leases("SELECT * FROM leases WHERE run = ? AND number > 0 ORDER BY number", run)

    def releases_of(self, dataset: str) -> list[GivenLease]:
        """Return every lease that released a dataset's own keys, oldest first."""
        return self._leases(
            "SELECT DISTINCT leases.* FROM leases JOIN lease_datasets USING (lease)"
            " WHERE dataset = ? AND direct = 1 ORDER BY created, lease",
            dataset,
        )

    def result_releases_of(self, dataset: str) -> list[GivenLease]:
        """Return every lease that released keys of what was made from a dataset and not its own, oldest first."""
        return self._leases(
            "SELECT DISTINCT leases.* FROM leases JOIN lease_datasets USING (lease)"
            " WHERE dataset = ? AND direct = 0 ORDER BY created, lease",
            dataset,
        )

    def _leases(self, query: str, value: str) -> list[GivenLease]:
        return [
            GivenLease(
                row["lease"],
                row["digest"],
                row["request"],
                row["run"],
                row["receiver"],
                row["number"],
                row["run_key"],
                row["created"],
            )
            for row in self._db.rows(query, (value,))
        ]

    def runs_last_day(self, grant: str, now: datetime, *, but: str) -> int:
        """Return how many other runs were given keys under a grant within the last 24 hours."""
        row = self._db.row(
            "SELECT COUNT(DISTINCT run) AS runs FROM leases JOIN lease_datasets USING (lease)"
            " WHERE grant_id = ? AND number > 0 AND created > ? AND run <> ?",
            (grant, format_time(now - _DAY), but),
        )
        return int(row["runs"]) if row is not None else 0

    def use_nonce(self, nonce: str, request: str) -> bool:
        """Note the nonce of a member's request; False if another request had it."""
        self._db.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?)", (nonce, request))
        row = self._db.row("SELECT request FROM nonces WHERE nonce = ?", (nonce,))
        return row is not None and row["request"] == request


def _decision(row: sqlite3.Row) -> Decision:
    packed = json.loads(row["headers"])
    headers = {item: base64.b64decode(data) for item, data in packed.items()}
    return Decision(row["request"], Envelope.from_json(row["envelope"]), headers, row["log_index"])


def is_lease(envelope: Envelope) -> bool:
    """Whether one of our own decisions is a lease, not a refusal."""
    return predicate_of(envelope) == str(Lease.__predicate_type__)  # type: ignore[attr-defined]


def predicate_of(envelope: Envelope) -> str:
    """Return the predicate type a statement claims, unverified; empty where there is none."""
    try:
        body = json.loads(envelope.payload)
        return str(body["predicateType"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
