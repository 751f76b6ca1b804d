"""Who this machine is: the keys of its member's device and what it trusts, in one private file."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import click

from kifabrik.client.connection import Connection
from kifabrik.client.tenants import Tenants
from kifabrik.durable import make_folder, write_whole
from kifabrik.errors import ConflictError, SignInError
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.invitation import Invitation
from kifabrik.tenants.statements import Device

_FORMAT: Final = "kifabrik-profile/v1"
_FILE: Final = "profile.json"
_OTHER_VERSION: Final = "Use that version or a newer one; or move it away and enrol again: kifabrik login FILE"
_ANEW: Final = "Put a copy back; or move it away and enrol again with a new invitation: kifabrik login FILE"


@dataclass(frozen=True)
class Profile:
    """A member's device.

    Args:
        factory: URL of the service.
        ca_pem: Its certificate authority, if it has its own.
        tenant_key: Ed25519 key in hex.
        member: Member id.
        role: As the membership says.
        policy: tlog-policy text the ledger is verified with.
        keyholder: DSSE text of the newest keyholder statement seen.
        recipients: Sequence of the newest list of its recipients seen.
        device_seed: Secret.
        identity: age identity results are leased to; secret.
        catalogue_identity: Opens names in the ledger; secret.
        token: Bearer token; secret.
    """

    factory: str
    ca_pem: str
    tenant_key: str
    member: str
    role: str
    policy: str
    keyholder: str
    device_seed: str = field(repr=False)
    identity: str = field(repr=False)
    catalogue_identity: str = field(repr=False)
    token: str = field(repr=False)
    recipients: int = 0

    @property
    def tenant(self) -> str:
        """Tenant id."""
        return VerifyKey.from_hex(self.tenant_key).tenant_id

    @property
    def device(self) -> SigningKey:
        """Signs orders and requests."""
        return SigningKey(bytes.fromhex(self.device_seed))

    @property
    def opener(self) -> Identity:
        """Opens what is leased to this device."""
        return Identity.from_text(self.identity)

    @classmethod
    def load(cls, home: Path) -> "Profile":
        """Read the profile of this machine.

        Raises:
            SignInError: This machine is not enrolled, or not to the end.
        """
        profile = cls.begun(home)
        if profile is None:
            raise SignInError(
                "this machine is not enrolled",
                hint="Ask your steward for an invitation; then: kifabrik login FILE. "
                "If you enrolled before, name the folder of its keys with --home, or in KIFABRIK_HOME.",
            )
        if not profile.token:
            raise SignInError(
                "this machine is not enrolled: its login did not come to an end",
                hint="Repeat kifabrik login FILE with the same invitation, or with a new one if that is used up.",
            )
        return profile

    @classmethod
    def begun(cls, home: Path) -> "Profile | None":
        """Read what is kept of an enrolment, finished or not; without a token it is not finished.

        Raises:
            SignInError: It cannot be read.
        """
        path = _folder(home) / _FILE
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            if body.pop("format") != _FORMAT:
                raise SignInError(f"{path} was written by another version of kifabrik", hint=_OTHER_VERSION)
            return cls(**body)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (IsADirectoryError, ValueError, KeyError, TypeError, AttributeError):
            raise SignInError(f"{path} is damaged", hint=_ANEW) from None

    def save(self, home: Path) -> None:
        """Write the profile, readable by this person only; whole or not at all."""
        folder = _folder(home)
        make_folder(folder)
        write_whole(folder / _FILE, json.dumps({"format": _FORMAT, **asdict(self)}, indent=2).encode())


def home_folder() -> Path:
    """Return `$KIFABRIK_HOME`, or the usual place for this person's settings on this system."""
    named = os.environ.get("KIFABRIK_HOME")
    return Path(named) if named else usual_folder()


def usual_folder() -> Path:
    """Return the usual place for this person's settings on this system, whatever the environment says."""
    return Path(click.get_app_dir("kifabrik"))


def _folder(home: Path) -> Path:
    return home / "member"


def member_folder(home: Path, name: str) -> Path:
    """Return a folder for this member's own working files, made if it is missing."""
    folder = _folder(home) / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def enrol(home: Path, invitation: Invitation) -> Profile:
    """Make device keys here, enrol them with an invitation, and remember the token.

    The keys are kept before the factory is asked, so an enrolment that was interrupted can be repeated.

    Raises:
        ConflictError: This machine is enrolled already.
        SignInError: The invitation was used on another machine, or has expired.
        IntegrityError: The invitation does not verify.
    """
    before = Profile.begun(home)
    if before is not None and before.token:
        raise ConflictError("this machine is enrolled already", hint="Use --home for a second enrolment.")
    keyholder, membership, key = invitation.verified()
    if before is not None and before.member == membership.member:
        profile = before
    else:
        profile = _fresh(invitation, membership.member, membership.role)
        profile.save(home)
    envelope = Envelope.from_json(invitation.membership)
    device = Device(
        tenant=keyholder.tenant,
        member=membership.member,
        membership=envelope.digest,
        device_key=profile.device.public.hex,
        recipient=profile.opener.recipient.text,
        created=membership.created,
    )
    statement = sign_statement(device, {"membership": envelope.digest}, key, profile.device)
    connection = Connection(invitation.factory, ca_pem=invitation.ca_pem)
    try:
        enrolled = Tenants(connection).enrol(envelope, statement)
    finally:
        connection.close()
    profile = replace(profile, token=enrolled.token)
    profile.save(home)
    return profile


def _fresh(invitation: Invitation, member: str, role: str) -> Profile:
    return Profile(
        factory=invitation.factory,
        ca_pem=invitation.ca_pem,
        tenant_key=invitation.tenant_key,
        member=member,
        role=role,
        policy=invitation.policy,
        keyholder=invitation.keyholder,
        device_seed=SigningKey.generate().seed.hex(),
        identity=Identity.generate().text,
        catalogue_identity=invitation.catalogue_identity,
        token="",
    )
