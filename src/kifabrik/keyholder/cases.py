"""Gathers what a judge needs to know: own records, verified statements, nothing unverified.

Invariants:
- statements that were fetched for a request count only after verification against the key that the
  log or an own lease names: the orderer's device for code, earlier run keys for what runs made;
- a statement that does not verify is left out, and the judge refuses for its absence.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kifabrik.datasets.manifest import Manifest, verify_manifest
from kifabrik.errors import IntegrityError, UsageError
from kifabrik.grants.decision import GrantFacts
from kifabrik.grants.statements import Grant
from kifabrik.keyholder.attestation import Attestations
from kifabrik.keyholder.attested import Attested, Unattested, attest
from kifabrik.keyholder.blocks import EVERYTHING, Blocks, Cause
from kifabrik.keyholder.erasures import Erasures
from kifabrik.keyholder.holdings import Holdings
from kifabrik.keyholder.judge import AttemptCase, DatasetFacts
from kifabrik.keyholder.judge_members import MemberCase
from kifabrik.keyholder.lineage import Lineage, is_dataset, run_of
from kifabrik.keyholder.people import People
from kifabrik.keyholder.records import KeptOrder, Records
from kifabrik.keyholder.state import State
from kifabrik.keyholder.vault import ORDER, dataset_secret, result_secret
from kifabrik.leases.statements import AttemptRequest, MemberRequest
from kifabrik.orders.order import Order
from kifabrik.orders.tasks import covers, is_awaited, order_run, runs_of
from kifabrik.runs.statements import LogStream
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement, read_unverified, verify_statement

_CODE_AND_CHECKPOINT: Final = 2


@dataclass(frozen=True)
class Books:
    """Everything that was learnt and decided."""

    people: People
    holdings: Holdings
    records: Records
    lineage: Lineage
    blocks: Blocks
    erasures: Erasures
    attestations: Attestations

    @classmethod
    def of(cls, state: State) -> "Books":
        """Open the books of a keyholder."""
        db = state.db
        return cls(People(db), Holdings(db), Records(db), Lineage(db), state.blocks, Erasures(db), Attestations(db))

    @property
    def frozen(self) -> bool:
        """Whether nothing at all may be released."""
        return bool(self.blocks.on(EVERYTHING))

    @property
    def alarmed(self) -> bool:
        """Whether the log is not trusted any more, or another keyholder has taken over."""
        return self.blocks.holds(EVERYTHING, Cause.ALARM, Cause.DOUBLED, Cause.SUPERSEDED)

    @property
    def doubled(self) -> bool:
        """Whether another keyholder answers in this one's place: then this one must not answer at all."""
        return self.blocks.holds(EVERYTHING, Cause.DOUBLED, Cause.SUPERSEDED)


class Cases:
    """Makes cases from requests.

    Args:
        state: Keys and clock.
        books: Records.
    """

    def __init__(self, state: State, books: Books) -> None:
        self._state = state
        self._books = books

    def attempt(
        self, request: Statement[AttemptRequest], fetched: Mapping[str, Envelope], code: str | None
    ) -> AttemptCase:
        """Gather what is known about a request of an attempt.

        Args:
            request: All its signatures verified.
            fetched: Statements it names, not verified, by digest.
            code: Code and packages, from `bound_code`, if a grant asks for them.
        """
        books, asked = self._books, request.predicate
        kept = self._order_before(books.records.order(asked.order), request.digest)
        order = kept.statement if kept else None
        owners = [item.owner for item in order.predicate.inputs] if order else []
        ancestry = books.lineage.ancestry(owners)
        everything = {*owners, *(owner for inputs in ancestry.values() for owner in inputs or ())}
        again = self._again(order)
        code_of = again.predicate.run if again else order_run(asked.run)
        recipients = self._recipients([f"{code_of}/code", *owners])
        return AttemptCase(
            request=request,
            order=order,
            device=books.people.by_key(order.signer.hex) if order else None,
            manifests=self._manifests(order, fetched),
            recipients=recipients | self._checkpoint_recipient(asked.run),
            ancestry=ancestry,
            datasets={one: self._dataset(one, asked.run) for one in everything if is_dataset(one)},
            attempts=books.records.attempts(asked.run),
            again=again,
            needed=self._needed(order),
            outputs=self._awaited(order),
            erased_results=self._results_erased(asked.run),
            code=code,
            attested=self._attested(request, kept),
            opinion=books.records.opinion(request.digest, order.digest if order and order.predicate.tasks else ""),
            frozen=books.frozen,
            now=self._state.clock.now(),
        )

    def _again(self, order: Statement[Order] | None) -> Statement[Order] | None:
        """Return the earlier order whose code an order runs again, if it stands in the log before it."""
        if order is None or not order.predicate.again:
            return None
        own, earlier = (self._books.records.order(one) for one in (order.digest, order.predicate.again))
        return earlier.statement if own and earlier and earlier.log_index < own.log_index else None

    def _needed(self, order: Statement[Order] | None) -> dict[str, str]:
        """Return the digests of the orders of the runs that an order needs, where all of them have ended well."""
        records, lineage = self._books.records, self._books.lineage
        kept = {one.run: records.order_of(one.run) for one in order.predicate.needs} if order else {}
        return {
            run: one.statement.digest
            for run, one in kept.items()
            if one is not None and lineage.succeeded(run).issuperset(runs_of(one.statement.predicate))
        }

    def _awaited(self, order: Statement[Order] | None) -> dict[str, str]:
        """Return what the needed runs have ended with; what a signed end named first counts."""
        inputs = order.predicate.inputs if order else ()
        return {item.owner: self._books.lineage.output(item.owner) for item in inputs if is_awaited(item)}

    def member(self, request: Statement[MemberRequest], fetched: Mapping[str, Envelope]) -> MemberCase:
        """Gather what is known about a request of a member's device; notes its nonce."""
        books, asked = self._books, request.predicate
        kept = self._order_before(books.records.order_of(asked.run), request.digest)
        order = kept.statement if kept else None
        streams = {
            digest: stream
            for digest, envelope in fetched.items()
            if order is not None and (stream := self._stream(envelope, order.predicate)) is not None
        }
        manifests = self._manifests(order, fetched)
        runs = {run_of(manifests[item].owner) for item in asked.items if item in manifests}
        runs |= {streams[item].run for item in asked.items if item in streams}
        runs |= {asked.run} if order is None or not order.predicate.tasks else set()
        behind = self._datasets_behind(runs)
        return MemberCase(
            request=request,
            device=books.people.by_key(asked.device_key),
            order=order,
            manifests=manifests,
            streams=streams,
            recipients={run: self._result_recipient(run) for run in runs},
            fresh_nonce=books.records.use_nonce(asked.nonce, request.digest),
            behind=behind,
            frozen_inputs=any(books.blocks.holds(one, Cause.FROZEN, Cause.ALARM) for one in behind),
            frozen=books.frozen,
            opinion=books.records.opinion(request.digest),
            now=self._state.clock.now(),
        )

    def may_be_answered(self, asked: AttemptRequest | MemberRequest) -> bool:
        """Whether an order or a device of the tenant stands behind a request, and it asks for no more than that."""
        if isinstance(asked, MemberRequest):
            return self._books.people.by_key(asked.device_key) is not None
        kept = self._books.records.order(asked.order)
        return kept is not None and len(asked.items) <= len(kept.statement.predicate.inputs) + _CODE_AND_CHECKPOINT

    def asks_for_code(self, order: Order) -> bool:
        """Whether a grant on anything the order uses is bound to a code digest."""
        return any(grant.code is not None for grant in self._grants_behind(order))

    def _grants_behind(self, order: Order) -> Iterator[Grant]:
        """Give the grants on everything an order uses, live or not."""
        owners = [item.owner for item in order.inputs]
        behind = self._books.lineage.ancestry(owners).values()
        for dataset in {*owners, *(owner for inputs in behind for owner in inputs or ())}:
            if is_dataset(dataset):
                yield from self._books.holdings.grants(dataset)

    def _attested(self, request: Statement[AttemptRequest], kept: KeptOrder | None) -> Attested | Unattested | None:
        """Verify what the nodes show, where a grant asks for it."""
        index = self._books.records.request_index(request.digest)
        if kept is None or index is None:
            return None
        if not any(grant.attested for grant in self._grants_behind(kept.statement.predicate)):
            return None
        return attest(request, self._state, self._books.attestations, after=kept.log_index, before=index)

    def _order_before(self, kept: KeptOrder | None, request: str) -> KeptOrder | None:
        """Return the order if it stands in the log before the request."""
        index = self._books.records.request_index(request)
        return kept if kept is not None and index is not None and kept.log_index < index else None

    def _manifests(self, order: Statement[Order] | None, fetched: Mapping[str, Envelope]) -> dict[str, Manifest]:
        found: dict[str, Manifest] = {}
        named = {item.manifest for item in order.predicate.inputs} if order else set()
        for digest in {*named, *fetched}:
            learnt = self._books.holdings.manifest(digest)
            if learnt is not None:
                found[digest] = learnt
            elif digest in fetched and order is not None:
                manifest = self._verified(fetched[digest], order)
                if manifest is not None:
                    found[digest] = manifest
        return found

    def _verified(self, envelope: Envelope, order: Statement[Order]) -> Manifest | None:
        """Return the manifest of code, a result or a checkpoint, if who must have signed it has."""
        try:
            owner = read_unverified(envelope, Manifest)[0].owner
            run, orderer = run_of(owner), self._again(order) or order
            if owner == f"{orderer.predicate.run}/code":
                return verify_manifest(envelope, [orderer.signer]).predicate
            return verify_manifest(envelope, self._run_keys(run)).predicate if run else None
        except (IntegrityError, UsageError):
            return None

    def _stream(self, envelope: Envelope, order: Order) -> LogStream | None:
        """Return a log stream of a run of this order if the run key of the lease it names has signed it."""
        try:
            claimed = read_unverified(envelope, LogStream)[0]
            if not covers(order, claimed.run):
                return None
            keys = [
                VerifyKey.from_hex(lease.run_key)
                for lease in self._books.records.attempts(claimed.run)
                if (lease.digest, lease.receiver) == (claimed.lease, claimed.attempt)
            ]
            return verify_statement(envelope, LogStream, keys).predicate
        except (IntegrityError, UsageError):
            return None

    def _run_keys(self, run: str) -> list[VerifyKey]:
        return [VerifyKey.from_hex(lease.run_key) for lease in self._books.records.attempts(run)]

    def _dataset(self, dataset: str, run: str) -> DatasetFacts:
        blocks, records, now = self._books.blocks, self._books.records, self._state.clock.now()
        grants = tuple(
            GrantFacts(
                grant,
                blocks.holds(grant.grant, Cause.REVOKED, Cause.ALARM),
                records.runs_last_day(grant.grant, now, but=run),
            )
            for grant in self._books.holdings.grants(dataset)
        )
        frozen = blocks.holds(dataset, Cause.FROZEN, Cause.ALARM)
        return DatasetFacts(blocks.holds(dataset, Cause.ERASED), frozen, grants)

    def _recipients(self, owners: Iterable[str]) -> dict[str, str]:
        found = {owner: self._state.vault.find(self.identity_name(owner)) for owner in owners}
        return {owner: listed.public for owner, listed in found.items() if listed is not None}

    def _checkpoint_recipient(self, run: str) -> dict[str, str]:
        # A run without an earlier lease has no checkpoint, so no recipient may match one.
        owner = f"{run}/checkpoint"
        return {owner: ""} | self._recipients([owner])

    def _results_erased(self, run: str) -> bool:
        recipient = self._books.lineage.result_recipient(run)
        return bool(recipient) and self._state.vault.find(result_secret(recipient)) is None

    def _result_recipient(self, run: str) -> str:
        """Return what the results of a run are sealed to; empty where the identity was destroyed."""
        return self._recipients([f"{run}/1"]).get(f"{run}/1", "")

    def _datasets_behind(self, runs: Iterable[str]) -> tuple[str, ...]:
        behind = self._books.lineage.ancestry([f"{run}/1" for run in runs]).values()
        return tuple(sorted({owner for inputs in behind for owner in inputs or () if is_dataset(owner)}))

    def identity_name(self, owner: str) -> str:
        """Return the name of the one secret that may open what belongs to an owner."""
        run = run_of(owner)
        if not run:
            return dataset_secret(owner)
        if owner == f"{run}/code":
            return ORDER
        return result_secret(self._books.lineage.result_recipient(run))
