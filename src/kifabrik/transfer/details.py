"""Names beside the log: sealed to the tenant's catalogue recipient, bound to their entry by a digest.

Sealing alone says nothing about who wrote them: the factory writes the entries and knows the catalogue
recipient. So names are a signed statement about the statement their entry records.

Invariants:
- names count only with the signature of a key of the tenant, and only for the statement they are about:
  they can neither be made up nor be moved to another dataset, run or version.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from kifabrik.errors import IntegrityError
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_file
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import seal_file
from kifabrik.signatures.canonical import from_canonical, to_canonical
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import predicate, sign_statement
from kifabrik.values import sha256_hex
from kifabrik.wire.body import Detail

_FIELDS: Final = frozenset({"names", "salt"})


@predicate("names/v1")
@dataclass(frozen=True)
class Names:
    """What people call something; signed by the device or tenant key that signed the thing itself.

    Args:
        of: Digest of the statement the names go with: a manifest, order, acceptance or grant.
        about: Id of what is named: of the dataset, run or grant; of the member for an acceptance.
        said: The names, such as `{"name": …}`.
    """

    of: str
    about: str
    said: dict[str, Any]


def make_detail(names: Names, recipient: Recipient, key: SigningKey) -> Detail:
    """Sign and seal names for the members of a tenant; the salt keeps the digest from being guessed.

    Args:
        names: What the log entry's statement is called.
        recipient: The tenant's catalogue recipient.
        key: Signs them.
    """
    signed = sign_statement(names, {"named": names.of}, key)
    plain = to_canonical({"names": signed.to_json(), "salt": secrets.token_hex(16)})
    return Detail(sha256=sha256_hex(plain), sealed=seal_file(plain, [recipient]))


def open_detail(sealed: bytes, sha256: str, identity: Identity) -> Envelope:
    """Open names and check that they are the ones the entry speaks of; their signature is not checked yet.

    Raises:
        IntegrityError: They are others, or not sealed to this identity.
    """
    plain = open_file(sealed, [identity])
    if sha256_hex(plain) != sha256:
        raise IntegrityError("the sealed names are not the ones the log entry speaks of")
    body = from_canonical(plain)
    if not isinstance(body, dict) or body.keys() != _FIELDS or not isinstance(body["names"], str):
        raise IntegrityError("the sealed names are malformed")
    return Envelope.from_json(body["names"])
