"""Names beside the log: sealed to the tenant's catalogue recipient, bound to their entry by a digest."""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from kifabrik.errors import IntegrityError
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_file
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import seal_file
from kifabrik.signatures.canonical import from_canonical, to_canonical
from kifabrik.values import sha256_hex
from kifabrik.wire.body import Detail

_SALT: Final = "salt"


def make_detail(content: Mapping[str, Any], recipient: Recipient) -> Detail:
    """Seal names for the members of a tenant; the salt keeps the digest from being guessed."""
    plain = to_canonical({**content, _SALT: secrets.token_hex(16)})
    return Detail(sha256=sha256_hex(plain), sealed=seal_file(plain, [recipient]))


def open_detail(sealed: bytes, sha256: str, identity: Identity) -> dict[str, Any]:
    """Open names and check that they are the ones the entry speaks of.

    Raises:
        IntegrityError: They are others, or not sealed to this identity.
    """
    plain = open_file(sealed, [identity])
    if sha256_hex(plain) != sha256:
        raise IntegrityError("the sealed names are not the ones the log entry speaks of")
    body = from_canonical(plain)
    if not isinstance(body, dict):
        raise IntegrityError(f"sealed names are not an object: {json.dumps(body)[:40]}")
    body.pop(_SALT, None)
    return body
