"""The invitation: the one file in which trust reaches a new member's machine.

It is made on the customer's side and is secret until it is used: it holds the invitation key, which
certifies one device, and the catalogue identity, which opens names in the ledger (never data).
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Final

from kifabrik.errors import SignInError, UsageError
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.tenants.statements import KeyholderStatement, Membership
from kifabrik.tenants.trust import verify_keyholder, verify_membership

_FORMAT: Final = "kifabrik-invitation/v1"
_ASK: Final = "Ask your steward for a new one."


@dataclass(frozen=True)
class Invitation:
    """Everything a member's machine must know to trust nothing the factory says by itself.

    Args:
        factory: URL of the factory's service.
        tenant_key: Ed25519 key in hex; its fingerprint is the tenant id.
        policy: tlog-policy text: the log's key and the witness a tree head must be cosigned by.
        keyholder: DSSE JSON of the keyholder statement.
        membership: DSSE JSON of the membership statement.
        invitation_seed: Seed of the invitation key in hex (secret).
        catalogue_identity: age identity that opens ledger details (secret).
        ca_pem: The company's or the factory's own certificate authority, if any.
    """

    factory: str
    tenant_key: str
    policy: str
    keyholder: str
    membership: str
    invitation_seed: str = field(repr=False)
    catalogue_identity: str = field(repr=False)
    ca_pem: str = ""

    @property
    def tenant(self) -> str:
        """Tenant id."""
        return self.trusted_key.tenant_id

    @property
    def trusted_key(self) -> VerifyKey:
        """The tenant key."""
        return VerifyKey.from_hex(self.tenant_key)

    def verified(self) -> tuple[KeyholderStatement, Membership, SigningKey]:
        """Check the invitation against its own tenant key.

        Raises:
            IntegrityError: A statement in it is not by that key.
            SignInError: The invitation key is not the one the membership names, or not a key.
            UsageError: The tenant key is not a key.
        """
        keyholder = verify_keyholder(self.trusted_key, Envelope.from_json(self.keyholder))
        membership = verify_membership(self.trusted_key, Envelope.from_json(self.membership))
        try:
            key = SigningKey(bytes.fromhex(self.invitation_seed))
        except (ValueError, UsageError):
            raise SignInError("the invitation's key is not a key", hint=_ASK) from None
        if key.public.hex != membership.invitation_key:
            raise SignInError("the invitation's key is not the one its membership names")
        return keyholder, membership, key

    def to_text(self) -> str:
        """Write as the JSON of an invitation file."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_text(cls, text: str) -> "Invitation":
        """Read an invitation file.

        Raises:
            SignInError: The text is not an invitation.
        """
        try:
            body = json.loads(text)
            if body.pop("format") != _FORMAT:
                raise SignInError("not an invitation of a format this version knows")
            return cls(**{name: str(value) for name, value in body.items()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise SignInError("not an invitation file", hint=_ASK) from None
