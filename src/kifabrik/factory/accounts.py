"""Signing tenants up, and who a token belongs to.

Invariants:
- a tenant's id is the fingerprint of its key, so nobody can take another's name;
- a sign-up code makes one tenant;
- a token that got lost on its way is issued anew for the same signed statements, until it is first used.
"""

from typing import Final

from kifabrik.errors import ConflictError, NotFoundError, SignInError, UsageError
from kifabrik.factory.log import Log
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Member, Principal, SignUpCode, Tenant, Token, TokenKind
from kifabrik.factory.statements import Statements
from kifabrik.factory.tokens import issued, new_token, token_hash
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.tenants.trust import verify_keyholder

LONGEST_NOTE: Final = 128


class Accounts:
    """Codes, tenants and tokens.

    Args:
        store: Opens transactions.
        log: Opens the log of a new tenant.
        statements: Keeps the keyholder statement.
    """

    def __init__(self, store: Store, log: Log, statements: Statements) -> None:
        self._store = store
        self._log = log
        self._statements = statements

    def make_code(self, note: str = "") -> str:
        """Make a sign-up code for one tenant; it is shown once.

        Args:
            note: For the operator's own memory, such as a customer number.

        Raises:
            UsageError: The note is too long.
        """
        if len(note) > LONGEST_NOTE:
            raise UsageError(f"the note has {len(note)} characters, at most {LONGEST_NOTE}")
        code = new_token(TokenKind.OPERATOR)
        with self._store.write() as transaction:
            transaction.accounts.add_code(SignUpCode(token_hash(code), note, self._log.now()))
        return code

    def codes(self) -> list[SignUpCode]:
        """All sign-up codes by their hashes, oldest first."""
        with self._store.read() as transaction:
            return transaction.accounts.codes()

    def tenants(self) -> list[Tenant]:
        """All tenants, oldest first."""
        with self._store.read() as transaction:
            return transaction.accounts.tenants()

    def sign_up(self, code: str, key: VerifyKey, keyholder: Envelope) -> tuple[str, str]:
        """Create a tenant and return the verifier key of its log and the keyholder's token.

        The same call again answers with a new token as long as the first was never used.

        Raises:
            SignInError: The code is wrong or used up.
            IntegrityError: The keyholder statement is not by the tenant key.
            ConflictError: The tenant exists.
        """
        said = verify_keyholder(key, keyholder)
        tenant = key.tenant_id
        token = new_token(TokenKind.KEYHOLDER)
        with self._store.write() as transaction:
            self._use_code(transaction, code, tenant)
            existing = transaction.accounts.tenant(tenant)
            if existing is None:
                self._create(transaction, Tenant(tenant, key.hex, keyholder.digest, said.sequence, self._log.now()))
                refs: dict[str, RefValue] = {"statement": keyholder.digest, "sequence": said.sequence}
                self._statements.put_on_record(
                    transaction, tenant, keyholder, EntryKind.KEYHOLDER_ENROLLED, refs, mail=None
                )
            elif existing.keyholder != keyholder.digest or not take_back(transaction, tenant, TokenKind.KEYHOLDER):
                raise ConflictError("this tenant exists", hint="Its keyholder has its token already.")
            transaction.accounts.add_token(issued(token, tenant, self._log.now()))
            return transaction.logs.state(tenant).vkey, token  # type: ignore[union-attr]

    def sign_in(self, token: str) -> Principal:
        """Return who a token belongs to.

        Raises:
            SignInError: It is unknown or has ended.
        """
        with self._store.read() as transaction:
            found = transaction.accounts.token(token_hash(token))
            principal = None if found is None else _principal(found, _member(transaction, found))
        if found is None or principal is None:
            raise SignInError("this token is not valid", hint="Sign in again, or ask your steward.")
        if not _is_noted(found):
            with self._store.write(found.tenant) as transaction:
                transaction.accounts.mark_used(found.hash, self._log.now())
        return principal

    def glance(self, token: str) -> Principal | None:
        """Return who a token belongs to, if that can be said without waiting for anybody; else ask `sign_in`."""
        found = self._store.bearer(token_hash(token))
        return _principal(*found) if found is not None and _is_noted(found[0]) else None

    def issue_attempt_token(
        self, transaction: Transaction, tenant: str, run: str, attempt: str, *, beside: bool = False
    ) -> str:
        """Make a token of an attempt within `transaction`; earlier ones of it end, unless `beside` them."""
        token = new_token(TokenKind.ATTEMPT)
        if not beside:
            transaction.accounts.drop_tokens(tenant, kind=TokenKind.ATTEMPT, attempt=attempt)
        transaction.accounts.add_token(issued(token, tenant, self._log.now(), run=run, attempt=attempt))
        return token

    def end_attempt_tokens(self, transaction: Transaction, tenant: str, attempt: str) -> None:
        """End the tokens of an attempt within `transaction`."""
        transaction.accounts.drop_tokens(tenant, kind=TokenKind.ATTEMPT, attempt=attempt)

    def _create(self, transaction: Transaction, tenant: Tenant) -> None:
        transaction.accounts.add_tenant(tenant)
        self._log.create(transaction, tenant.tenant)
        self._log.append(transaction, tenant.tenant, EntryKind.TENANT_CREATED, {"tenant": tenant.tenant})

    def _use_code(self, transaction: Transaction, code: str, tenant: str) -> None:
        hashed = token_hash(code)
        taken = transaction.accounts.use_code(hashed, tenant)
        found = transaction.accounts.code(hashed)  # after that: the same call may just have taken it
        if found is None or not (taken or found.tenant == tenant):
            raise SignInError("this sign-up code is wrong or used up", hint="Ask the factory's operator for one.")


def take_back(transaction: Transaction, tenant: str, kind: TokenKind, member: str = "") -> bool:
    """End a holder's tokens if none was ever used; whether that was so."""
    tokens = transaction.accounts.tokens_of(tenant, kind=kind, member=member)
    if any(token.used for token in tokens):
        return False
    transaction.accounts.drop_tokens(tenant, kind=kind, member=member)
    return True


def find_tenant(transaction: Transaction, tenant: str) -> Tenant:
    """Return a tenant.

    Raises:
        NotFoundError: There is none.
    """
    found = transaction.accounts.tenant(tenant)
    if found is None:
        raise NotFoundError("there is no such tenant")
    return found


def tenant_key(transaction: Transaction, tenant: str) -> VerifyKey:
    """Return the key that speaks for a tenant.

    Raises:
        NotFoundError: There is no such tenant.
    """
    return VerifyKey.from_hex(find_tenant(transaction, tenant).tenant_key)


def _is_noted(token: Token) -> bool:
    """Whether nothing is to be written down of a token's use."""
    return bool(token.used) or token.kind is TokenKind.ATTEMPT  # of which none is issued for the same again


def _member(transaction: Transaction, token: Token) -> Member | None:
    return transaction.accounts.member(token.tenant, token.member) if token.kind is TokenKind.DEVICE else None


def _principal(token: Token, member: Member | None) -> Principal | None:
    """Who a token belongs to; nobody, once its member was removed or has another device."""
    if token.kind is not TokenKind.DEVICE:
        return Principal(token.kind, token.tenant, run=token.run, attempt=token.attempt)
    if member is None or member.removed or member.device != token.device:
        return None
    return Principal(token.kind, token.tenant, token.member, member.role, token.device)
