"""A connected member: API clients, verified trust, the log's mirror and the catalogue."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, Self

from kifabrik.client.connection import Connection
from kifabrik.client.datasets import Datasets
from kifabrik.client.direct import Direct
from kifabrik.client.leases import Leases
from kifabrik.client.logs import Log
from kifabrik.client.objects import Objects
from kifabrik.client.runs import Runs
from kifabrik.client.tenants import Tenants
from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.profile import Profile, member_folder
from kifabrik.customer.unfinished import remove_unfinished
from kifabrik.errors import ConflictError, IntegrityError, RefusedError, UnavailableError
from kifabrik.ledger.checkpoint import log_origin, witness_verifier
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.mirror import Mirror
from kifabrik.ledger.mirror_files import MirrorFiles
from kifabrik.ledger.policy import AcceptedHead, Policy
from kifabrik.seals.identities import Identity
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.tenants.statements import KeyholderStatement, RecipientList, Role
from kifabrik.tenants.trust import verify_keyholder, verify_recipients
from kifabrik.transfer.http_store import HttpStore
from kifabrik.transfer.log_sync import catch_up

COSIGNED: Final = "cosigned"
"""File beside the mirror: the newest head that the present keyholder's witness has cosigned."""
_KEYHOLDERS: Final = (EntryKind.KEYHOLDER_ENROLLED, EntryKind.KEYHOLDER_RESTORED)
_NUMBERED: Final = b'"sequence":'
"""In every entry about the keyholder or its lists, and in few others."""
_STATEMENTS: Final = 256
"""Statements a session keeps: a digest names one statement for ever, and what it names is looked up in the log."""
_STORE_PATIENCE_S: Final = 15.0
"""A store of objects that is started anew is back within that."""
_PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.05
"""Between looks whether another command is done with the mirror."""
_IT_WAITS: Final = "Does it wait for the factory? Try again, or stop it first."


@dataclass(frozen=True)
class _Newest:
    """Highest sequence the log names: of statements about the keyholder, and of its lists of recipients."""

    keyholder: int
    recipients: int

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        found: dict[EntryKind | str, int] = dict.fromkeys((*_KEYHOLDERS, EntryKind.RECIPIENTS_PUBLISHED), 0)
        for entry in entries:
            sequence = entry.refs.get("sequence")
            if entry.kind in found and isinstance(sequence, int):
                found[entry.kind] = max(found[entry.kind], sequence)
        return cls(max(found[kind] for kind in _KEYHOLDERS), found[EntryKind.RECIPIENTS_PUBLISHED])


class Session:
    """Everything a command needs; close it, or use `open_session`.

    Args:
        home: The member's home folder.
        profile: From it.
    """

    def __init__(self, home: Path, profile: Profile) -> None:
        self.home = home
        self.profile = profile
        self.connection = Connection(profile.factory, profile.token, ca_pem=profile.ca_pem)
        self.tenants = Tenants(self.connection)
        self.objects = Objects(self.connection, Direct(self.connection), patience_s=_STORE_PATIENCE_S)
        self.datasets = Datasets(self.connection)
        self.runs = Runs(self.connection)
        self.leases = Leases(self.connection)
        self.log = Log(self.connection)
        self.store = HttpStore(self.objects)
        self._statement = lru_cache(_STATEMENTS)(self.datasets.statement)
        self._catching_up = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    @property
    def tenant(self) -> str:
        """Tenant id."""
        return self.profile.tenant

    def check_may_change(self, what: str) -> None:
        """Check that this member's role does more than look, before anything is prepared or sealed.

        Args:
            what: What the member wants to do, such as `order runs`.

        Raises:
            RefusedError: It does not.
        """
        if self.profile.role == Role.AUDITOR:
            raise RefusedError(f"an auditor looks and cannot {what}", hint="Ask a steward for another role.")

    @property
    def tenant_key(self) -> VerifyKey:
        """The key all trust starts with."""
        return VerifyKey.from_hex(self.profile.tenant_key)

    @cached_property
    def keyholder(self) -> KeyholderStatement:
        """The newest keyholder statement, verified; no older one than was seen before or than the log names.

        Raises:
            IntegrityError: The statement is not the tenant's, or not the newest.
        """
        envelope = self.tenants.keyholder()
        shown = verify_keyholder(self.tenant_key, envelope)
        known = verify_keyholder(self.tenant_key, Envelope.from_json(self.profile.keyholder))
        believed = max(known, shown, key=lambda said: said.sequence)
        logged = self._newest().keyholder
        if believed.sequence < logged:
            raise IntegrityError(
                f"the factory shows statement {shown.sequence} about the keyholder, the log names {logged}",
                hint="Keys of a keyholder that was replaced may be known to others. Ask the operator.",
            )
        if believed is known:
            return known
        witness = witness_verifier(self.tenant, VerifyKey.from_hex(shown.witness_key))
        policy = Policy.of(Policy.parse(self.profile.policy).logs[0], witness)
        self._remember(keyholder=envelope.to_json(), policy=policy.to_text())
        (member_folder(self.home, "ledger") / COSIGNED).unlink(missing_ok=True)  # by the keyholder before this one
        return shown

    @property
    def keyholder_key(self) -> VerifyKey:
        """Signs leases and recipient lists."""
        return VerifyKey.from_hex(self.keyholder.keyholder_key)

    @property
    def recipients(self) -> RecipientList:
        """The keyholder's list of recipients as of now, verified; asked for anew each time.

        It is no older than the one this machine has seen before or the one the log names.

        Raises:
            IntegrityError: The list is not the keyholder's, or not the newest.
        """
        logged = self._newest().recipients
        newest = max(logged, self.profile.recipients)
        listed = verify_recipients(self.keyholder, self.tenants.recipients())
        if listed.sequence < newest:
            named = "the log names" if newest == logged else "this machine has seen"
            raise IntegrityError(
                f"the factory shows list {listed.sequence} of the keyholder's recipients, {named} {newest}",
                hint="What is sealed to an old list may be lost: its keys may be destroyed. Ask the operator.",
            )
        if listed.sequence > self.profile.recipients:
            self._remember(recipients=listed.sequence)
        return listed

    def _newest(self) -> "_Newest":
        """What the log names as the newest of the keyholder's statements."""
        return _Newest.of(Entry.from_bytes(data) for data in self.mirror().holding(_NUMBERED))

    def _remember(self, **news: str | int) -> None:
        self.profile = replace(self.profile, **news)  # type: ignore[arg-type]
        self.profile.save(self.home)

    @property
    def policy(self) -> Policy:
        """What a tree head must satisfy."""
        _ = self.keyholder
        return Policy.parse(self.profile.policy)

    def accept(self, checkpoint: str) -> AcceptedHead:
        """Return a cosigned tree head, by the present keyholder: one restored since this command began, too.

        Raises:
            IntegrityError: It does not satisfy the policy.
        """
        try:
            return self.policy.accept(checkpoint)
        except IntegrityError:
            believed = self.keyholder
            del self.keyholder
            if self.keyholder.sequence == believed.sequence:
                raise
        return self.policy.accept(checkpoint)

    @property
    def catalogue_identity(self) -> Identity:
        """Opens names in the ledger."""
        return Identity.from_text(self.profile.catalogue_identity)

    @property
    def catalogue_recipient(self) -> Recipient:
        """Names are sealed to it."""
        return Recipient.from_text(self.keyholder.catalogue_recipient)

    def mirror(self) -> Mirror:
        """This member's own full copy of the log, as of now; to read from.

        Other commands of this member may run at the same time: only bringing it up to date is done one
        after the other.

        Raises:
            UnavailableError: Another command keeps the copy busy for too long; it may wait for the factory.
            IntegrityError: The log was rolled back, forked or is incomplete.
        """
        with self._catching_up, _when_free(member_folder(self.home, "ledger")) as files:
            mirror = Mirror(log_origin(self.tenant), files, own_disk=True)
            catch_up(self.log, mirror, Policy.parse(self.profile.policy).logs[0])
        return mirror

    def catalogue(self) -> Catalogue:
        """Names and ids as of now."""
        return Catalogue(
            self.mirror(),
            self.log,
            self.catalogue_identity,
            member_folder(self.home, "details"),
            tenant_key=self.tenant_key,
            statement=self._statement,
        )


def _when_free(folder: Path) -> MirrorFiles:
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return MirrorFiles(folder)
        except ConflictError as error:
            if time.monotonic() > until:
                raise UnavailableError(
                    f"another command of yours has kept {folder} busy for {_PATIENCE_S:.0f} s", hint=_IT_WAITS
                ) from error
        time.sleep(_PAUSE_S)


@contextmanager
def open_session(home: Path) -> Iterator[Session]:
    """Connect as the member this machine is enrolled for.

    Raises:
        SignInError: It is not enrolled.
    """
    session = Session(home, Profile.load(home))
    remove_unfinished(home)
    try:
        yield session
    finally:
        session.close()
