"""Whether database, objects and logs agree: for `kifabrik admin check` and after every test of faults.

It reads only, and may run beside the service: what is in the middle of happening is written down
somewhere (an upload, a deletion), and is not reported.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from kifabrik.errors import IntegrityError
from kifabrik.factory.findings import Finding, FurtherCheck
from kifabrik.factory.keys import object_key
from kifabrik.factory.log import Log
from kifabrik.factory.ports import ObjectStore, Store, Transaction
from kifabrik.factory.records import LogState, Tenant
from kifabrik.ledger.entry import Entry
from kifabrik.ledger.notes import NoteVerifier
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.verify import verify_log

_STATEMENT_REFS: Final = (
    "statement",
    "membership",
    "device",
    "manifest",
    "order",
    "finish",
    "request",
    "erasure",
    "certificate",
)
"""References that name a statement by its digest (docs/formats/ledger.md)."""

_BATCH: Final = 1000


_RESTORE: Final = "Copy it back from your backup of objects/; without one the tenant must seal or run again."
_STRAY: Final = "Nothing reads it; move it away once you know where it comes from."
_AGAIN: Final = "The service deletes it within six hours while it runs, and at once when it starts."
_EVIDENCE: Final = (
    "Keep a copy of database and keys/ as evidence and tell the tenant: its keyholder will refuse this log."
)
_STATEMENT_GONE: Final = "Bring it back from a backup of the database: whoever verifies the log will ask for it."
_COUNTED: Final = (
    "The quota is judged by the count: correct `bytes_used` of the tenant once the service is stopped."
)


class Check:
    """Compares what the factory keeps in different places.

    Args:
        store: Rows.
        files: Objects.
        log: Serves tiles as readers see them.
        further: Look at runs, at entries, at the machine.
    """

    def __init__(self, store: Store, files: ObjectStore, log: Log, further: Sequence[FurtherCheck]) -> None:
        self._store = store
        self._files = files
        self._log = log
        self._further = further

    def run(self, *, deep: bool = False) -> list[Finding]:
        """Return everything that does not agree; nothing if all is well.

        Args:
            deep: Also read every object and compare its digest.
        """
        with self._store.read() as transaction:
            tenants = transaction.accounts.tenants()
        found = [finding for tenant in tenants for finding in self._tenant(tenant)]
        found += [finding for check in self._further for finding in check.run()]
        return [*found, *self._objects(), *(self._digests() if deep else ())]

    def _tenant(self, tenant: Tenant) -> Iterator[Finding]:
        with self._store.read() as transaction:
            state = transaction.logs.state(tenant.tenant)
            if state is None:
                yield Finding(tenant.tenant, "it has no log", _EVIDENCE)
                return
            named = _named_statements(transaction, state)
            recorded = dict(transaction.statements.digests(tenant.tenant))
            expected = transaction.objects.bytes_of(tenant.tenant)
            used = transaction.accounts.tenant(tenant.tenant)
        policy = Policy.of(NoteVerifier.from_vkey(state.vkey))
        report = verify_log(lambda path: self._log.tile(tenant.tenant, path), state.head, policy)
        if report.finding is not None:
            yield Finding(tenant.tenant, f"its log does not verify: {report.finding}", _EVIDENCE)
        for digest, indexes in named.items():
            if digest not in recorded:
                what = f"entry {min(indexes)} names statement {digest[:16]}, which is missing"
                yield Finding(tenant.tenant, what, _STATEMENT_GONE)
        for digest, index in recorded.items():
            if index is not None and index not in named.get(digest, ()):
                what = f"statement {digest[:16]} is not named by its log entry {index}"
                yield Finding(tenant.tenant, what, _EVIDENCE)
        if used is not None and used.bytes_used != expected:
            yield Finding(tenant.tenant, f"{used.bytes_used} bytes are counted, {expected} are there", _COUNTED)

    def _objects(self) -> Iterator[Finding]:
        # Files first: what comes to be meanwhile has a row by the time the rows are read.
        files = dict(self._files.keys())
        with self._store.read() as transaction:
            rows = {
                object_key(tenant, digest): (tenant, size) for tenant, digest, size in transaction.objects.all()
            }
            moving = {object_key(tenant, digest) for tenant, digest in transaction.objects.moving()}
            lacking = Counter((tenant, manifest) for tenant, manifest, _ in transaction.datasets.missing_objects())
        for (tenant, manifest), count in lacking.items():
            yield Finding(tenant, f"version {manifest[:16]} lacks {count} of its objects", _RESTORE)
        for key, (tenant, size) in rows.items():
            there = files[key] if key in files else self._files.size(key)
            if there is None:
                yield Finding(tenant, f"object {key} is missing", _RESTORE)
            elif there != size:
                yield Finding(tenant, f"object {key} has {there} bytes, not {size}", _RESTORE)
        for key in files.keys() - rows.keys() - moving:
            tenant, digest = key.partition("/")[0], key.rpartition("/")[2]
            with self._store.read() as transaction:
                again = transaction.objects.came_again(tenant, [digest])
            if again:
                yield Finding(tenant, f"object {key} came again after it was deleted ({again[0].why})", _AGAIN)
            else:
                yield Finding(tenant, f"object {key} belongs to nothing", _STRAY)

    def _digests(self) -> Iterator[Finding]:
        with self._store.read() as transaction:
            rows = list(transaction.objects.all())
        for tenant, digest, _ in rows:
            key = object_key(tenant, digest)
            if self._files.size(key) is None:
                continue  # reported already
            hashed = hashlib.sha256()
            for piece in self._files.read(key):
                hashed.update(piece)
            if hashed.hexdigest() != digest:
                yield Finding(tenant, f"object {key} has other bytes than it is named after", _RESTORE)


def _named_statements(transaction: Transaction, state: LogState) -> dict[str, set[int]]:
    """Every statement a log names, with the entries that do."""
    named: dict[str, set[int]] = {}
    for start in range(0, state.tree.size, _BATCH):
        end = min(start + _BATCH, state.tree.size)
        for index, data in enumerate(transaction.logs.entries(state.tenant, start, end), start):
            try:
                refs = Entry.from_bytes(data).refs
            except IntegrityError:
                continue  # verifying the log names it
            for digest in {str(refs[name]) for name in _STATEMENT_REFS if refs.get(name)}:
                named.setdefault(digest, set()).add(index)
    return named
