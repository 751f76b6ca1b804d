"""Invitation files: what a new member believes first."""

import json
from collections.abc import Iterator

from fuzz.material import DIGEST, IDENTITY, KEY, OTHER
from fuzz.target import Target, agree
from fuzz.targets.statements import example
from kifabrik.errors import IntegrityError, SignInError, UsageError
from kifabrik.ledger.checkpoint import log_verifier
from kifabrik.ledger.policy import Policy
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.invitation import Invitation
from kifabrik.tenants.statements import KeyholderStatement, Membership


def one(data: bytes) -> None:
    """Read and check against its own tenant key."""
    invitation = Invitation.from_text(data.decode("utf-8", "replace"))
    agree(Invitation.from_text(invitation.to_text()), invitation, "an invitation written and read")
    invitation.verified()


def seeds() -> Iterator[bytes]:
    """One that verifies."""
    log = log_verifier(KEY.public.tenant_id, OTHER.public)
    yield (
        Invitation(
            factory="https://factory.example",
            tenant_key=KEY.public.hex,
            policy=Policy.of(log).to_text(),
            keyholder=sign_statement(example(KeyholderStatement), {"keyholder": DIGEST}, KEY).to_json(),
            membership=sign_statement(example(Membership), {"member": DIGEST}, KEY).to_json(),
            invitation_seed=KEY.seed.hex(),
            catalogue_identity=IDENTITY.text,
        )
        .to_text()
        .encode()
    )
    yield json.dumps({"format": "kifabrik-invitation/v1"}).encode()


TARGET = Target(
    "invitation files",
    one,
    (SignInError, IntegrityError, UsageError),
    seeds,
    (b'"invitation_seed":"zz"', b'"tenant_key":""'),
    longest=1 << 14,
    json=True,
)
