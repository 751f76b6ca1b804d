"""The state key, and the two ways to it: a passphrase, or a key file for unattended start.

`unlock/passphrase.age` holds the state key sealed with the passphrase, `unlock/keyfile.age` the same key
sealed to the age identity in the key file. Every secret in the database is encrypted under it.

Invariants:
- scrypt runs once, when the keyholder is opened;
- a key file that others may read does not open anything;
- wrong passphrase and damaged file are told apart from a missing keyholder, and nothing is changed.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from kifabrik.errors import IntegrityError, NotFoundError, RefusedError, UnavailableError
from kifabrik.keyholder.files import make_private_folder, read_private, write_private
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_file
from kifabrik.seals.passphrase import WORK_FACTOR, open_with_passphrase, seal_with_passphrase
from kifabrik.seals.sealing import seal_file

STATE_KEY_BYTES: Final = 32
CREDENTIAL: Final = "kifabrik-keyholder"
"""Name of the systemd credential (systemd.exec(5), LoadCredentialEncrypted=)."""

_FOLDER: Final = "unlock"
_BY_PASSPHRASE: Final = "passphrase.age"  # noqa: S105 - a file name
_BY_KEY_FILE: Final = "keyfile.age"
_IDENTITY: Final = "AGE-SECRET-KEY-"


@dataclass(frozen=True)
class Passphrase:
    """What a person types."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class KeyFile:
    """A file with an age identity made by `write_key_file`, or with the passphrase itself.

    Args:
        path: The file.
        guarded: Whether somebody else sees to it that only this service can read it, as systemd does
            with credentials (through access lists, which the mode bits do not show).
    """

    path: Path
    guarded: bool = False


Unlock: TypeAlias = Passphrase | KeyFile


def unlock_from_environment() -> KeyFile | None:
    """Return the systemd credential of this service, if it was given one."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / CREDENTIAL if folder else None
    return KeyFile(path, guarded=True) if path is not None and path.exists() else None


def protect(home: Path, state_key: bytes, passphrase: str, *, work_factor: int = WORK_FACTOR) -> None:
    """Seal the state key with a passphrase, in place of an earlier one.

    Raises:
        UsageError: The passphrase is empty.
    """
    make_private_folder(home / _FOLDER)
    sealed = seal_with_passphrase(state_key, passphrase, work_factor=work_factor)
    write_private(home / _FOLDER / _BY_PASSPHRASE, sealed)


def write_key_file(home: Path, state_key: bytes, path: Path) -> None:
    """Make a key file that opens this keyholder without a passphrase; an earlier one stops working."""
    identity = Identity.generate()
    make_private_folder(path.parent)
    write_private(path, f"{identity.text}\n".encode())
    write_private(home / _FOLDER / _BY_KEY_FILE, seal_file(state_key, [identity.recipient]))


def require_keyholder(home: Path) -> None:
    """Check that a keyholder lies in a folder, before anybody is asked for its passphrase.

    Raises:
        NotFoundError: There is none.
    """
    if not (home / _FOLDER).is_dir():
        raise NotFoundError(
            f"there is no keyholder in {home}",
            hint="Is it on another machine, or below another --home? A new one: kifabrik tenant create",
        )


def open_state_key(home: Path, unlock: Unlock) -> bytes:
    """Return the state key.

    Raises:
        NotFoundError: There is no keyholder in this folder, or no key file.
        RefusedError: The passphrase or the key file is not the one of this keyholder.
        IntegrityError: The sealed state key is damaged.
    """
    secret = unlock.text if isinstance(unlock, Passphrase) else _content(unlock)
    key_file = isinstance(unlock, KeyFile) and secret.startswith(_IDENTITY)
    sealed = _sealed(home, _BY_KEY_FILE if key_file else _BY_PASSPHRASE)
    try:
        key = open_file(sealed, [Identity.from_text(secret)]) if key_file else open_with_passphrase(sealed, secret)
    except IntegrityError:
        what = "key file" if key_file else "passphrase"
        raise RefusedError(
            f"this {what} does not open the keyholder in {home}",
            hint="Try again. Without it, only a backup with its own passphrase helps.",
        ) from None
    if len(key) != STATE_KEY_BYTES:
        raise IntegrityError(f"the state key in {home / _FOLDER} is damaged", hint="Restore a backup.")
    return key


def _content(file: KeyFile) -> str:
    try:
        data = file.path.read_bytes() if file.guarded else read_private(file.path)
        return data.decode().strip()
    except UnicodeDecodeError:
        raise RefusedError(f"{file.path} is not a key file") from None
    except OSError as error:
        raise UnavailableError(f"cannot read {file.path}: {error.strerror or error}") from None


def _sealed(home: Path, name: str) -> bytes:
    require_keyholder(home)
    try:
        return (home / _FOLDER / name).read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"the keyholder in {home} has no key file", hint="Make one: kifabrik keyholder key-file"
        ) from None
