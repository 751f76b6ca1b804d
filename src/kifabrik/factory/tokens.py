"""Bearer tokens: 256 random bits behind a prefix that says whose they are; only their hash is kept.

Invariants:
- a token is shown once, in the answer that issues it, and is nowhere in the store or the logs;
- looking one up compares hashes: nothing about a guess shows in how long it takes;
- a token's rights end with the membership, keyholder or attempt it was issued for, at once.
"""

import hashlib
import re
import secrets
from typing import Final

from kifabrik.factory.records import Token, TokenKind

_RANDOM_BYTES: Final = 32
_SHAPE: Final = re.compile(rf"(?:{'|'.join(TokenKind)})_[A-Za-z0-9_-]{{43}}")


def new_token(kind: TokenKind) -> str:
    """Make a token, such as `kfd_…`."""
    return f"{kind.value}_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def looks_like_token(text: str) -> bool:
    """Whether some part of `text` has the shape of a token: such a text must not be written down."""
    return _SHAPE.search(text) is not None


def token_hash(token: str) -> str:
    """The name a token is kept under; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def issued(
    token: str,
    tenant: str,
    created: str,
    *,
    member: str = "",
    device: str = "",
    run: str = "",
    attempt: str = "",
) -> Token:
    """The record of a token."""
    kind = TokenKind(token.partition("_")[0])
    return Token(token_hash(token), kind, tenant, created, member, device, run, attempt)
