"""The keyholder's folder, opened: database, keys, clock, and what it knows about itself.

    keyholder.db    everything below, secrets encrypted     unlock/       the state key, sealed
    tenant.key      the tenant key, sealed on its own       serving.lock  held by the one serving process

Invariants:
- one process serves; commands beside it see and change the same database;
- the tenant key is not needed to serve, so its file can be taken away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.keyholder.blocks import Blocks
from kifabrik.keyholder.clock import Clock
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.settings import Setting, Settings
from kifabrik.keyholder.unlocking import Unlock, open_state_key
from kifabrik.keyholder.vault import KEYHOLDER, WITNESS, Vault
from kifabrik.ledger.notes import NoteVerifier
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.tenants.statements import KeyholderStatement
from kifabrik.tenants.trust import verify_keyholder
from kifabrik.values import now_utc

DATABASE: Final = "keyholder.db"
TENANT_KEY_FILE: Final = "tenant.key"
SERVING_LOCK: Final = "serving.lock"


@dataclass(frozen=True)
class State:
    """Everything kept in a keyholder's folder.

    Args:
        home: The folder.
        db: Its database.
        vault: Private keys.
        settings: What it knows about itself.
        blocks: What must not be used.
        clock: Its time.
    """

    home: Path
    db: Database
    vault: Vault
    settings: Settings
    blocks: Blocks
    clock: Clock

    @classmethod
    def over(cls, home: Path, db: Database, state_key: bytes, wall: Callable[[], datetime] = now_utc) -> Self:
        """Put the parts together."""
        settings = Settings(db)
        return cls(home, db, Vault(db, state_key), settings, Blocks(db), Clock(settings, wall))

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    @cached_property
    def tenant_key(self) -> VerifyKey:
        """The key everything is verified from."""
        return VerifyKey.from_hex(self.settings.get(Setting.TENANT_KEY))

    @property
    def tenant(self) -> str:
        """Tenant id."""
        return self.tenant_key.tenant_id

    @property
    def statement(self) -> KeyholderStatement:
        """What the tenant key says about this keyholder, verified."""
        return verify_keyholder(self.tenant_key, Envelope.from_json(self.settings.get(Setting.STATEMENT)))

    @cached_property
    def log_key(self) -> NoteVerifier:
        """The key of the tenant's log, pinned at sign-up."""
        return NoteVerifier.from_vkey(self.settings.get(Setting.LOG_VKEY))

    @property
    def keyholder_key(self) -> SigningKey:
        """Signs leases, refusals, recipient lists and certificates."""
        return self.vault.signing_key(KEYHOLDER)

    @property
    def witness_key(self) -> SigningKey:
        """Cosigns tree heads."""
        return self.vault.signing_key(WITNESS)


def open_state(home: Path, unlock: Unlock, wall: Callable[[], datetime] = now_utc) -> State:
    """Open a keyholder's folder.

    Args:
        home: The folder.
        unlock: Passphrase or key file.
        wall: The machine's clock.

    Raises:
        NotFoundError: There is no keyholder in the folder.
        RefusedError: Passphrase or key file do not open it.
        IntegrityError: Its files are damaged.
    """
    state_key = open_state_key(home, unlock)
    if not (home / DATABASE).is_file() or not (home / DATABASE).stat().st_size:
        message = f"{home / DATABASE} is missing or empty"
        raise NotFoundError(message, hint="Is its disk mounted? Else restore a backup into another folder.")
    state = State.over(home, Database(home / DATABASE), state_key, wall)
    try:
        _check_key(state)
    except BaseException:
        state.close()
        raise
    return state


def _check_key(state: State) -> None:
    if state.keyholder_key.public.hex != state.statement.keyholder_key:
        raise IntegrityError("the keyholder's key is not the one its statement names", hint="Restore a backup.")
