"""The tenant key in its file: under a passphrase of its own, not needed while the keyholder serves."""

from pathlib import Path

from kifabrik.errors import IntegrityError, NotFoundError, RefusedError
from kifabrik.keyholder.files import read_private, write_private
from kifabrik.keyholder.state import TENANT_KEY_FILE
from kifabrik.seals.passphrase import WORK_FACTOR, open_with_passphrase, seal_with_passphrase
from kifabrik.signatures.keys import SigningKey


def save_tenant_key(home: Path, key: SigningKey, passphrase: str, *, work_factor: int = WORK_FACTOR) -> None:
    """Write the tenant key into a keyholder's folder."""
    write_private(home / TENANT_KEY_FILE, seal_with_passphrase(key.seed, passphrase, work_factor=work_factor))


def load_tenant_key(path: Path, passphrase: str) -> SigningKey:
    """Open a tenant key file.

    Args:
        path: The file, or the folder it was made in.
        passphrase: Its own.

    Raises:
        NotFoundError: There is no such file: the steward has taken it away.
        RefusedError: The passphrase is wrong, or others may read the file.
    """
    path = path / TENANT_KEY_FILE if path.is_dir() else path
    try:
        sealed = read_private(path)
    except NotFoundError:
        raise NotFoundError(
            f"there is no tenant key at {path}", hint="Name the file your steward keeps it in (--tenant-key)."
        ) from None
    try:
        return SigningKey(open_with_passphrase(sealed, passphrase))
    except IntegrityError:
        raise RefusedError(f"this passphrase does not open {path}", hint="Try again.") from None
