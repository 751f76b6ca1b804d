"""The Merkle tree of RFC 6962, section 2.1: roots, compact trees, inclusion and consistency proofs.

A node is named by `(level, index)`: the hash over entries `[index * 2^level, (index + 1) * 2^level)`.
Only such perfect nodes are ever stored; the ragged right edge is computed from them.

Invariants:
- leaves and inner nodes are hashed under different prefixes, so neither can pass for the other;
- a proof has exactly the length its sizes demand; a longer or shorter one is refused.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from kifabrik.errors import IntegrityError, UsageError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256().digest()
"""Root of the tree without entries (RFC 6962, section 2.1)."""

MOST_ENTRIES: Final = 2**63 - 1
_SIZE_BYTES: Final = 8

HashReader: TypeAlias = Callable[[int, int], bytes]
"""Returns the 32-byte hash of the perfect node `(level, index)`."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry as a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class CompactTree:
    """A growing tree reduced to its size and the hashes of its perfect subtrees, largest first.

    One hash per set bit of the size: that is all a log or a mirror needs to go on from where it is.

    Args:
        size: Number of entries.
        peaks: Hashes of the perfect subtrees, from the largest (oldest) to the smallest.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self._size = size
        self._peaks = list(peaks)
        if not 0 <= size <= MOST_ENTRIES or len(self._peaks) != size.bit_count():
            raise IntegrityError(f"not a compact tree: {len(self._peaks)} hashes for {size} entries")
        if any(len(peak) != HASH_BYTES for peak in self._peaks):
            raise IntegrityError("not a compact tree: a hash does not have 32 bytes")

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Hashes of the perfect subtrees, from the largest to the smallest."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at the right."""
        size, peaks = self._size, self._peaks
        while size & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            size >>= 1
        peaks.append(leaf)
        self._size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """Return the root over all entries."""
        return fold_peaks(self._peaks)

    def copy(self) -> "CompactTree":
        """Return an independent tree of the same state."""
        return CompactTree(self._size, self._peaks)

    def to_bytes(self) -> bytes:
        """Write as size (uint64, big-endian) and hashes: at most 2024 bytes."""
        return self._size.to_bytes(_SIZE_BYTES, "big") + b"".join(self._peaks)

    @classmethod
    def from_bytes(cls, data: bytes) -> "CompactTree":
        """Read what `to_bytes` wrote.

        Raises:
            IntegrityError: The bytes are not a compact tree.
        """
        if len(data) < _SIZE_BYTES or (len(data) - _SIZE_BYTES) % HASH_BYTES:
            raise IntegrityError(f"not a compact tree: {len(data)} bytes")
        peaks = [data[at : at + HASH_BYTES] for at in range(_SIZE_BYTES, len(data), HASH_BYTES)]
        return cls(int.from_bytes(data[:_SIZE_BYTES], "big"), peaks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CompactTree):
            return NotImplemented
        return self._size == other._size and self._peaks == other._peaks

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"CompactTree(size={self._size}, root={self.root().hex()})"


def fold_peaks(peaks: Sequence[bytes]) -> bytes:
    """Return the root over perfect subtrees of falling size, given from the largest to the smallest."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in peaks[-2::-1]:
        root = sha256(b"\x01" + peak + root).digest()
    return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    tree = CompactTree()
    tree.extend(leaves)
    return tree.root()


def inclusion_proof(size: int, index: int, read: HashReader) -> tuple[bytes, ...]:
    """Return the audit path of entry `index` in the tree of `size` entries, leaf's sibling first.

    Source: RFC 6962, section 2.1.1.

    Raises:
        UsageError: There is no such entry in a tree of that size.
    """
    if not 0 <= index < size:
        raise UsageError(f"there is no entry {index} in a log of {size}")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _largest_power_below(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, read))
            end = middle
        else:
            path.append(_range_hash(start, middle, read))
            start = middle
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, read: HashReader) -> tuple[bytes, ...]:
    """Return the proof that the tree of `old` entries is a prefix of the tree of `new` entries.

    Source: RFC 6962, section 2.1.2; empty for `old == 0`, since everything extends nothing.

    Raises:
        UsageError: The sizes are not in order.
    """
    if not 0 <= old <= new:
        raise UsageError(f"a log of {new} entries does not extend one of {old}")
    if old == 0:
        return ()
    start, end, path = 0, new, []
    while old != end:
        middle = start + _largest_power_below(end - start)
        if old <= middle:
            path.append(_range_hash(middle, end, read))
            end = middle
        else:
            path.append(_range_hash(start, middle, read))
            start = middle
    if start:
        # The verifier knows the old root, and with it this node only if it is the whole old tree.
        path.append(_range_hash(start, end, read))
    return tuple(reversed(path))


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` is entry `index` of the tree with `size` entries and this root.

    Source: RFC 9162, section 2.1.3.2.

    Raises:
        IntegrityError: The proof does not prove it.
    """
    _check_lengths(leaf, root, *proof)
    if not 0 <= index < size:
        raise IntegrityError(f"inclusion proof for entry {index} of a log of {size}")
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise IntegrityError(f"inclusion proof of entry {index} is too long for a log of {size}")
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        node >>= 1
        last >>= 1
    if last or computed != root:
        raise IntegrityError(f"inclusion proof of entry {index} does not lead to the root of {size} entries")


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the new tree extends the old one.

    Source: RFC 9162, section 2.1.4.2.

    Raises:
        IntegrityError: The proof does not prove it.
    """
    _check_lengths(old_root, new_root, *proof)
    if not 0 <= old_size <= new_size:
        raise IntegrityError(f"a log of {new_size} entries does not extend one of {old_size}")
    if old_size in (0, new_size):
        forked = old_size == new_size and old_root != new_root
        if proof or forked or (old_size == 0 and old_root != EMPTY_ROOT):
            raise IntegrityError(f"logs of {old_size} and {new_size} entries are not consistent")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise IntegrityError(f"consistency proof from {old_size} to {new_size} entries is empty")
    if _roots_by_proof(old_size - 1, new_size - 1, path) != (old_root, new_root):
        raise IntegrityError(f"the log of {new_size} entries is not an extension of the one of {old_size}")


def _roots_by_proof(node: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return the old and the new root the path leads to; None if its length is wrong."""
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    return None if last else (old, new)


def _range_hash(start: int, end: int, read: HashReader) -> bytes:
    """Return the hash over entries `[start, end)`, where `start` is a multiple of the power above."""
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(read(level, start >> level))
        start += 1 << level
    return fold_peaks(peaks)


def _largest_power_below(count: int) -> int:
    """Return the largest power of two smaller than `count` (RFC 6962's k)."""
    return 1 << ((count - 1).bit_length() - 1)


def _check_lengths(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise IntegrityError("a hash in a Merkle proof does not have 32 bytes")
