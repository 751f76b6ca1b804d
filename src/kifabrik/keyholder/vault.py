"""Private keys at rest: each encrypted under the state key, destroyed for good when erased.

Invariants:
- a secret is bound to its name: rows that are exchanged do not open;
- a secret is decrypted where it is used and not kept in memory beside;
- after `destroy` and `shred` no copy is left in the database file or its journal; that a `shred` is still owed is
  written down together with the destruction, so that one which was cut off is made up for. (What a disk or a file
  system keeps of overwritten blocks is out of reach; see docs/keyholder.md.)
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.settings import Setting, Settings
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey

KEYHOLDER: Final = "keyholder"
WITNESS: Final = "witness"
ORDER: Final = "order"
CATALOGUE: Final = "catalogue"
TOKEN: Final = "token"  # noqa: S105 - the name of one
"""Names of the secrets there is one of."""

_NONCE_BYTES: Final = 12
_LABEL: Final = b"kifabrik-vault/v1\0"


def dataset_secret(dataset: str) -> str:
    """Return the name of a dataset's identity."""
    return f"dataset/{dataset}"


def result_secret(recipient: str) -> str:
    """Return the name of a result identity; it is made before the run it will belong to is known."""
    return f"result/{recipient}"


@dataclass(frozen=True)
class Listed:
    """A secret without the secret: its name, public half and time of making."""

    name: str
    public: str
    created: str


class Vault:
    """The secrets of one keyholder.

    Args:
        db: Where they lie.
        state_key: 32 bytes.
    """

    def __init__(self, db: Database, state_key: bytes) -> None:
        self._db = db
        self._settings = Settings(db)
        self._cipher = ChaCha20Poly1305(state_key)

    def put(self, name: str, secret: bytes, *, public: str, created: str) -> None:
        """Keep a secret, in place of an earlier one of the name."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret, _LABEL + name.encode())
        self._db.execute("INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?)", (name, public, created, sealed))

    def get(self, name: str) -> bytes:
        """Return a secret.

        Raises:
            NotFoundError: There is none of the name, or it was destroyed.
            IntegrityError: The row is damaged, or belongs to another name or state key.
        """
        row = self._db.row("SELECT sealed FROM secrets WHERE name = ?", (name,))
        if row is None:
            raise NotFoundError(f"the keyholder has no key {name}")
        sealed: bytes = row["sealed"]
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _LABEL + name.encode())
        except (InvalidTag, ValueError):
            raise IntegrityError(f"key {name} in the keyholder's database is damaged") from None

    def signing_key(self, name: str) -> SigningKey:
        """Return a signing key."""
        return SigningKey(self.get(name))

    def identity(self, name: str) -> Identity:
        """Return an age identity."""
        return Identity(self.get(name))

    def put_identity(self, name: str, identity: Identity, *, created: str) -> None:
        """Keep an age identity with its recipient beside."""
        self.put(name, identity.secret, public=identity.recipient.text, created=created)

    def put_signing_key(self, name: str, key: SigningKey, *, created: str) -> None:
        """Keep a signing key with its public half beside."""
        self.put(name, key.seed, public=key.public.hex, created=created)

    def listed(self, prefix: str = "") -> list[Listed]:
        """Return all secrets whose names begin with `prefix`, oldest first."""
        rows = self._db.rows("SELECT name, public, created FROM secrets ORDER BY created, name")
        return [Listed(*row) for row in rows if row["name"].startswith(prefix)]

    def find(self, name: str) -> Listed | None:
        """Return what is public about a secret, or None."""
        row = self._db.row("SELECT name, public, created FROM secrets WHERE name = ?", (name,))
        return None if row is None else Listed(*row)

    def destroy(self, names: Iterable[str]) -> int:
        """Overwrite and delete secrets; return how many there were. Call `shred` afterwards."""
        with self._db.transaction():
            gone = 0
            for name in names:
                self._db.execute("UPDATE secrets SET sealed = zeroblob(length(sealed)) WHERE name = ?", (name,))
                gone += self._db.execute("DELETE FROM secrets WHERE name = ?", (name,))
            if gone:
                self._settings.set(Setting.REWRITE_OWED, secrets.token_hex(_NONCE_BYTES))
            return gone

    @property
    def owes_shred(self) -> bool:
        """Whether something was destroyed and the file was not rewritten since."""
        return self._settings.find(Setting.REWRITE_OWED) is not None

    def shred(self) -> None:
        """Rewrite the file so that nothing of destroyed secrets is left in it.

        Raises:
            CapacityError: The disk has no room for the new file beside the old one.
            UnavailableError: Another program is reading the file.
        """
        owed = self._settings.find(Setting.REWRITE_OWED)
        self._db.shred()
        if owed is not None:
            self._settings.drop(Setting.REWRITE_OWED, owed)
