"""A log as static files: hash tiles and entry bundles of c2sp.org/tlog-tiles.

Invariants:
- what is written for a size depends only on the entries, so writing twice changes nothing;
- before a partial tile is grown, it is checked against the compact tree the caller trusts.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from kifabrik.errors import IntegrityError, NotFoundError, UsageError
from kifabrik.ledger.entry import MOST_ENTRY_BYTES
from kifabrik.ledger.merkle import HASH_BYTES, CompactTree, leaf_hash, node_hash, root_of

TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
ENTRIES: Final = -1
"""The level of entry bundles, which lie beside the hash tiles of level 0."""

MOST_TILE_BYTES: Final = TILE_WIDTH * (MOST_ENTRY_BYTES + 2)
"""No tile or bundle is larger; readers of untrusted folders stop here."""

_HIGHEST_LEVEL: Final = 63
_LENGTH_BYTES: Final = 2
_TILES_KEPT: Final = 64
_PATH: Final = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?")

ReadTile: TypeAlias = Callable[[str], bytes]
"""Returns the bytes stored under a path; raises `NotFoundError` if there are none."""


@dataclass(frozen=True)
class Tile:
    """The name of one tile or bundle.

    Args:
        level: 0 to 63, or `ENTRIES`.
        index: Position within the level.
        width: Number of hashes or entries, 1 to 256; below 256 the tile is partial.
    """

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not (ENTRIES <= self.level <= _HIGHEST_LEVEL and self.index >= 0 and 1 <= self.width <= TILE_WIDTH):
            raise UsageError(f"there is no tile of level {self.level}, index {self.index}, width {self.width}")

    @property
    def path(self) -> str:
        """The path, such as `tile/0/x001/234` or `tile/entries/000.p/17`."""
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        suffix = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{level}/{'/'.join(groups)}{suffix}"

    @classmethod
    def from_path(cls, path: str) -> "Tile":
        """Read a path; every tile has exactly one.

        Raises:
            UsageError: The text is not the path of a tile.
        """
        match = _PATH.fullmatch(path)
        if match is not None:
            level = ENTRIES if match[1] == "entries" else int(match[1])
            tile = cls(level, int(match[2].replace("/x", "").replace("/", "").lstrip("x")), int(match[3] or 256))
            if tile.path == path:
                return tile
        raise UsageError(f"not the path of a tile: {path[:100]!r}")


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every tile and bundle a log of `size` entries consists of, lowest level first."""
    for level in (ENTRIES, *range(_levels(size))):
        full, width = divmod(size >> TILE_HEIGHT * max(level, 0), TILE_WIDTH)
        yield from (Tile(level, index) for index in range(full))
        if width:
            yield Tile(level, full, width)


def encode_tile(hashes: Sequence[bytes]) -> bytes:
    """Write up to 256 hashes as a tile."""
    return b"".join(hashes)


def decode_tile(data: bytes, width: int) -> list[bytes]:
    """Read a tile of exactly `width` hashes.

    Raises:
        IntegrityError: The bytes have another length.
    """
    if len(data) != width * HASH_BYTES:
        raise IntegrityError(f"a tile of {width} hashes has {width * HASH_BYTES} bytes, not {len(data)}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Write up to 256 entries as a bundle, each after its length (uint16, big-endian).

    Raises:
        UsageError: An entry is too large.
    """
    for entry in entries:
        if len(entry) > MOST_ENTRY_BYTES:
            raise UsageError(f"a log entry of {len(entry)} bytes is too large (at most {MOST_ENTRY_BYTES})")
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def split_bundle(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole entries of a bundle and what is left over at its end."""
    entries, at = [], 0
    while len(data) - at >= _LENGTH_BYTES:
        end = at + _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
        if end > len(data):
            break
        entries.append(data[at + _LENGTH_BYTES : end])
        at = end
    return entries, data[at:]


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """Read a bundle of exactly `width` entries.

    Raises:
        IntegrityError: The bytes hold more or less.
    """
    entries, rest = split_bundle(data)
    if len(entries) != width or rest:
        raise IntegrityError(f"a bundle of {width} entries holds {len(entries)} and {len(rest)} bytes more")
    return entries


def tiles_to_write(before: CompactTree, entries: Sequence[bytes], read: ReadTile) -> dict[str, bytes]:
    """Return every tile and bundle that appending `entries` completes or makes, path to bytes.

    Store them all before the new tree head is signed. Writing them twice, or again after a crash, is
    harmless: the same log always has the same tiles.

    Args:
        before: The tree so far.
        entries: The bytes of the new entries, in order.
        read: Reads the partial tiles and the partial bundle of the tree so far.

    Raises:
        IntegrityError: A stored partial tile or bundle is not the one of `before`.
        NotFoundError: One is missing.
    """
    if not entries:
        return {}
    old_entries, rows = _partial_edge(before, read)
    written = _cut(ENTRIES, before.size // TILE_WIDTH, [*old_entries, *entries])
    fresh = [leaf_hash(entry) for entry in entries]
    for level in range(_levels(before.size + len(entries))):
        if not fresh:
            break
        row = [*(rows[level] if level < len(rows) else ()), *fresh]
        written |= _cut(level, before.size >> TILE_HEIGHT * (level + 1), row)
        full = len(row) - len(row) % TILE_WIDTH
        fresh = [root_of(row[at : at + TILE_WIDTH]) for at in range(0, full, TILE_WIDTH)]
    return written


def _cut(level: int, index: int, row: list[bytes]) -> dict[str, bytes]:
    """Cut a row that begins with tile `index` into tiles, path to bytes."""
    encode = encode_bundle if level == ENTRIES else encode_tile
    parts = [row[at : at + TILE_WIDTH] for at in range(0, len(row), TILE_WIDTH)]
    return {Tile(level, at, len(part)).path: encode(part) for at, part in enumerate(parts, index)}


def _partial_edge(tree: CompactTree, read: ReadTile) -> tuple[list[bytes], list[list[bytes]]]:
    """Read the entries of the partial bundle and the hashes of each level's partial tile, and check them."""
    rows: list[list[bytes]] = []
    peaks: list[bytes] = []
    for level in range(_levels(tree.size)):
        full, width = divmod(tree.size >> TILE_HEIGHT * level, TILE_WIDTH)
        rows.append(decode_tile(read(Tile(level, full, width).path), width) if width else [])
        edge = CompactTree()
        edge.extend(rows[-1])
        peaks[:0] = edge.peaks
    if tuple(peaks) != tree.peaks:
        raise IntegrityError(
            f"the stored tiles are not those of the log of {tree.size} entries with root {tree.root().hex()}",
            hint="Restore the tiles from a mirror or an export before appending.",
        )
    if not rows or not rows[0]:
        return [], rows
    bundle = Tile(ENTRIES, tree.size // TILE_WIDTH, len(rows[0]))
    entries = decode_bundle(read(bundle.path), bundle.width)
    for index, (entry, leaf) in enumerate(zip(entries, rows[0], strict=True), tree.size - bundle.width):
        if leaf_hash(entry) != leaf:
            raise IntegrityError(f"entry {index} in {bundle.path} is not the one that was hashed")
    return entries, rows


def _levels(size: int) -> int:
    """Return the number of tile levels of a log of `size` entries."""
    return -(-size.bit_length() // TILE_HEIGHT)


class TileReader:
    """Reads hashes and entries of a log of `size` entries through its tiles.

    Nothing is checked against a root here: a proof made from wrong tiles does not verify.

    Args:
        read: Returns the bytes under a path; raises `NotFoundError` if there are none.
        size: Number of entries of the tree head in question; decides which tiles are partial.
    """

    def __init__(self, read: ReadTile, size: int) -> None:
        self.size = size
        self._read = read
        self._rows = lru_cache(maxsize=_TILES_KEPT)(self._load_rows)

    def hash(self, level: int, index: int) -> bytes:
        """Return the hash of a perfect node: the `HashReader` for proofs.

        Raises:
            UsageError: The node is not in the tree.
            IntegrityError: A tile is malformed.
            NotFoundError: A tile is missing.
        """
        if level < 0 or index < 0 or (index + 1) << level > self.size:
            raise UsageError(f"there is no node of level {level}, index {index} in a log of {self.size}")
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile_index, position = divmod(index << height, TILE_WIDTH)
        return self._rows(tile_level, tile_index)[height][position >> height]

    def tile(self, level: int, index: int) -> list[bytes]:
        """Return the hashes of a tile, full or as wide as the size demands.

        Raises:
            IntegrityError: The tile is malformed.
            NotFoundError: It is missing, or not part of the log.
        """
        name = self._named(level, index)
        data, stored = self._stored(name)
        return decode_tile(data, stored.width)[: name.width]

    def bundle(self, index: int) -> tuple[list[bytes], bytes]:
        """Return the whole entries of a bundle and what is left over at its end.

        Raises:
            NotFoundError: The bundle is missing, or not part of the log.
        """
        name = self._named(ENTRIES, index)
        data, stored = self._stored(name)
        entries, rest = split_bundle(data)
        return (entries, rest) if stored == name else (entries[: name.width], b"")

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return the bytes of entries `[start, end)`.

        Raises:
            UsageError: The range does not lie in the log.
            IntegrityError: A bundle is malformed.
            NotFoundError: A bundle is missing.
        """
        if not 0 <= start <= end <= self.size:
            raise UsageError(f"entries {start} to {end} do not lie in a log of {self.size}")
        found: list[bytes] = []
        for index in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
            name = self._named(ENTRIES, index)
            entries, _ = self.bundle(index)
            if len(entries) < name.width:
                raise IntegrityError(f"{name.path} holds {len(entries)} entries, not {name.width}")
            first = index * TILE_WIDTH
            found += entries[max(start - first, 0) : end - first]
        return found

    def path(self, level: int, index: int) -> str:
        """Return the path of a tile or bundle at this size."""
        return self._named(level, index).path

    def _named(self, level: int, index: int) -> Tile:
        count = self.size >> TILE_HEIGHT * max(level, 0)
        width = min(TILE_WIDTH, count - index * TILE_WIDTH)
        if index < 0 or width <= 0:
            raise NotFoundError(f"there is no tile {index} of level {level} in a log of {self.size}")
        return Tile(level, index, width)

    def _stored(self, name: Tile) -> tuple[bytes, Tile]:
        """Return the bytes of a tile, and which tile they are."""
        try:
            return self._read(name.path), name
        except NotFoundError:
            if name.width == TILE_WIDTH:
                raise
            # A partial tile may be deleted once the full one exists (tlog-tiles, partial tiles).
            full = Tile(name.level, name.index)
            return self._read(full.path), full

    def _load_rows(self, level: int, index: int) -> list[list[bytes]]:
        """Return the tile's hashes and above them every row of perfect nodes within the tile."""
        rows = [self.tile(level, index)]
        while len(rows[-1]) > 1:
            row = rows[-1]
            rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
        return rows
