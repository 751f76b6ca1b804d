"""Which keys have been seen: so that no row is taken twice, however pages overlap.

A key is remembered as eight bytes of a keyed hash (SipHash, as `pandas.util.hash_array` computes it over whole
columns). Among ten million keys two share a hash with a probability of 3 in a million; that would be a false alarm,
not a loss.

Rows are asked for in the order of their keys. As long as they come so, each above the one before, none can have
come twice, and only the last one is remembered: memory does not grow. Once they do not (services sort in an
order of their own), all keys so far are recalled from where they are kept, and eight bytes a row are held.
Children of other rows never cost anything: see `NestedWatch`.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kifabrik.connectors.sap.pages import Row
from kifabrik.errors import IntegrityError

_KEY_BYTES: Final = 12
"""Which are the 16 letters a key of SipHash has."""
Numbers = NDArray[np.uint64]


class Hasher:
    """Turns keys into numbers.

    Args:
        salt: Up to 64 bytes, secret like what is hashed.
        names: Of the fields that make the key.
    """

    def __init__(self, salt: bytes, names: Sequence[str]) -> None:
        digest = hashlib.blake2b(digest_size=_KEY_BYTES, key=salt).digest()
        self._key = base64.b64encode(digest).decode()
        self._names = tuple(names)

    def __call__(self, row: Row) -> int:
        """Return the number of a row's key; never 0.

        Raises:
            KeyError: The row lacks a part of its key.
        """
        return int(self.rows([row])[0])

    def rows(self, rows: Sequence[Row]) -> Numbers:
        """Return the numbers of many rows' keys.

        Raises:
            KeyError: A row lacks a part of its key.
        """
        if len(self._names) == 1:
            (name,) = self._names
            return self._hashed([str(row[name]) for row in rows])
        # The length before each part keeps parts from running into each other.
        return self._hashed(
            ["".join([f"{len(part)}:{part}" for part in (str(row[name]) for name in self._names)]) for row in rows]
        )

    def columns(self, parts: Sequence[pa.Array]) -> Numbers:
        """Return the numbers of keys whose parts are columns, as `rows` would."""
        texts = [_texts(part) for part in parts]
        if len(texts) == 1:
            return self._hashed(texts[0].to_numpy(zero_copy_only=False))
        pieces = []
        for text in texts:
            pieces += [pc.utf8_length(text).cast(pa.string()), pa.scalar(":"), text]
        joined = pc.binary_join_element_wise(*pieces, pa.scalar(""))
        return self._hashed(joined.to_numpy(zero_copy_only=False))

    def _hashed(self, texts: Any) -> Numbers:
        from pandas.util import hash_array  # noqa: PLC0415 - slow to import

        if not len(texts):
            return np.empty(0, np.uint64)
        found = np.array(texts, dtype=object)
        try:
            numbers: Numbers = hash_array(found, hash_key=self._key, categorize=False)
        except UnicodeEncodeError:
            raise IntegrityError("a key holds what is no Unicode") from None
        return np.where(numbers == 0, np.uint64(1), numbers)


def _texts(part: pa.Array) -> pa.Array:
    if pa.types.is_integer(part.type):
        part = part.cast(pa.string())
    elif not pa.types.is_string(part.type):
        part = pa.array([str(value) for value in part.to_pylist()], pa.string())
    return part.fill_null("None") if part.null_count else part


class Seen:
    """A set of numbers in a few sorted runs, of which each is at least twice as long as the next: 8 bytes each."""

    def __init__(self) -> None:
        self._runs: list[Numbers] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add_all(self, numbers: Numbers) -> int:
        """Add numbers, or return the place of the first that was there already; -1 if none was."""
        order = np.argsort(numbers, kind="stable")
        fresh = numbers[order]
        twice = np.zeros(len(fresh), dtype=bool)
        twice[1:] = fresh[1:] == fresh[:-1]
        for run in self._runs:
            places = np.searchsorted(run, fresh)
            places[places == len(run)] = 0
            twice |= run[places] == fresh
        if twice.any():
            return int(order[twice].min())
        if len(fresh):
            self._runs.append(fresh)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last, before = self._runs.pop(), self._runs.pop()
            self._runs.append(np.sort(np.concatenate([before, last]), kind="stable"))
        return -1


class Watch(Protocol):
    """Watches that no key comes twice."""

    def take(self, parts: Sequence[pa.Array], numbers: Numbers) -> int:
        """Take keys; return the place of the first that came before, or -1."""


class NestedWatch:
    """Watches the keys of children, and holds none.

    The key of a child begins with that of its parent; no parent comes twice, and all children of one come together.
    So two children with one key are always in the same batch.
    """

    def take(self, parts: Sequence[pa.Array], numbers: Numbers) -> int:
        """See `Watch`."""
        del parts
        return Seen().add_all(numbers)


class KeyWatch:
    """Watches that no key comes twice.

    Args:
        recall: Returns the numbers of all keys so far; None to remember every key from the first one on.
    """

    def __init__(self, recall: Callable[[], Numbers] | None = None) -> None:
        self._recall = recall
        self._seen = Seen()
        self._last: list[pa.Array] = []

    @property
    def held(self) -> int:
        """Keys that are held in memory."""
        return len(self._seen)

    def take(self, parts: Sequence[pa.Array], numbers: Numbers) -> int:
        """Take keys; return the place of the first that came before, or -1.

        Args:
            parts: Columns that make the key, typed.
            numbers: From the `Hasher`.
        """
        if self._recall is not None:
            if self._ascend(parts):
                return -1
            self._seen.add_all(self._recall())
            self._recall, self._last = None, []
        return self._seen.add_all(numbers)

    def _ascend(self, parts: Sequence[pa.Array]) -> bool:
        if not len(parts[0]):
            return True
        with_last = [pa.concat_arrays([*last, part]) for last, part in zip(self._lasts(parts), parts, strict=True)]
        self._last = [part.slice(len(part) - 1) for part in parts]
        if len(with_last[0]) == 1:
            return True
        above: Any = False
        same: Any = True
        for part in with_last:
            later, sooner = part.slice(1), part.slice(0, len(part) - 1)
            try:
                above = pc.or_(above, pc.and_(same, pc.greater(later, sooner)))
            except pa.ArrowNotImplementedError:
                return False  # a type without an order
            same = pc.and_(same, pc.equal(later, sooner))
        return bool(pc.all(above, skip_nulls=False).as_py())

    def _lasts(self, parts: Sequence[pa.Array]) -> list[list[pa.Array]]:
        return [[one] for one in self._last] if self._last else [[] for _ in parts]
