"""The logs' signing keys as files that only the service's user can read."""

import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from kifabrik.durable import make_folder, sync_folder
from kifabrik.errors import UnavailableError, UsageError
from kifabrik.signatures.keys import SigningKey
from kifabrik.stores.disk import disk_errors
from kifabrik.values import Kind, is_id

_SEED: Final = re.compile(r"[0-9a-f]{64}\n")


class FolderLogKeys:
    """Implements `kifabrik.factory.ports.LogKeys`: `<tenant>.key` holds the seed in hex.

    Args:
        root: Made if it is missing.
    """

    def __init__(self, root: Path) -> None:
        with disk_errors():
            make_folder(root)
        self._root = root
        self._lock = threading.Lock()
        self._known: dict[str, SigningKey] = {}

    def create(self, tenant: str) -> SigningKey:
        """Make the tenant's log key, or return the one made before (also by a sign-up that did not finish)."""
        file = self._file(tenant)
        if not file.exists():
            with disk_errors():
                self._write(file)
        return self.get(tenant)

    def get(self, tenant: str) -> SigningKey:
        """Return the tenant's log key.

        Raises:
            UnavailableError: It is missing.
        """
        with self._lock:
            if tenant in self._known:
                return self._known[tenant]
        try:
            text = self._file(tenant).read_text()
        except FileNotFoundError:
            raise UnavailableError(
                "the factory has lost the key of this log",
                hint="Its operator must restore keys/ from a backup.",
            ) from None
        if _SEED.fullmatch(text) is None:
            raise UnavailableError("the factory's key of this log is damaged")
        key = SigningKey(bytes.fromhex(text))
        with self._lock:
            self._known[tenant] = key
        return key

    def _write(self, file: Path) -> None:
        fresh = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(handle, "w") as text:
                text.write(SigningKey.generate().seed.hex() + "\n")
                text.flush()
                os.fsync(handle)
            with suppress(FileExistsError):
                os.link(fresh, file)  # unlike a rename, this never replaces a key made meanwhile
        finally:
            fresh.unlink()
        sync_folder(self._root)

    def _file(self, tenant: str) -> Path:
        if not is_id(tenant, Kind.TENANT):
            raise UsageError(f"not a tenant id: {tenant[:80]!r}")
        return self._root / f"{tenant}.key"
