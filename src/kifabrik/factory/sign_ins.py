"""Signing in to the pages, without passwords: a device key signs a challenge, a browser gets a session.

Invariants:
- a challenge, a code and a session are good for one thing each, for a bounded time, and only their hashes are kept;
- a challenge is answered once, a code exchanged once, whoever tries how often at the same time;
- a code is given only for a challenge signed by the enrolled device of a member who was not removed, or on the
  factory's own machine to its operator;
- a session has the rights of its member at the moment of each request: none, once the member is removed or has
  another device. It signs nothing and is no token of the API;
- no session exists before somebody has signed in, so there is none that could be foisted on anybody.
"""

import base64
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kifabrik.errors import IntegrityError, SignInError
from kifabrik.factory.log import Log
from kifabrik.factory.members import Members
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.factory.sign_in_records import SignIn, SignInKind
from kifabrik.factory.tokens import token_hash
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import verify_statement
from kifabrik.tenants.statements import SignInProof
from kifabrik.values import format_time

CODE_S: Final = 60
"""How long a challenge and a code are good."""
SESSION_S: Final = 3600
"""How long a session lasts."""

_CODE_BYTES: Final = 10
"""80 random bits: a code lives for a minute, and guesses are counted."""
_GROUP: Final = 4
_NOT_OF_A_CODE: Final = re.compile(r"[\s-]")
_AGAIN: Final = "On your own machine: kifabrik open"


@dataclass(frozen=True)
class Session:
    """A fresh session.

    Args:
        secret: What the browser's cookie holds; shown once.
        expires: When it ends.
        operator: Whether it is the operator's.
    """

    secret: str
    expires: str
    operator: bool


class SignIns:
    """Gives and checks challenges, codes and sessions.

    Args:
        store: Opens transactions.
        log: Tells the time.
        members: Know the members' devices.
    """

    def __init__(self, store: Store, log: Log, members: Members) -> None:
        self._store = store
        self._log = log
        self._members = members

    def challenge(self, caller: Principal) -> str:
        """Give a member's device something to sign; an earlier challenge of it ends."""
        challenge = secrets.token_hex(32)
        with self._store.write(caller.tenant) as transaction:
            self._give(transaction, SignInKind.CHALLENGE, challenge, caller.tenant, caller.member, caller.device)
        return challenge

    def prove(self, caller: Principal, proof: Envelope) -> str:
        """Exchange a signed challenge for a code; an earlier code of the same member ends.

        Raises:
            IntegrityError: It is not signed by the caller's own device, or about somebody else.
            SignInError: The challenge is none, was answered before, or is too old.
        """
        code = new_code()
        with self._store.write(caller.tenant) as transaction:
            device = self._members.device(transaction, caller.tenant, caller.member)
            said = verify_statement(proof, SignInProof, [device.key]).predicate
            if (said.tenant, said.member) != (caller.tenant, caller.member):
                raise IntegrityError("the statement is made out for somebody else")
            hashed = token_hash(said.challenge)
            asked = self._alive(transaction, hashed, SignInKind.CHALLENGE)
            mine = asked is not None and (asked.tenant, asked.member) == (caller.tenant, caller.member)
            if not mine or not transaction.sign_ins.take(hashed):
                raise SignInError("this challenge was answered before, or is too old", hint=_AGAIN)
            self._give(transaction, SignInKind.CODE, code, caller.tenant, caller.member, device.statement)
        return code

    def operator_code(self) -> str:
        """Give the operator a code; whoever can call this has the factory's database."""
        code = new_code()
        with self._store.write() as transaction:
            self._give(transaction, SignInKind.CODE, code, "", "", "")
        return code

    def exchange(self, code: str) -> Session:
        """Exchange a code for a session.

        Raises:
            SignInError: The code is wrong, used, too old, or its member was removed meanwhile.
        """
        hashed, secret = token_hash(normal(code)), secrets.token_urlsafe(32)
        with self._store.read() as transaction:
            found = self._alive(transaction, hashed, SignInKind.CODE)
        if found is None:
            raise _stale()
        with self._store.write(*([found.tenant] if found.tenant else [])) as transaction:
            if not transaction.sign_ins.take(hashed) or _principal(transaction, found) is None:
                raise _stale()
            expires = self._until(SESSION_S)
            transaction.sign_ins.add(
                SignIn(token_hash(secret), SignInKind.SESSION, found.tenant, found.member, found.device, expires)
            )
        return Session(secret, expires, operator=not found.tenant)

    def who(self, secret: str) -> tuple[Principal, str]:
        """Return who a session belongs to, and when it ends.

        Raises:
            SignInError: It has ended, or never was.
        """
        with self._store.read() as transaction:
            found = self._alive(transaction, token_hash(secret), SignInKind.SESSION)
            principal = None if found is None else _principal(transaction, found)
        if found is None or principal is None:
            raise SignInError("this session has ended", hint=_AGAIN)
        return principal, found.expires

    def end(self, secret: str) -> None:
        """End a session; one that has ended is fine."""
        with self._store.write() as transaction:
            transaction.sign_ins.take(token_hash(secret))

    def _give(
        self, transaction: Transaction, kind: SignInKind, secret: str, tenant: str, member: str, device: str
    ) -> None:
        transaction.sign_ins.drop_expired(self._log.now())  # whenever there is more, what is over goes
        transaction.sign_ins.drop(tenant, member, kind)
        hashed = token_hash(normal(secret) if kind is SignInKind.CODE else secret)
        transaction.sign_ins.add(SignIn(hashed, kind, tenant, member, device, self._until(CODE_S)))

    def _alive(self, transaction: Transaction, hashed: str, kind: SignInKind) -> SignIn | None:
        found = transaction.sign_ins.find(hashed)
        return found if found is not None and found.kind is kind and self._log.now() < found.expires else None

    def _until(self, seconds: int) -> str:
        return format_time(self._log.clock() + timedelta(seconds=seconds))


def new_code() -> str:
    """Make a code, such as `K3V6-…-…-…`: 16 letters and digits that a person can type."""
    letters = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def normal(code: str) -> str:
    """A code as it is hashed, however a person has typed it."""
    return _NOT_OF_A_CODE.sub("", code).upper()


def _principal(transaction: Transaction, found: SignIn) -> Principal | None:
    """Whose rights it has now; nobody's, once its member was removed or has another device."""
    if not found.tenant:
        return Principal(TokenKind.OPERATOR, "")
    member = transaction.accounts.member(found.tenant, found.member)
    if member is None or member.removed or member.device != found.device:
        return None
    return Principal(TokenKind.DEVICE, found.tenant, found.member, member.role, found.device)


def _stale() -> SignInError:
    return SignInError("this code is wrong, was used before, or is older than a minute", hint=_AGAIN)
