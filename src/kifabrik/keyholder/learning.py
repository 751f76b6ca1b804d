"""What entries of the log establish: each names a statement, which is fetched and verified.

Invariants:
- an entry alone establishes nothing: its statement must verify, up to the tenant key;
- except that a revocation, removal or erasure blocks even if its statement is withheld or damaged, until
  a person has looked: a factory may always withhold service, but not a "no";
- entries are learnt in order, once, and the position is kept with what was learnt.
"""

import re
from collections.abc import Callable
from functools import cached_property
from typing import Final

from kifabrik.attestation.policy import AttestationPolicy
from kifabrik.datasets.manifest import Manifest, verify_manifest
from kifabrik.errors import IntegrityError, NotFoundError, UnavailableError, UsageError
from kifabrik.grants.policy import USERS, policy_of
from kifabrik.grants.statements import Erasure, Grant, Revocation
from kifabrik.keyholder.blocks import Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.decisions_seen import DecisionsSeen
from kifabrik.keyholder.events import Event, EventKind, OnEvent
from kifabrik.keyholder.library import Library
from kifabrik.keyholder.lineage import Output, is_dataset
from kifabrik.keyholder.log_watch import LogWatch
from kifabrik.keyholder.people import KnownDevice
from kifabrik.keyholder.references import digest_in, find_digest, text_in
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import State
from kifabrik.keyholder.vault import dataset_secret
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.orders.order import Order, verify_order
from kifabrik.orders.tasks import shape_fault
from kifabrik.runs.statements import Finish
from kifabrik.runs.states import Outcome
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import read_unverified, verify_statement
from kifabrik.tenants.trust import verify_device, verify_removal
from kifabrik.values import Kind, is_id, parse_time

Learn = Callable[[int, Entry], None]
_NONCE: Final = re.compile(r"[0-9a-f]{32}")
_REMOVED: Final = f'"{EntryKind.MEMBER_REMOVED}"'.encode()
_LONGEST_RUN_S: Final = 366 * 86400


class Learner:
    """Learns from the mirror's entries.

    Args:
        state: Keys, clock, position.
        books: Where what was learnt is kept.
        library: Fetches statements.
        watch: The mirror.
        say: Told about what did not verify.
    """

    def __init__(self, state: State, books: Books, library: Library, watch: LogWatch, say: OnEvent) -> None:
        self._state = state
        self._books = books
        self._library = library
        self._watch = watch
        self._say = say
        self._decisions = DecisionsSeen(state, books, library, say)
        self._synced = state.settings.find(Setting.SYNCED) or ""
        self._ways: Final[dict[EntryKind | str, Learn]] = {
            EntryKind.MEMBER_ENROLLED: self._enrolled,
            EntryKind.MEMBER_REMOVED: self._removed,
            EntryKind.DATASET_SEALED: self._sealed,
            EntryKind.GRANT_GIVEN: self._given,
            EntryKind.GRANT_REVOKED: self._revoked,
            EntryKind.ERASURE_DECIDED: self._erasure,
            EntryKind.DATASET_ERASED: self._decisions.certified,
            EntryKind.ATTESTATION_SET: self._attestation_set,
            EntryKind.RUN_ORDERED: self._ordered,
            EntryKind.RUN_FINISHED: self._finished,
            EntryKind.LEASE_REQUESTED: self._requested,
            EntryKind.LEASE_RELEASED: self._decisions.decided,
            EntryKind.LEASE_REFUSED: self._decisions.decided,
            EntryKind.KEYHOLDER_ENROLLED: self._decisions.keyholder_named,
            EntryKind.KEYHOLDER_RESTORED: self._decisions.keyholder_named,
        }

    def learn(self) -> list[str]:
        """Learn every new entry of the mirror; return the digests of orders among them.

        Raises:
            UnavailableError: The factory cannot be reached; what was learnt so far is kept.
            IntegrityError: With an alarm: somebody else answers with this keyholder's key.
        """
        self._synced = self._state.settings.find(Setting.SYNCED) or ""
        vars(self).pop("_removals", None)
        orders = []
        start = self._state.settings.number(Setting.LEARNT)
        end = start
        try:
            for index, data in enumerate(self._watch.entries_from(start), start):
                entry = self._entry(index, data)
                if entry is not None:
                    self._learn_one(index, entry)
                    order = find_digest(entry, "order") if entry.kind is EntryKind.RUN_ORDERED else ""
                    orders += [order] if order else []
                end = index + 1
        except IntegrityError:
            # An alarm was raised. Once a person has thawed, this entry is not looked at again.
            end += 1
            raise
        finally:
            # Learning an entry twice changes nothing, so the position need not be kept for each one.
            if end != start:
                self._state.settings.set(Setting.LEARNT, end)
        return orders

    def try_again(self) -> None:
        """Try entries again whose statements were missing or did not verify."""
        for row in self._state.db.rows("SELECT log_index FROM unresolved ORDER BY log_index"):
            index = int(row["log_index"])
            settled = True  # by an alarm too: once a person has thawed, the entry is not looked at again
            try:
                settled = self._learn_one(index, self._watch.entry(index))
            except UnavailableError:
                settled = False
                raise
            finally:
                if settled:
                    self._state.db.execute("DELETE FROM unresolved WHERE log_index = ?", (index,))

    def _entry(self, index: int, data: bytes) -> Entry | None:
        try:
            return Entry.from_bytes(data)
        except IntegrityError as error:
            self._say(Event(EventKind.WARNING, f"entry {index} of the log is malformed: {error.message}"))
            return None

    def _learn_one(self, index: int, entry: Entry) -> bool:
        """Learn an entry; whether it could be, or else is noted to be tried again."""
        way = self._ways.get(entry.kind)
        if way is None:
            return True
        try:
            way(index, entry)
        except (NotFoundError, UsageError, IntegrityError) as error:
            if self._books.alarmed:
                raise
            self._state.db.execute("INSERT OR REPLACE INTO unresolved VALUES (?, ?)", (index, error.message))
            text = f"entry {index} ({entry.kind}) counts for nothing: {error.message}"
            self._say(Event(EventKind.WARNING, text))
            return False
        return True

    def _enrolled(self, index: int, entry: Entry) -> None:
        device = self._library.statement(digest_in(entry, "device"))
        membership = self._library.statement(digest_in(entry, "membership"))
        # The factory dates entries. One that was not there at our last look is not older than that.
        since = parse_time(self._synced) if self._synced else parse_time(entry.time)
        enrolled = max(parse_time(entry.time), since)
        self._books.people.add(verify_device(self._state.tenant_key, membership, device, enrolled), index)

    def _removed(self, _index: int, entry: Entry) -> None:
        self._suspend(text_in(entry, "member"), entry)
        removal = verify_removal(self._state.tenant_key, self._library.statement(digest_in(entry, "statement")))
        self._books.blocks.settle(removal.member, Cause.REMOVED, entry.time)

    def _sealed(self, index: int, entry: Entry) -> None:
        envelope = self._library.statement(digest_in(entry, "manifest"))
        people = [one for one in self._books.people.all() if one.role in USERS and self._belonged(one, index)]
        manifest = verify_manifest(envelope, [one.key for one in people]).predicate
        self._check_version(manifest)
        self._books.holdings.add_manifest(envelope, manifest, index)

    def _check_version(self, manifest: Manifest) -> None:
        """Check that a manifest is the next version of a dataset of ours.

        Raises:
            IntegrityError: It is not.
        """
        if manifest.tenant != self._state.tenant or not is_dataset(manifest.owner):
            raise IntegrityError("the manifest is of another tenant, or not of a dataset")
        identity = self._state.vault.find(dataset_secret(manifest.owner))
        erased = self._books.blocks.holds(manifest.owner, Cause.ERASED)
        if not erased and (identity is None or identity.public != manifest.recipient):
            raise IntegrityError(f"dataset {manifest.owner} is not sealed to the recipient published for it")
        before = self._books.holdings.version(manifest.owner, manifest.version - 1)
        if (before.digest if before else "") != manifest.previous:
            raise IntegrityError(f"version {manifest.version} of {manifest.owner} does not follow the one before")

    def _given(self, index: int, entry: Entry) -> None:
        envelope = self._library.statement(digest_in(entry, "statement"))
        grant = verify_statement(envelope, Grant, [self._state.tenant_key]).predicate
        if grant.tenant != self._state.tenant:
            raise IntegrityError("the grant is of another tenant")
        policy_of(grant)
        self._books.holdings.add_grant(envelope, grant, index)

    def _revoked(self, _index: int, entry: Entry) -> None:
        self._suspend(text_in(entry, "grant"), entry)
        envelope = self._library.statement(digest_in(entry, "statement"))
        said = verify_statement(envelope, Revocation, [self._state.tenant_key]).predicate
        self._books.blocks.settle(said.grant, Cause.REVOKED, entry.time)

    def _attestation_set(self, index: int, entry: Entry) -> None:
        # Until the statement verifies, the log's word stands that what counted before does not count any more.
        self._books.attestations.add_unread(find_digest(entry, "statement") or f"entry {index}", index)
        envelope = self._library.statement(digest_in(entry, "statement"))
        said = verify_statement(envelope, AttestationPolicy, [self._state.tenant_key]).predicate
        if said.tenant != self._state.tenant:
            raise IntegrityError("the attestation policy is of another tenant")
        self._books.attestations.learn(envelope, said, index)

    def _erasure(self, _index: int, entry: Entry) -> None:
        self._suspend(text_in(entry, "dataset"), entry)
        envelope = self._library.statement(digest_in(entry, "statement"))
        said = verify_statement(envelope, Erasure, [self._state.tenant_key]).predicate
        if said.tenant != self._state.tenant:
            raise IntegrityError("the erasure is of another tenant")
        self._books.erasures.decide(said, envelope.digest)
        self._books.erasures.adopt(said, envelope.digest)
        self._books.blocks.settle(said.dataset, Cause.ERASED, entry.time)

    def _ordered(self, index: int, entry: Entry) -> None:
        envelope = self._library.statement(digest_in(entry, "order"))
        order = read_unverified(envelope, Order)[0]
        _check_sane(order)
        devices = [one for one in self._books.people.of_member(order.member) if self._belonged(one, index)]
        for device in devices:
            try:
                verify_order(envelope, device.key, self._state.tenant, device.member)
            except IntegrityError:
                continue
            self._books.records.add_order(envelope, order, device.key, index)
            return
        raise IntegrityError("the order is not signed by an enrolled device of the member it names")

    def _finished(self, _index: int, entry: Entry) -> None:
        if not find_digest(entry, "finish") and "outputs" not in entry.refs:
            return  # its launcher was lost, so nobody signed an end, and nothing came out
        envelope = self._library.statement(digest_in(entry, "finish"))
        claimed = read_unverified(envelope, Finish)[0]
        leases = [one for one in self._books.records.attempts(claimed.run) if one.receiver == claimed.attempt]
        if not leases:
            return  # the attempt ended before it had keys: it cannot have results
        finish = verify_statement(envelope, Finish, [VerifyKey.from_hex(one.run_key) for one in leases]).predicate
        well = finish.outcome is Outcome.SUCCEEDED
        if well:
            self._books.lineage.add_success(finish.run, envelope.digest)
        for number, manifest in enumerate(finish.outputs, 1):
            self._books.lineage.add_output(Output(finish.run, number if well else -number, manifest))

    def _requested(self, index: int, entry: Entry) -> None:
        self._books.records.add_request(digest_in(entry, "request"), index)

    def _belonged(self, device: KnownDevice, index: int) -> bool:
        """Whether a device counted when an entry was written.

        A removal holds from the moment it is made. Only a restored keyholder, which knows of it before it learns
        anew what was entered before, goes by where the log shows it.
        """
        relearnt = index < self._state.settings.number(Setting.RESTORED_SIZE)
        return not device.removed or (relearnt and self._removals.get(device.member, -1) > index)

    @cached_property
    def _removals(self) -> dict[str, int]:
        """Where the log shows the first true removal of each member."""
        found: dict[str, int] = {}
        for index, data in enumerate(self._watch.entries_from(0)):
            if _REMOVED not in data:
                continue
            try:
                entry = Entry.from_bytes(data)
                statement = self._library.statement(digest_in(entry, "statement"))
                member = verify_removal(self._state.tenant_key, statement).member
            except (IntegrityError, NotFoundError):
                continue
            if entry.kind is EntryKind.MEMBER_REMOVED:
                found.setdefault(member, index)
        return found

    def _suspend(self, subject: str, entry: Entry) -> None:
        """Block what an entry says is ended, before its statement is verified."""
        if subject:
            note = f"the log has {entry.kind} for it, but no statement that verifies"
            self._books.blocks.add(subject, Cause.ALARM, entry.time, note)


def _check_sane(order: Order) -> None:
    """Check what the judge will calculate with.

    Raises:
        IntegrityError: The order has a value nobody can mean.
        UsageError: Its deadline is no time.
    """
    parse_time(order.deadline)
    if not is_id(order.run, Kind.RUN) or _NONCE.fullmatch(order.nonce) is None:
        raise IntegrityError("the order's run id or nonce is not one")
    if not 0 < order.max_duration_s <= _LONGEST_RUN_S or order.attempts < 1:
        raise IntegrityError(f"the order of run {order.run[:40]} has an impossible duration or number of attempts")
    fault = shape_fault(order)
    if fault:
        raise IntegrityError(f"the order of run {order.run[:40]} makes no sense: {fault}")
