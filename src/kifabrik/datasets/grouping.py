"""Which small files share a shard: boundaries that stay where they are when files come and go.

Files are taken in order of their paths. After a file whose path hashes below a bound that grows with
the file's size, the shard may end: a decision of that file alone (content-defined chunking, as in
LBFS, Muthitacharoen et al. 2001, with files for bytes). So an added, changed or removed file moves the
boundaries near it, and the next ones fall where they fell before.

Invariants:
- a shard ends only at or above half the target, unless it is the last one;
- no shard exceeds twice the target, unless a single item does.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from kifabrik.errors import UsageError

DEFAULT_TARGET: Final = 128 * 2**20
DEFAULT_SMALL_FILE: Final = 32 * 2**20
LARGEST_TARGET: Final = 2**32
_HASH_RANGE: Final = 2**64

T = TypeVar("T")


@dataclass(frozen=True)
class ShardSizes:
    """How large tar shards become.

    Args:
        target: Bytes around which tar shards end: half to twice of it.
        small_file: Files up to this many bytes are packed, larger ones are shards of their own.

    Raises:
        UsageError: The sizes are impossible.
    """

    target: int = DEFAULT_TARGET
    small_file: int = DEFAULT_SMALL_FILE

    def __post_init__(self) -> None:
        if not 0 < self.small_file <= self.target <= LARGEST_TARGET:
            raise UsageError("shard sizes: 0 < small_file <= target <= 4 GiB must hold")


def group(items: Iterable[tuple[str, int, T]], target: int) -> Iterator[list[T]]:
    """Divide items (path, bytes in the tar, item), sorted by path, into the members of each shard."""
    members: list[T] = []
    total = 0
    for path, size, item in items:
        if members and total + size > 2 * target:
            yield members
            members, total = [], 0
        members.append(item)
        total += size
        if 2 * total >= target and _ends_after(path, size, target):
            yield members
            members, total = [], 0
    if members:
        yield members


def _ends_after(path: str, size: int, target: int) -> bool:
    # A boundary every half target on average: with the half below which none counts, the target.
    drawn = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8])
    return drawn * target < 2 * size * _HASH_RANGE
