"""Which keys have been seen: so that no row is taken twice, however pages overlap.

A key is remembered as eight bytes of a keyed hash (BLAKE2b, RFC 7693), in a table of fixed size that is made for
the number of rows announced: 12 to 24 bytes a row. Among ten million keys two share a hash with a probability of
3 in a million; that would be a false alarm, not a loss.
"""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from kifabrik.connectors.sap.pages import Row

_LEAST: Final = 1024
_EMPTY: Final = 0
_FULL_AT: Final = 2 / 3


class Hasher:
    """Turns keys into numbers.

    Args:
        salt: Up to 64 bytes, secret like what is hashed.
        names: Of the fields that make the key.
    """

    def __init__(self, salt: bytes, names: Sequence[str]) -> None:
        self._start = hashlib.blake2b(digest_size=8, key=salt)
        self._names = tuple(names)

    def __call__(self, row: Row) -> int:
        """Return the number of a row's key; never 0.

        Raises:
            KeyError: The row lacks a part of its key.
        """
        return self.many([row])[0]

    def many(self, rows: Sequence[Row]) -> list[int]:
        """Return the numbers of many rows' keys.

        Raises:
            KeyError: A row lacks a part of its key.
        """
        copy, number = self._start.copy, int.from_bytes
        found = []
        for text in self._texts(rows):
            state = copy()
            state.update(text.encode(errors="surrogatepass"))
            found.append(number(state.digest()) or 1)
        return found

    def _texts(self, rows: Sequence[Row]) -> list[str]:
        if len(self._names) == 1:
            (name,) = self._names
            return [str(row[name]) for row in rows]
        # The length before each part keeps parts from running into each other.
        return [
            "".join([f"{len(part)}:{part}" for part in (str(row[name]) for name in self._names)]) for row in rows
        ]


class Seen:
    """A set of numbers in one flat table (open addressing, linear probing).

    Args:
        expected: How many there will be; more make it grow.
    """

    def __init__(self, expected: int = 0) -> None:
        size = _LEAST
        while size * _FULL_AT < expected:
            size *= 2
        self._table = array("Q", bytes(8 * size))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, number: int) -> bool:
        """Add a number; False if it was there already."""
        if self._count >= len(self._table) * _FULL_AT:
            self._grow()
        table = self._table
        mask = len(table) - 1
        at = number & mask
        while (there := table[at]) != _EMPTY:
            if there == number:
                return False
            at = (at + 1) & mask
        table[at] = number
        self._count += 1
        return True

    def add_all(self, numbers: Sequence[int]) -> int:
        """Add numbers up to the first that was there already; return its place, or -1."""
        while self._count + len(numbers) >= len(self._table) * _FULL_AT:
            self._grow()
        table, mask = self._table, len(self._table) - 1
        for place, number in enumerate(numbers):
            at = number & mask
            while there := table[at]:
                if there == number:
                    self._count += place
                    return place
                at = (at + 1) & mask
            table[at] = number
        self._count += len(numbers)
        return -1

    def update(self, numbers: Iterable[int]) -> None:
        """Add many, whether they are there or not."""
        for number in numbers:
            self.add(number)

    def _grow(self) -> None:
        old = self._table
        self._table = array("Q", bytes(16 * len(old)))
        self._count = 0
        for number in old:
            if number != _EMPTY:
                self.add(number)
