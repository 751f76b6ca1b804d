"""Requests for keys, their way to the keyholder, and its answers.

Invariants:
- a request stands in the log before the keyholder hears of it;
- a request is answered once: the same answer again changes nothing, another one is a conflict;
- an answer is on record before its headers are handed on;
- an answer is taken only if the present keyholder signed it and it fits the request, key by key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from kifabrik.factory.accounts import find_tenant
from kifabrik.factory.hints import lease_topic
from kifabrik.factory.keyholders import Keyholders
from kifabrik.factory.log import Log
from kifabrik.factory.members import Members
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import (
    KeyRequest,
    MailKind,
    Principal,
    Recorded,
    RequestState,
    SealedDetail,
    TokenKind,
)
from kifabrik.factory.statements import Statements
from kifabrik.leases.statements import AttemptRequest, Lease, MemberRequest, Refusal
from kifabrik.leases.verify import (
    verify_attempt_lease,
    verify_attempt_request,
    verify_headers,
    verify_member_lease,
)
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.signatures.canonical import from_canonical
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import PREDICATE_ROOT, Statement, read_unverified, verify_statement

_DATASET: Final = "d-"
_LEASE: Final = PREDICATE_ROOT + "lease/v1"


class AttemptGate(Protocol):
    """What the runs say about an attempt that asks for keys."""

    def check_request(self, transaction: Transaction, request: AttemptRequest) -> None:
        """Check a verified request against the attempt it is about, within `transaction`.

        Raises:
            KifabrikError: The attempt has ended, or the request says otherwise than its order or place.
        """
        ...


@dataclass(frozen=True)
class Answer:
    """How a request stands; `headers` by item, once keys are released."""

    request: KeyRequest
    keyholder_seen: str
    decision: Envelope | None
    headers: Mapping[str, bytes]


class Leases:
    """Takes requests and decisions, and shows how they stand.

    Args:
        store: Opens transactions.
        log: Wakes who waits.
        statements: Keeps requests and decisions.
        members: Knows devices.
        keyholders: Knows the key a decision must be signed by.
        gate: Knows attempts.
    """

    def __init__(
        self,
        store: Store,
        log: Log,
        statements: Statements,
        members: Members,
        keyholders: Keyholders,
        gate: AttemptGate,
    ) -> None:
        self._store = store
        self._log = log
        self._statements = statements
        self._members = members
        self._keyholders = keyholders
        self._gate = gate

    def request(self, caller: Principal, request: Envelope) -> Recorded:
        """Put a request for keys on record and tell the keyholder.

        Raises:
            IntegrityError: Not signed by those it names.
            RefusedError: It is made out for somebody else than the caller.
            NotFoundError: It asks for something that is not there.
        """
        with self._store.write(caller.tenant) as transaction:
            if caller.kind is TokenKind.ATTEMPT:
                record, refs = self._of_attempt(transaction, caller, request)
            else:
                record, refs = self._of_member(transaction, caller, request)
            recorded = self._statements.recorded(transaction, caller.tenant, request)
            if recorded is not None:
                return recorded
            transaction.leases.add(record)
            return self._statements.put_on_record(
                transaction, caller.tenant, request, EntryKind.LEASE_REQUESTED, refs, mail=MailKind.REQUEST
            )

    def answer(self, caller: Principal, digest: str) -> Answer:
        """How a request of the caller stands.

        Raises:
            NotFoundError: There is no such request of the caller.
        """
        with self._store.read() as transaction:
            found = transaction.leases.get(caller.tenant, digest)
            if found is None or (found.attempt, found.member) != (caller.attempt, caller.member):
                raise NotFoundError("there is no such request")
            seen = find_tenant(transaction, caller.tenant).keyholder_seen
            if found.state in (RequestState.PENDING, RequestState.ASKED):
                return Answer(found, seen, None, {})
            decision = transaction.statements.get(caller.tenant, found.decision)
            return Answer(found, seen, decision, transaction.leases.headers(caller.tenant, digest))

    def ask(self, tenant: str, digest: str) -> None:
        """Note that a person at the keyholder must decide.

        Raises:
            NotFoundError: There is no such request.
        """
        with self._store.write(tenant) as transaction:
            if transaction.leases.get(tenant, digest) is None:
                raise NotFoundError("there is no such request")
            transaction.leases.set_asked(tenant, digest)
            self._log.hints.after(transaction, lease_topic(tenant, digest))

    def decide(
        self, tenant: str, decision: Envelope, headers: Mapping[str, bytes], detail: SealedDetail | None
    ) -> Recorded:
        """Take the keyholder's lease or refusal.

        A lease may come twice: first without its headers, which puts it on record, and with them once the
        keyholder has seen it in the log. Only then is the request answered.

        Raises:
            IntegrityError: Not signed by the present keyholder, or not fitting request or headers.
            NotFoundError: There is no such request.
            ConflictError: The request was answered otherwise before.
            RefusedError: The lease has expired, is for a dataset that is being erased, or relies on a grant
                that is over.
        """
        with self._store.write(tenant) as transaction:
            key = VerifyKey.from_hex(self._keyholders.present(transaction, tenant).keyholder_key)
            said = _verified(decision, key)
            found = transaction.leases.get(tenant, said.request)
            if found is None:
                raise NotFoundError("there is no such request")
            recorded = self._statements.recorded(transaction, tenant, decision)
            if recorded is not None and found.decision == decision.digest:
                if isinstance(said, Lease) and headers and found.state is not RequestState.RELEASED:
                    verify_headers(said, headers)
                    self._hand_over(transaction, found, decision, headers)
                return recorded
            if found.decision:
                raise ConflictError(
                    "this request was answered before",
                    hint="Another keyholder answers for this tenant; one of them must stop.",
                )
            if isinstance(said, Lease):
                self._check_lease(transaction, found, decision, key)
                if headers:
                    verify_headers(said, headers)
            elif headers:
                raise IntegrityError("a refusal releases no headers")
            return self._enter(transaction, found, said, decision, headers, detail)

    def _enter(
        self,
        transaction: Transaction,
        found: KeyRequest,
        said: Lease | Refusal,
        decision: Envelope,
        headers: Mapping[str, bytes],
        detail: SealedDetail | None,
    ) -> Recorded:
        kind = EntryKind.LEASE_RELEASED if isinstance(said, Lease) else EntryKind.LEASE_REFUSED
        refs: dict[str, RefValue] = {"request": found.digest, "run": found.run, "statement": decision.digest}
        if isinstance(said, Lease):
            datasets = _datasets(transaction, found.tenant, [item.item for item in said.items])
            refs |= {"lease": said.lease, "receiver": said.receiver, "datasets": datasets, "grants": said.grants}
            if said.attested:
                refs |= {"attested": tuple(sorted({one.type for one in said.attested}))}
        else:
            refs |= {"reason": said.reason}
        if isinstance(said, Refusal):
            transaction.leases.decide(found.tenant, found.digest, RequestState.REFUSED, decision.digest)
            self._log.hints.after(transaction, lease_topic(found.tenant, found.digest))
        elif headers:
            self._hand_over(transaction, found, decision, headers)
        else:
            transaction.leases.decide(found.tenant, found.digest, RequestState.PENDING, decision.digest)
        return self._statements.put_on_record(
            transaction, found.tenant, decision, kind, refs, detail=detail, mail=None
        )

    def _hand_over(
        self, transaction: Transaction, found: KeyRequest, decision: Envelope, headers: Mapping[str, bytes]
    ) -> None:
        """Keep the headers of a lease and tell whoever waits for it."""
        transaction.leases.decide(found.tenant, found.digest, RequestState.RELEASED, decision.digest)
        transaction.leases.add_headers(found.tenant, found.digest, headers)
        self._log.hints.after(transaction, lease_topic(found.tenant, found.digest))

    def _of_attempt(
        self, transaction: Transaction, caller: Principal, request: Envelope
    ) -> tuple[KeyRequest, dict[str, RefValue]]:
        said = verify_attempt_request(request).predicate
        if (said.tenant, said.run, said.attempt) != (caller.tenant, caller.run, caller.attempt):
            raise RefusedError("the request is made out for another attempt than the token")
        _check_items(transaction, caller.tenant, said.items)
        self._gate.check_request(transaction, said)
        record = KeyRequest(
            said.tenant, request.digest, said.run, "", said.attempt, RequestState.PENDING, self._log.now()
        )
        refs: dict[str, RefValue] = {
            "request": request.digest,
            "run": said.run,
            "attempt": said.attempt,
            "order": said.order,
            "items": said.items,
        }
        if len(said.nodes) > 1:
            refs["nodes"] = said.node_names
        return record, refs

    def _of_member(
        self, transaction: Transaction, caller: Principal, request: Envelope
    ) -> tuple[KeyRequest, dict[str, RefValue]]:
        device = self._members.device(transaction, caller.tenant, caller.member)
        said = verify_statement(request, MemberRequest, [device.key]).predicate
        named = (said.tenant, said.member, said.device_key, said.recipient)
        if named != (caller.tenant, caller.member, device.key.hex, device.recipient):
            raise RefusedError("the request is made out for another device than the token")
        _check_items(transaction, caller.tenant, said.items)
        record = KeyRequest(
            said.tenant, request.digest, said.run, said.member, "", RequestState.PENDING, self._log.now()
        )
        refs: dict[str, RefValue] = {
            "request": request.digest,
            "run": said.run,
            "member": said.member,
            "items": said.items,
        }
        return record, refs

    def _check_lease(self, transaction: Transaction, found: KeyRequest, decision: Envelope, key: VerifyKey) -> None:
        envelope = transaction.statements.get(found.tenant, found.digest)
        if envelope is None:
            raise NotFoundError("there is no such request")
        now = self._log.clock()
        if found.attempt:
            lease = verify_attempt_lease(decision, key, verify_attempt_request(envelope), now).predicate
        else:
            lease = verify_member_lease(decision, key, _member_request(envelope), now).predicate
        for dataset in _datasets(transaction, found.tenant, [item.item for item in lease.items]):
            if transaction.datasets.erasure(found.tenant, dataset) is not None:
                raise RefusedError(f"it is decided that dataset {dataset} be erased", hint="Refuse the request.")
        for grant in lease.grants:
            given = transaction.datasets.grant(found.tenant, grant)
            if given is None or given.revoked:
                raise RefusedError(f"grant {grant} is revoked, or was never given", hint="Refuse the request.")


def _verified(decision: Envelope, key: VerifyKey) -> Lease | Refusal:
    kind = from_canonical(decision.payload)
    if isinstance(kind, dict) and kind.get("predicateType") == _LEASE:
        return verify_statement(decision, Lease, [key]).predicate
    return verify_statement(decision, Refusal, [key]).predicate


def _member_request(envelope: Envelope) -> Statement[MemberRequest]:
    """Read a request whose signature was verified when it came; the device may be gone since."""
    said, _ = read_unverified(envelope, MemberRequest)
    return verify_statement(envelope, MemberRequest, [VerifyKey.from_hex(said.device_key)])


def _check_items(transaction: Transaction, tenant: str, items: tuple[str, ...]) -> None:
    missing = set(items) - transaction.statements.known(tenant, items)
    if missing or not items:
        raise NotFoundError(f"there is nothing with the digest {min(missing, default='')[:16]} to release keys for")


def _datasets(transaction: Transaction, tenant: str, items: Iterable[str]) -> tuple[str, ...]:
    versions = transaction.datasets.by_manifests(tenant, items).values()
    return tuple(sorted({one.owner for one in versions if one.owner.startswith(_DATASET)}))
