"""Secrets of connectors in the keyholder's store: encrypted under its state key, part of its backups."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kifabrik.errors import NotFoundError
from kifabrik.keyholder.state import State, open_state
from kifabrik.keyholder.unlocking import Unlock

_PREFIX: Final = "connector/"


class KeyholderStore:
    """The store of a keyholder on this machine; opened for each use, whether the keyholder runs or not.

    Args:
        folder: The keyholder's.
        unlock: Returns what opens it; asked only when a secret is wanted.
    """

    def __init__(self, folder: Path, unlock: Callable[[], Unlock]) -> None:
        self._folder = folder
        self._unlock = unlock

    def get(self, name: str) -> str:
        """Return a secret.

        Raises:
            NotFoundError: There is no keyholder here, or it has no secret of the name.
            RefusedError: What was given does not open it.
        """
        with self._opened() as state:
            try:
                return state.vault.get(_PREFIX + name).decode()
            except NotFoundError:
                raise NotFoundError(
                    f"the keyholder has no secret {name!r}", hint=f"Keep it there: kifabrik sap secret {name}"
                ) from None

    def put(self, name: str, secret: str) -> None:
        """Keep a secret, in place of an earlier one of the name."""
        with self._opened() as state:
            state.vault.put(_PREFIX + name, secret.encode(), public="", created=state.clock.text())

    def remove(self, name: str) -> bool:
        """Overwrite and delete a secret; False if there was none."""
        with self._opened() as state:
            gone = state.vault.destroy([_PREFIX + name])
            state.vault.shred()
        return bool(gone)

    @contextmanager
    def _opened(self) -> Iterator[State]:
        state = open_state(self._folder, self._unlock())
        try:
            yield state
        finally:
            state.close()
