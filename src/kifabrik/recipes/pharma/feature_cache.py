"""Features kept between calls, by the SMILES they were computed from.

Not by InChIKey: it is one for tautomers whose features differ, and takes as long to compute as a fifth of the
features. The file tells neither structures nor names, but features and hashes of SMILES: treat it as confidential.

Invariants:
    - What is read back equals, to the bit, what was kept; a file of other RDKit or recipe versions is not read.
    - Several processes may use one file; a torn or foreign file is an error with its name, never wrong features.
"""

import hashlib
import os
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
import rdkit
from numpy.typing import NDArray

from kifabrik.durable import make_folder
from kifabrik.errors import UsageError

_RECIPE: Final = 1
"""Raised when features change."""
_SECONDS_TO_WAIT: Final = 60.0
_KEY_BYTES: Final = 16


class FeatureCache:
    """A file of features in a folder.

    Args:
        folder: Made if missing.

    Raises:
        UsageError: The folder or file cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"maplight-{_RECIPE}-rdkit-{rdkit.__version__}.sqlite"
        try:
            make_folder(folder)
            os.close(os.open(self._path, os.O_CREAT, 0o600))
            with closing(self._open()) as file:
                file.execute("PRAGMA journal_mode = WAL")
                file.execute("CREATE TABLE IF NOT EXISTS feature (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def find(self, smiles: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Features that are kept, by SMILES."""
        found = {}
        try:
            with closing(self._open()) as file:
                for text in smiles:
                    row = file.execute("SELECT value FROM feature WHERE key = ?", (_key(text),)).fetchone()
                    if row:
                        found[text] = np.frombuffer(zlib.decompress(row[0]), np.float32)
        except (sqlite3.Error, zlib.error) as error:
            raise self._unusable(error) from error
        return found

    def keep(self, features: Iterable[tuple[str, NDArray[np.float32]]]) -> None:
        """Keep features of SMILES."""
        rows = [(_key(text), zlib.compress(values.tobytes(), 1)) for text, values in features]
        try:
            with closing(self._open()) as file, file:
                file.executemany("INSERT OR REPLACE INTO feature VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_SECONDS_TO_WAIT)

    def _unusable(self, error: Exception) -> UsageError:
        return UsageError(
            f"The features kept in {self._path} cannot be used: {error}.",
            hint="Delete that file (features are then computed again), or give another folder.",
        )


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:_KEY_BYTES]
