"""What earlier searches through a mirror's entries have found, kept beside them.

    found-DIGEST   canonical JSON: the text, how many entries were searched, the last of them, which ones hold it

Entries are only ever added, so what a search has found in the first ones stays true.

Invariants:
- a note speaks of entries by their index only, and counts only if the last entry it has seen is still there, and
  each entry it names holds the text; any other note is as good as none;
- losing a note costs a search and nothing else, so nothing waits for the disk.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.errors import IntegrityError
from kifabrik.signatures.canonical import from_canonical, to_canonical
from kifabrik.values import sha256_hex

_WORTH_BYTES: Final = 2**20
"""Searching as much as this anew takes a millisecond: for less a note is not written again."""
_MOST_FOUND: Final = 1024
"""Reading more entries one by one would take as long as searching."""
_FIELDS: Final = frozenset({"found", "last", "size", "text"})


@dataclass(frozen=True)
class Search:
    """How far a search has come.

    Args:
        size: Number of entries searched.
        found: Indices of those that hold the text, rising.
    """

    size: int = 0
    found: tuple[int, ...] = ()


class Searches:
    """Notes of searches.

    Args:
        folder: The mirror's.
        entry: Returns an entry by its index.
    """

    def __init__(self, folder: Path, entry: Callable[[int], bytes]) -> None:
        self._folder = folder
        self._entry = entry

    def before(self, text: bytes, size: int) -> Search:
        """Return how far searches for a text have come in a mirror of `size` entries."""
        try:
            body = from_canonical(self._path(text).read_bytes())
            if not isinstance(body, dict) or body.keys() != _FIELDS or body["text"] != text.hex():
                return Search()
            noted = Search(int(body["size"]), tuple(map(int, body["found"])))
        except (OSError, IntegrityError, TypeError, ValueError):
            return Search()
        holds = 0 < noted.size <= size and self._seal(noted.size) == body["last"] and self._is_true(text, noted)
        return noted if holds else Search()

    def keep(self, text: bytes, now: Search, searched: int) -> None:
        """Note how far a search has come, if it had to read so many bytes that the next one should not."""
        if searched < _WORTH_BYTES or len(now.found) > _MOST_FOUND:
            return
        body = {"found": list(now.found), "last": self._seal(now.size), "size": now.size, "text": text.hex()}
        path = self._path(text)
        partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            partial.write_bytes(to_canonical(body))
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)

    def _is_true(self, text: bytes, noted: Search) -> bool:
        rising = all(a < b for a, b in zip((-1, *noted.found), (*noted.found, noted.size), strict=True))
        return rising and all(text in self._entry(index) for index in noted.found)

    def _seal(self, size: int) -> str:
        """Return a digest of the last of so many entries."""
        return sha256_hex(self._entry(size - 1))

    def _path(self, text: bytes) -> Path:
        return self._folder / f"found-{sha256_hex(text)[:32]}"
