"""Verify a whole log offline: head, cosignatures, tiles, entries, rules; name the first bad entry.

The signed root fixes the tiles from the top down, each tile fixes those below it, and the tiles of
level 0 fix every entry. So when one entry was changed, it is this one that is named and not its tile.

Invariants:
- nothing is fetched: bytes come from the `read` the caller gives, and keys from its policy;
- the entries are judged in order, so the finding is the first.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.ledger.entry import Entry
from kifabrik.ledger.folder import CHECKPOINT, POLICY, LogFolder, export
from kifabrik.ledger.merkle import CompactTree, fold_peaks, leaf_hash, root_of
from kifabrik.ledger.policy import AcceptedHead, Policy
from kifabrik.ledger.rules import History
from kifabrik.ledger.tiles import ENTRIES, TILE_HEIGHT, TILE_WIDTH, ReadTile, TileReader

__all__ = ["Finding", "Report", "export", "verify_folder", "verify_log"]


@dataclass(frozen=True)
class Finding:
    """The first thing that is wrong.

    Args:
        what: What is wrong, for people.
        first: Index of the first entry it concerns; None if it concerns the head.
        last: Index of the last entry it concerns. It differs from `first` when entries and tiles were
            changed together: then only a copy of the log, such as a mirror, can tell which one.
    """

    what: str
    first: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        if self.first is None:
            return f"tree head: {self.what}"
        if self.first == self.last:
            return f"entry {self.first}: {self.what}"
        return f"entries {self.first} to {self.last}: {self.what}"


@dataclass(frozen=True)
class Report:
    """What verification has found.

    Args:
        accepted: The tree head and who signed it; None if the policy does not accept it.
        entries: How many entries were found good, counted from the first.
        kinds: How many of them there are of each kind.
        unknown: How many of them have a kind this version does not know; their rules were not checked.
        finding: The first thing wrong; None if all is well.
    """

    accepted: AcceptedHead | None
    entries: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0
    finding: Finding | None = None

    @property
    def ok(self) -> bool:
        """Whether everything is as signed and within the rules."""
        return self.finding is None

    def require(self) -> None:
        """Do nothing if all is well.

        Raises:
            IntegrityError: The first finding.
        """
        if self.finding is not None:
            raise IntegrityError(
                f"the log does not verify: {self.finding}",
                hint="Keep what you have as evidence and tell the steward.",
            )


def verify_log(
    read: ReadTile, checkpoint: str, policy: Policy, *, on_entry: Callable[[int, Entry], None] | None = None
) -> Report:
    """Verify a log against a signed tree head.

    Args:
        read: Returns the bytes of tiles and bundles; raises `NotFoundError` for a missing one.
        checkpoint: The signed and cosigned tree head.
        policy: Whom to believe.
        on_entry: Called with the index and content of every good entry, to show or collect them.

    Raises:
        KifabrikError: Only what `read` raises beyond a missing tile, such as `UnavailableError`.
    """
    try:
        accepted = policy.accept(checkpoint)
    except IntegrityError as error:
        return Report(None, finding=Finding(error.message))
    kinds: Counter[str] = Counter()
    unknown = 0
    finding = None
    for found in _judged(TileReader(read, accepted.head.size), accepted.head.root):
        if isinstance(found, Finding):
            finding = found
            break
        if on_entry is not None:
            on_entry(kinds.total(), found)
        kinds[found.kind] += 1
        unknown += not found.known
    return Report(accepted, kinds.total(), dict(kinds), unknown, finding)


def verify_folder(path: Path, policy: Policy | None = None) -> Report:
    """Verify an exported log.

    Args:
        path: A folder with `checkpoint`, `policy` and `tile/…`.
        policy: Whom to believe. By default the folder's own policy, which is as trustworthy as the
            folder: compare the key of `report.accepted.log` with what you were given otherwise.

    Raises:
        NotFoundError: The folder has no checkpoint, or no policy where none was given.
        UsageError: Its policy is malformed.
        IntegrityError: A file is not a plain file, or too large.
        UnavailableError: A file cannot be read.
    """
    folder = LogFolder(path)
    checkpoint = folder.text(CHECKPOINT)
    return verify_log(folder.read, checkpoint, policy or Policy.parse(folder.text(POLICY)))


def _judged(log: TileReader, root: bytes) -> Iterator[Entry | Finding]:
    """Yield each entry that is good, in order, and last the finding if there is one."""
    history = History()
    entries: list[bytes] = []
    rest = b""
    for index, leaf in _signed_leaves(log, root):
        if isinstance(leaf, Finding):
            yield leaf
            return
        position = index % TILE_WIDTH
        if position == 0:
            try:
                entries, rest = log.bundle(index // TILE_WIDTH)
            except (NotFoundError, IntegrityError) as error:
                yield Finding(error.message, index, index)
                return
        entry = _entry(entries, position, leaf, history)
        if isinstance(entry, str):
            yield Finding(entry, index, index)
            return
        yield entry
        is_last = position == TILE_WIDTH - 1 or index == log.size - 1
        if is_last and (rest or len(entries) > position + 1):
            yield Finding(f"{log.path(ENTRIES, index // TILE_WIDTH)} has bytes behind its last entry", index, index)
            return


def _entry(entries: list[bytes], position: int, leaf: bytes, history: History) -> Entry | str:
    """Return an entry that is as signed, well formed and within the rules; else what is wrong."""
    if position >= len(entries):
        return "its bundle ends before it"
    if leaf_hash(entries[position]) != leaf:
        return "it was changed: its bytes do not have the leaf hash that was signed"
    try:
        entry = Entry.from_bytes(entries[position])
    except IntegrityError as error:
        return error.message
    return history.violation(entry) or entry


def _signed_leaves(log: TileReader, root: bytes) -> Iterator[tuple[int, bytes | Finding]]:
    """Yield index and leaf hash of every entry as the root fixes them, or a finding and no more."""
    levels = range(-(-log.size.bit_length() // TILE_HEIGHT) - 1, -1, -1)
    edge: dict[int, list[bytes]] = {}
    peaks: list[bytes] = []
    for level in levels:
        full, width = divmod(log.size >> TILE_HEIGHT * level, TILE_WIDTH)
        try:
            edge[level] = log.tile(level, full) if width else []
        except (NotFoundError, IntegrityError) as error:
            yield 0, _blame(log, 0, log.size, root, f"{log.path(level, full)}: {error.message}")
            return
        partial = CompactTree()
        partial.extend(edge[level])
        peaks += partial.peaks
    if fold_peaks(peaks) != root:
        yield 0, _blame(log, 0, log.size, root, "the tiles at the right edge do not give the signed root")
        return
    for level in levels:
        first = (log.size >> TILE_HEIGHT * level) // TILE_WIDTH * TILE_WIDTH
        for index, value in enumerate(edge[level], first):
            for leaf in _below(log, level, index, value):
                yield leaf
                if isinstance(leaf[1], Finding):
                    return


def _below(log: TileReader, level: int, index: int, signed: bytes) -> Iterator[tuple[int, bytes | Finding]]:
    """Yield the leaves below a hash that is known to be as signed."""
    if level == 0:
        yield index, signed
        return
    width = TILE_WIDTH**level
    try:
        hashes = log.tile(level - 1, index)
        wrong = "" if root_of(hashes) == signed else "its hashes are not those that were signed"
    except (NotFoundError, IntegrityError) as error:
        hashes, wrong = [], error.message
    if wrong:
        reason = f"{log.path(level - 1, index)}: {wrong}"
        yield index * width, _blame(log, index * width, (index + 1) * width, signed, reason)
        return
    for position, value in enumerate(hashes, index * TILE_WIDTH):
        yield from _below(log, level - 1, position, value)


def _blame(log: TileReader, start: int, end: int, signed: bytes, reason: str) -> Finding:
    """Say which of the entries `[start, end)`, whose hash was signed, a damaged tile is about.

    If the entries still give the signed hash, only the tile is damaged. Else the first entry that
    its own tile contradicts is named; where both were changed together, only the range is known.
    """
    tree = CompactTree()
    for index in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
        first = index * TILE_WIDTH
        try:
            entries = log.entries(first, min(first + TILE_WIDTH, end))
        except (NotFoundError, IntegrityError) as error:
            return Finding(f"{reason}; {error.message}", first, first)
        leaves = [leaf_hash(entry) for entry in entries]
        tree.extend(leaves)
    if tree.root() == signed:
        return Finding(f"{reason}; the entries themselves are as signed", start, end - 1)
    odd = _first_contradicted(log, start, end)
    if odd is not None:
        return Finding(f"{reason}; this entry is not the one its leaf hash was made of", odd, odd)
    return Finding(f"{reason}; entries and tiles agree with each other: they were changed together", start, end - 1)


def _first_contradicted(log: TileReader, start: int, end: int) -> int | None:
    """Return the first entry of `[start, end)` that its stored leaf hash contradicts."""
    for index in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
        try:
            hashes = log.tile(0, index)
        except (NotFoundError, IntegrityError):
            continue
        entries = log.entries(index * TILE_WIDTH, index * TILE_WIDTH + len(hashes))
        for position, (entry, stored) in enumerate(zip(entries, hashes, strict=True), index * TILE_WIDTH):
            if leaf_hash(entry) != stored:
                return position
    return None
