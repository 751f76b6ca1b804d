"""Members and their devices.

Invariants:
- a membership enrols one device, the first whose statement arrives;
- removing a member ends its tokens and its sessions in the same transaction.
"""

from datetime import UTC, datetime

from kifabrik.errors import ConflictError, NotFoundError
from kifabrik.factory.accounts import take_back, tenant_key
from kifabrik.factory.log import Log
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Member, Recorded, SealedDetail, TokenKind
from kifabrik.factory.statements import Statements
from kifabrik.factory.tokens import issued, new_token
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.signatures.statements import read_unverified
from kifabrik.tenants.statements import Membership
from kifabrik.tenants.trust import EnrolledDevice, verify_device, verify_removal


class Members:
    """Enrols devices, lists and removes members.

    Args:
        store: Opens transactions.
        log: Tells the time.
        statements: Keeps memberships, devices and removals.
    """

    def __init__(self, store: Store, log: Log, statements: Statements) -> None:
        self._store = store
        self._log = log
        self._statements = statements

    def enrol(
        self, membership: Envelope, device: Envelope, detail: SealedDetail | None
    ) -> tuple[EnrolledDevice, str]:
        """Enrol a member's device and return it with its token.

        The same call again answers with a new token as long as the first was never used.

        Raises:
            IntegrityError: The chain from the tenant key to the device is broken or expired, or there is no
                such tenant: both answer alike, as anybody may ask.
            ConflictError: The membership has enrolled another device, or the member was removed.
        """
        claimed, _ = read_unverified(membership, Membership)
        token = new_token(TokenKind.DEVICE)
        with self._store.write(claimed.tenant) as transaction:
            enrolled = verify_device(_key_of(transaction, claimed.tenant), membership, device, self._log.clock())
            known = transaction.accounts.member(enrolled.tenant, enrolled.member)
            if known is None:
                self._add(transaction, enrolled, membership, device, detail)
            else:
                _check_same(transaction, known, enrolled)
            transaction.accounts.add_token(
                issued(token, enrolled.tenant, self._log.now(), member=enrolled.member, device=device.digest)
            )
        return enrolled, token

    def list(self, tenant: str) -> list[Member]:
        """All members, removed ones included."""
        with self._store.read() as transaction:
            return transaction.accounts.members(tenant)

    def remove(self, tenant: str, removal: Envelope) -> Recorded:
        """Remove a member; its tokens end at once.

        Raises:
            IntegrityError: The removal is not by the tenant key.
            NotFoundError: There is no such member.
        """
        with self._store.write(tenant) as transaction:
            key = tenant_key(transaction, tenant)
            said = verify_removal(key, removal)
            recorded = self._statements.recorded(transaction, tenant, removal)
            if recorded is not None:
                return recorded
            if transaction.accounts.member(tenant, said.member) is None:
                raise NotFoundError(f"there is no member {said.member}")
            transaction.accounts.remove_member(tenant, said.member, self._log.now())
            transaction.accounts.drop_tokens(tenant, kind=TokenKind.DEVICE, member=said.member)
            transaction.sign_ins.drop(tenant, said.member)
            refs: dict[str, RefValue] = {"member": said.member, "statement": removal.digest}
            return self._statements.put_on_record(transaction, tenant, removal, EntryKind.MEMBER_REMOVED, refs)

    def device(self, transaction: Transaction, tenant: str, member: str) -> EnrolledDevice:
        """Return the enrolled device of a member who was not removed.

        Raises:
            NotFoundError: There is no such member, or no longer.
        """
        known = transaction.accounts.member(tenant, member)
        if known is None or known.removed:
            raise NotFoundError(f"there is no member {member}")
        return self.device_then(transaction, known)

    def device_then(self, transaction: Transaction, member: Member) -> EnrolledDevice:
        """Return the device a member had, whether removed since or not; its chain is verified again."""
        key = tenant_key(transaction, member.tenant)
        membership = transaction.statements.get(member.tenant, member.membership)
        device = transaction.statements.get(member.tenant, member.device)
        if membership is None or device is None:
            raise NotFoundError(f"the statements of member {member.member} are missing")
        return verify_device(key, membership, device, datetime.min.replace(tzinfo=UTC))

    def _add(
        self,
        transaction: Transaction,
        enrolled: EnrolledDevice,
        membership: Envelope,
        device: Envelope,
        detail: SealedDetail | None,
    ) -> None:
        tenant = enrolled.tenant
        transaction.accounts.add_member(
            Member(tenant, enrolled.member, enrolled.role, enrolled.membership, enrolled.statement)
        )
        transaction.statements.add(tenant, membership)
        refs: dict[str, RefValue] = {
            "member": enrolled.member,
            "membership": enrolled.membership,
            "device": enrolled.statement,
        }
        self._statements.put_on_record(transaction, tenant, device, EntryKind.MEMBER_ENROLLED, refs, detail=detail)


def _key_of(transaction: Transaction, tenant: str) -> VerifyKey:
    """Return a tenant's key; for a tenant that is not here one that has signed nothing."""
    known = transaction.accounts.tenant(tenant)
    return SigningKey.generate().public if known is None else VerifyKey.from_hex(known.tenant_key)


def _check_same(transaction: Transaction, known: Member, enrolled: EnrolledDevice) -> None:
    if known.removed:
        raise ConflictError(f"member {known.member} was removed")
    same = (known.device, known.membership) == (enrolled.statement, enrolled.membership)
    if not same or not take_back(transaction, known.tenant, TokenKind.DEVICE, known.member):
        raise ConflictError(
            "this invitation was used already",
            hint="If it was not you, tell your steward; else ask for a new one.",
        )
