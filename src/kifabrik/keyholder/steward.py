"""What the tenant key decides: members, grants, revocations, erasures, what counts as attested.

Invariants:
- everything is recorded here before it is sent; what ends a permission is in force at that moment;
- what gives a permission counts only once it stands in the log;
- names of people stay in this folder; names of datasets leave only sealed to the tenant's members.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from cryptography.x509 import Certificate

from kifabrik.attestation.enrolment import NewNode
from kifabrik.attestation.policy import AttestationPolicy, EndorsedNode
from kifabrik.errors import ConflictError, NotFoundError, UnavailableError, UsageError
from kifabrik.grants.decision import salted_code
from kifabrik.grants.policy import policy_of
from kifabrik.grants.statements import CodeDigest, Erasure, Grant, Revocation
from kifabrik.keyholder.attestation import next_policy
from kifabrik.keyholder.blocks import Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.connecting import Factory
from kifabrik.keyholder.endorsing import check_answer
from kifabrik.keyholder.erasing import Eraser
from kifabrik.keyholder.events import unheard
from kifabrik.keyholder.outbox import Errand, Outbox
from kifabrik.keyholder.recipients import publish_recipients
from kifabrik.keyholder.round import Round
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import SERVING_LOCK, State
from kifabrik.keyholder.vault import CATALOGUE, dataset_secret
from kifabrik.ledger.checkpoint import witness_verifier
from kifabrik.ledger.file_lock import FileLock
from kifabrik.ledger.policy import Policy
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.invitation import Invitation
from kifabrik.tenants.statements import Membership, Removal, Role
from kifabrik.tenants.trust import check_tenant_key
from kifabrik.transfer.details import Names, make_detail
from kifabrik.values import Kind, Place, format_time, new_id

INVITATION_DAYS: Final = 14
GRANT_DAYS: Final = 90
_SALT_BYTES: Final = 16


class Steward:
    """Signs with the tenant key. Use it in a `with` statement, or forget it soon.

    Args:
        state: The keyholder's folder.
        tenant_key: From `load_tenant_key`.
        factory: A connection; what cannot be delivered now is delivered by the serving keyholder.
    """

    def __init__(self, state: State, tenant_key: SigningKey, factory: Factory) -> None:
        check_tenant_key(state.tenant, tenant_key.public)
        self._state = state
        self._key = tenant_key
        self._factory = factory
        self._books = Books.of(state)
        self._outbox = Outbox(state.db)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._factory.close()

    def invite(self, role: Role, name: str, *, days: int = INVITATION_DAYS) -> Invitation:
        """Admit a member and return the invitation file's content; it is secret until it is used.

        Args:
            role: What the member may do.
            name: Of the person; kept here only.
            days: How long a device can be enrolled with it.
        """
        settings, now = self._state.settings, self._state.clock.now()
        key, member = SigningKey.generate(), new_id(Kind.MEMBER)
        membership = Membership(
            tenant=self._state.tenant,
            member=member,
            role=role,
            invitation_key=key.public.hex,
            created=format_time(now),
            expires=format_time(now + timedelta(days=days)),
        )
        witness = VerifyKey.from_hex(self._state.statement.witness_key)
        policy = Policy.of(self._state.log_key, witness_verifier(self._state.tenant, witness))
        self._state.db.execute("INSERT INTO names VALUES (?, ?, ?)", (member, name, str(role)))
        return Invitation(
            factory=settings.get(Setting.FACTORY),
            tenant_key=self._state.tenant_key.hex,
            policy=policy.to_text(),
            keyholder=settings.get(Setting.STATEMENT),
            membership=sign_statement(membership, {}, self._key).to_json(),
            invitation_seed=key.seed.hex(),
            catalogue_identity=self._state.vault.identity(CATALOGUE).text,
            ca_pem=settings.get(Setting.CA_PEM),
        )

    def remove_member(self, member: str) -> None:
        """Remove a member by id or name; their devices count no more, from now on.

        Raises:
            NotFoundError: There is no such member.
        """
        removal = Removal(self._state.tenant, self._member(member), self._state.clock.text())
        with self._state.db.transaction():
            self._state.blocks.add(removal.member, Cause.REMOVED, removal.created)
            self._outbox.put(Errand.REMOVAL, sign_statement(removal, {}, self._key), None, removal.created)
        self.deliver()

    def grant(
        self,
        dataset: str,
        purpose: str,
        *,
        days: int = GRANT_DAYS,
        members: Iterable[str] = (),
        place: Place = Place(),  # noqa: B008 - frozen
        code: str = "",
        runs_per_day: int = 0,
        attested: bool = False,
        ask: bool = False,
        names: Mapping[str, Any] | None = None,
    ) -> Grant:
        """Permit the use of a dataset for a purpose, from the moment it stands in the log.

        Args:
            dataset: Dataset id.
            purpose: Purpose id.
            days: Until it expires.
            members: Ids or names; none for every engineer, steward and owner.
            place: Where a run may be.
            code: `bound_code` of the only code and packages that may run on it, or empty for any.
            runs_per_day: Most new runs within any 24 hours; 0 for no limit.
            attested: Whether only attested nodes may be used.
            ask: Whether a person must decide each time.
            names: What members shall read about it in the ledger, sealed to them, such as `{"name": …}`.

        Raises:
            NotFoundError: There is no such dataset or member.
            UsageError: A value makes no sense.
        """
        if days < 1 or not purpose.strip() or runs_per_day < 0:
            raise UsageError("a grant needs a purpose, at least one day, and a limit that is not negative")
        self._check_dataset(dataset)
        now = self._state.clock.now()
        salt = secrets.token_hex(_SALT_BYTES)
        said = Grant(
            grant=new_id(Kind.GRANT),
            tenant=self._state.tenant,
            dataset=dataset,
            purpose=purpose,
            members=tuple(self._member(member) for member in members),
            place=place,
            code=CodeDigest(salt, salted_code(salt, code)) if code else None,
            runs_per_day=runs_per_day,
            attested=attested,
            ask=ask,
            created=format_time(now),
            expires=format_time(now + timedelta(days=days)),
        )
        policy_of(said)
        catalogue = Recipient.from_text(self._state.statement.catalogue_recipient)
        envelope = sign_statement(said, {}, self._key)
        shown = Names(envelope.digest, said.grant, dict(names)) if names else None
        detail = make_detail(shown, catalogue, self._key) if shown else None
        self._outbox.put(Errand.GRANT, envelope, detail, said.created)
        self.deliver()
        return said

    def revoke(self, grant: str) -> None:
        """End a grant, from now on.

        Raises:
            NotFoundError: There is no such grant.
        """
        unseen = (*self._outbox.waiting(), *self._outbox.promised())
        on_its_way = any(grant in one.envelope.payload.decode() for one in unseen)
        if not on_its_way and grant not in {one.grant for one in self._books.holdings.grants()}:
            raise NotFoundError(f"there is no grant {grant}", hint="See: kifabrik keyholder status")
        said = Revocation(self._state.tenant, grant, self._state.clock.text())
        with self._state.db.transaction():
            self._state.blocks.add(grant, Cause.REVOKED, said.created)
            self._outbox.put(Errand.REVOCATION, sign_statement(said, {}, self._key), None, said.created)
        self.deliver()

    def certify(self) -> bool:
        """Look at the log and certify what was erased, if no keyholder serves this folder that would do it.

        Returns:
            Whether it was done; if not, the keyholder that serves does it, or it cannot be done now.

        Raises:
            IntegrityError: The log cannot be trusted; an alarm says so.
        """
        try:
            lock = FileLock(self._state.home / SERVING_LOCK, f"the keyholder in {self._state.home}")
        except ConflictError:
            return False
        try:
            one = Round(self._state, self._factory, unheard)
            one.certify()
        except UnavailableError:
            return False
        finally:
            lock.close()
        return not one.books.alarmed

    def erase(self, dataset: str, *, derived: bool = False) -> None:
        """Destroy the key of a dataset, now and for good; it is certified by the keyholder that serves.

        Args:
            dataset: Dataset id.
            derived: Whether the keys of all results made from it are destroyed as well.

        Raises:
            NotFoundError: There is no such dataset.
        """
        self._check_dataset(dataset)
        said = Erasure(self._state.tenant, dataset, derived, self._state.clock.text())
        envelope = sign_statement(said, {}, self._key)
        with self._state.db.transaction():
            self._state.blocks.add(dataset, Cause.ERASED, said.created)
            self._books.erasures.decide(said, envelope.digest)
            self._outbox.put(Errand.ERASURE, envelope, None, said.created)
        Eraser(self._state, self._books).carry_out()
        publish_recipients(self._state, self._books)
        self.deliver()

    def check_answer(
        self, node: NewNode, answer: str, *, authorities: Sequence[Certificate] = (), compared: str = ""
    ) -> EndorsedNode:
        """Check a node before it is listed, see `kifabrik.keyholder.endorsing.check_answer`."""
        return check_answer(self._state, node, answer, authorities=authorities, compared=compared)

    def set_attestation(self, change: Callable[[AttestationPolicy], AttestationPolicy]) -> AttestationPolicy:
        """Change what counts as attested: what it takes away from now on, what it adds once it stands in the log.

        Args:
            change: Makes the next policy from one that says what the present one says.

        Raises:
            UsageError: The result makes no sense.
        """
        created = self._state.clock.text()
        attestations = self._books.attestations
        said = change(next_policy(attestations.newest(), self._state.tenant, created))
        envelope = sign_statement(said, {}, self._key)
        with self._state.db.transaction():
            attestations.add_local(envelope, said)
            self._outbox.put(Errand.ATTESTATION, envelope, None, created)
        self.deliver()
        return said

    def deliver(self) -> bool:
        """Deliver what waits; False if the factory cannot be reached now."""
        try:
            self._outbox.deliver(self._factory, unheard)
        except UnavailableError:
            return False
        return True

    def waits(self, grant: str) -> bool:
        """Whether a grant still waits for the factory to take it: until then it permits nothing."""
        grants = (one for one in self._outbox.waiting() if one.kind is Errand.GRANT)
        return any(read_unverified(one.envelope, Grant)[0].grant == grant for one in grants)

    def _check_dataset(self, dataset: str) -> None:
        """A dataset whose key is gone is known by what the log says of it, or by the erasure that was decided."""
        known = self._state.vault.find(dataset_secret(dataset)) or self._state.blocks.holds(dataset, Cause.ERASED)
        if not known and not self._books.holdings.manifests_of(dataset):
            raise NotFoundError(f"this keyholder has no dataset {dataset}", hint="See: kifabrik dataset ls")

    def _member(self, text: str) -> str:
        """Return the id of a member given by id or by name."""
        rows = self._state.db.rows("SELECT id FROM names WHERE ? IN (id, name)", (text,))
        found = {row["id"] for row in rows} | {one.member for one in self._books.people.of_member(text)}
        if len(found) != 1:
            what = "is more than one member" if found else "is no member"
            raise NotFoundError(f"{text!r} {what}", hint="Use the id: kifabrik keyholder status")
        return found.pop()
