"""Decides requests one by one, and writes each decision down before it goes out.

Fetching comes first and without a lock; then the judge looks, headers are wrapped anew, the judge looks
again within the transaction that writes the decision. A revocation, erasure or freeze that came in
between, from whichever process, has its way.

Invariants:
- no key leaves without a decision in the database;
- nothing is fetched for a request that nobody of the tenant stands behind;
- a request is decided once; the same decision is sent again after a crash, byte for byte;
- while an own decision is missing in the log, no lease is signed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import IntegrityError, NotFoundError, UsageError
from kifabrik.grants.decision import bound_code
from kifabrik.keyholder.cases import Books, Cases
from kifabrik.keyholder.judge import AttemptCase, judge_attempt
from kifabrik.keyholder.judge_members import MemberCase, judge_member
from kifabrik.keyholder.library import Library
from kifabrik.keyholder.opening import rewrap_all, tree_of_code
from kifabrik.keyholder.records import Decision, predicate_of
from kifabrik.keyholder.results import result_recipient
from kifabrik.keyholder.state import State
from kifabrik.keyholder.vault import ORDER
from kifabrik.keyholder.verdicts import Asked, Reason, Refused, Released, Verdict, refuse
from kifabrik.leases.statements import AttemptRequest, Lease, LeasedItem, MemberRequest, Refusal
from kifabrik.leases.verify import verify_attempt_request
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.orders.tasks import is_awaited
from kifabrik.runs.statements import LogStream
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement, read_unverified, sign_statement, verify_statement
from kifabrik.values import Kind, format_time, new_id, sha256_hex

Request: TypeAlias = Statement[AttemptRequest] | Statement[MemberRequest]
Case: TypeAlias = AttemptCase | MemberCase


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Args:
        verdict: What was decided.
        receiver: Attempt or member id; empty where the request could not be read.
        run: Run id, likewise.
    """

    verdict: Verdict
    receiver: str
    run: str


@dataclass(frozen=True)
class _Fetched:
    """What a request needs from the factory.

    Args:
        statements: By digest, not verified.
        headers: Headers objects by the digest of the item, complete and of the stated digest.
        code: Code and packages, from `bound_code`, if a grant asks for them.
        fault: Why something is missing; empty if nothing is.
    """

    statements: dict[str, Envelope]
    headers: dict[str, bytes]
    code: str | None
    fault: Reason | None


class Desk:
    """Answers requests that stand in the log.

    Args:
        state: Keys and clock.
        books: Records.
        library: Fetches statements and headers.
    """

    def __init__(self, state: State, books: Books, library: Library) -> None:
        self._state = state
        self._books = books
        self._library = library
        self._cases = Cases(state, books)

    def decide(self, digest: str, head: TreeHead) -> Outcome:
        """Decide a request and write the decision down.

        Args:
            digest: Of the request statement; it stands in the log up to `head`.
            head: The newest head the mirror agrees with.

        Raises:
            UnavailableError: The factory cannot be reached; nothing was decided.
        """
        try:
            envelope = self._library.statement(digest)
            request = _verified_request(envelope, self._state.tenant)
        except (IntegrityError, NotFoundError, UsageError):
            self._library.forget(digest)
            return self.refuse_unread(digest)
        fetched = self._fetch(request)
        case = self._case(request, fetched)
        outcome = Outcome(_judge(case), _receiver(request), request.predicate.run)
        if isinstance(outcome.verdict, Released):
            return self._release(request, case, fetched, head, outcome)
        if isinstance(outcome.verdict, Refused):
            return self._refused(digest, outcome.verdict, outcome)
        self._books.records.set_asked(digest, outcome.run, outcome.verdict.message)
        return outcome

    def refuse_unread(self, digest: str) -> Outcome:
        """Refuse a request that cannot be judged, so that it keeps nobody else waiting."""
        verdict = refuse(Reason.BAD_REQUEST)
        return self._refused(digest, verdict, Outcome(verdict, "", ""))

    def refuse_all(self, digests: list[str]) -> int:
        """Refuse requests unseen, because everything is frozen; return how many were still undecided."""
        undecided = [digest for digest in digests if self._books.records.decision(digest) is None]
        for digest in undecided:
            verdict = refuse(Reason.FROZEN)
            self._refused(digest, verdict, Outcome(verdict, "", ""))
        return len(undecided)

    def warm(self, order_digest: str) -> None:
        """Fetch what a lease for an order will need, so that the lease itself is quick."""
        kept = self._books.records.order(order_digest)
        if kept is not None:
            order = kept.statement.predicate
            named = (item.manifest for item in order.inputs if not is_awaited(item))
            self._headers(self._items((order.code, *named)))

    def _fetch(self, request: Request) -> _Fetched:
        if not self._cases.may_be_answered(request.predicate):
            return _Fetched({}, {}, None, None)
        items = self._items(request.predicate.items)
        headers, fault = self._headers(items)
        code, code_fault = None, None
        if isinstance(request.predicate, AttemptRequest):
            code, code_fault = self._code(request.predicate, items, headers)
        return _Fetched(items, headers, code, fault or code_fault)

    def _items(self, digests: tuple[str, ...]) -> dict[str, Envelope]:
        return self._library.statements(digests)

    def _headers(self, items: dict[str, Envelope]) -> tuple[dict[str, bytes], Reason | None]:
        found: dict[str, bytes] = {}
        fault = None
        for digest, envelope in items.items():
            try:
                found[digest] = self._library.headers(_sealed(envelope))
            except (IntegrityError, NotFoundError):
                fault = Reason.MANIFEST
        return found, fault

    def _code(
        self, asked: AttemptRequest, items: dict[str, Envelope], headers: dict[str, bytes]
    ) -> tuple[str | None, Reason | None]:
        """Return what a grant can be bound to, code and packages, where one is."""
        kept = self._books.records.order(asked.order)
        if kept is None or not self._cases.asks_for_code(kept.statement.predicate):
            return None, None
        digest = kept.statement.predicate.code
        try:
            manifest = read_unverified(items[digest], Manifest)[0]
            identity = self._state.vault.identity(ORDER)
            tree = tree_of_code(manifest, headers[digest], identity, self._library.body)
            return bound_code(tree, kept.statement.predicate.lock), None
        except KeyError:
            return None, Reason.MANIFEST
        except (IntegrityError, NotFoundError):
            return None, Reason.FOREIGN

    def _case(self, request: Request, fetched: _Fetched) -> Case:
        if isinstance(request.predicate, AttemptRequest):
            return self._cases.attempt(request, fetched.statements, fetched.code)
        return self._cases.member(request, fetched.statements)

    def _release(
        self, request: Request, case: Case, fetched: _Fetched, head: TreeHead, outcome: Outcome
    ) -> Outcome:
        fault = fetched.fault
        wrapped: dict[str, bytes] = {}
        if fault is None:
            try:
                wrapped = self._wrap(request, case, fetched)
            except (IntegrityError, NotFoundError, UsageError):
                fault = Reason.FOREIGN
        if fault is not None:
            verdict = refuse(fault)
            return self._refused(request.digest, verdict, Outcome(verdict, outcome.receiver, outcome.run))
        with self._state.db.transaction():
            again = _judge(self._case(request, fetched))
            if isinstance(again, Released) and not self._books.records.missing_lease():
                self._sign(request, again, wrapped, head)
                return Outcome(again, outcome.receiver, outcome.run)
        if isinstance(again, Refused):
            return self._refused(request.digest, again, Outcome(again, outcome.receiver, outcome.run))
        return Outcome(Asked("An earlier decision does not stand in the log yet."), outcome.receiver, outcome.run)

    def _wrap(self, request: Request, case: Case, fetched: _Fetched) -> dict[str, bytes]:
        """Wrap every header anew for the receiver.

        Raises:
            IntegrityError: A header does not belong to the owner its manifest names.
        """
        receiver = [Recipient.from_text(request.predicate.recipient)]
        wrapped: dict[str, bytes] = {}
        for digest in request.predicate.items:
            manifest, old = case.manifests.get(digest), fetched.headers[digest]
            owner = manifest.owner if manifest is not None else f"{_run_of_log(case, digest)}/1"
            name = self._cases.identity_name(owner)
            expected = len(manifest.shards) + 1 if manifest is not None else 1
            whose = owner if name == ORDER else ""
            wrapped[digest] = rewrap_all(old, expected, self._state.vault.identity(name), receiver, owner=whose)
        return wrapped

    def _sign(self, request: Request, verdict: Released, wrapped: dict[str, bytes], head: TreeHead) -> None:
        """Sign a lease and write everything down; within the transaction."""
        records, lineage, now = self._books.records, self._books.lineage, self._state.clock.now()
        asked, created = request.predicate, format_time(now)
        output_recipient = ""
        if isinstance(asked, AttemptRequest):
            kept = records.order(asked.order)
            assert kept is not None  # noqa: S101 - the judge has seen it
            lineage.add_inputs(asked.run, [item.owner for item in kept.statement.predicate.inputs])
            output_recipient = result_recipient(asked.run, self._state.vault, lineage, created)
        lease = self._lease(request, verdict, wrapped, head, output_recipient, now)
        envelope = sign_statement(lease, {"request": request.digest}, self._state.keyholder_key)
        number = asked.number if isinstance(asked, AttemptRequest) else 0
        records.add_lease(lease, envelope.digest, number, verdict.used)
        records.add_decision(Decision(request.digest, envelope, wrapped), created)
        self._state.clock.keep()

    def _lease(
        self,
        request: Request,
        verdict: Released,
        wrapped: dict[str, bytes],
        head: TreeHead,
        output_recipient: str,
        now: datetime,
    ) -> Lease:
        asked = request.predicate
        attempt = asked if isinstance(asked, AttemptRequest) else None
        order = self._books.records.order_of(asked.run)
        index = self._books.records.request_index(request.digest)
        assert order is not None and index is not None  # noqa: S101, PT018 - the judge has seen both
        return Lease(
            lease=new_id(Kind.LEASE),
            tenant=self._state.tenant,
            request=request.digest,
            order=order.statement.digest,
            run=asked.run,
            receiver=_receiver(request),
            run_key=attempt.run_key if attempt else "",
            node_keys=attempt.node_keys if attempt else (),
            recipient=asked.recipient,
            items=tuple(LeasedItem(item, sha256_hex(wrapped[item])) for item in asked.items),
            grants=tuple(sorted({one.grant for one in verdict.used if one.grant})),
            output_recipient=output_recipient,
            environment=attempt.environment if attempt else "",
            log_index=index,
            log_size=head.size,
            log_root=head.root.hex(),
            created=format_time(now),
            expires=format_time(verdict.expires),
            attested=verdict.attested,
        )

    def _refused(self, request: str, verdict: Refused, outcome: Outcome) -> Outcome:
        """Sign a refusal and write it down."""
        created = self._state.clock.text()
        said = Refusal(self._state.tenant, request, verdict.reason, verdict.message, verdict.final, created)
        envelope = sign_statement(said, {"request": request}, self._state.keyholder_key)
        with self._state.db.transaction():
            if self._books.records.decision(request) is None:
                self._books.records.add_decision(Decision(request, envelope, {}), created)
                self._state.clock.keep()
        return outcome


def _judge(case: Case) -> Verdict:
    return judge_attempt(case) if isinstance(case, AttemptCase) else judge_member(case)


def _receiver(request: Request) -> str:
    asked = request.predicate
    return asked.attempt if isinstance(asked, AttemptRequest) else asked.member


def _run_of_log(case: Case, digest: str) -> str:
    """Return the run whose log an item is."""
    streams = case.streams if isinstance(case, MemberCase) else {}
    return streams[digest].run if digest in streams else case.request.predicate.run


def _verified_request(envelope: Envelope, tenant: str) -> Request:
    """Verify a request against the keys it names; whether those are to be trusted is the judge's question.

    Raises:
        IntegrityError: A signature is missing, or the request is of another tenant.
    """
    request: Request
    if predicate_of(envelope) == AttemptRequest.__predicate_type__:  # type: ignore[attr-defined]
        request = verify_attempt_request(envelope)
    else:
        claimed = read_unverified(envelope, MemberRequest)[0]
        request = verify_statement(envelope, MemberRequest, [VerifyKey.from_hex(claimed.device_key)])
    if request.predicate.tenant != tenant:
        raise IntegrityError("the request is of another tenant")
    return request


def _sealed(envelope: Envelope) -> Manifest | LogStream:
    """Return the manifest or log stream an item is; only its digest is known to be right.

    Raises:
        IntegrityError: It is neither.
    """
    if predicate_of(envelope) == LogStream.__predicate_type__:  # type: ignore[attr-defined]
        return read_unverified(envelope, LogStream)[0]
    return read_unverified(envelope, Manifest)[0]
