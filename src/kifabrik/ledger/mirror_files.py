"""A mirror's copy in a folder: an append-only file of entries, and a small state file that counts them.

    entries   every entry after its length (uint16, big-endian), as in entry bundles
    ends      where each entry ends in `entries` (uint64, little-endian); made anew from `entries` if lost or torn
    state     canonical JSON: origin, size, root, length of `entries` in bytes, checkpoint, compact tree
    found-…   what a search has found so far, so that the next one reads only what is new (`mirror_searches`)
    lock      held by the one writer

Invariants:
- the entries reach the disk before the state that counts them, and the state is replaced in one step;
- what lies in `entries` beyond the counted length was never acknowledged and is cut off on opening;
- one writer at a time; readers need no lock.
"""

import operator
import os
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from kifabrik.durable import make_folder, sync_folder, write_whole
from kifabrik.errors import FULL_DISK, CapacityError, IntegrityError, NotFoundError, UnavailableError, UsageError
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.file_lock import FileLock
from kifabrik.ledger.mirror_searches import Search, Searches
from kifabrik.ledger.mirror_store import MirrorState
from kifabrik.ledger.tiles import encode_bundle, split_bundle
from kifabrik.signatures.canonical import from_canonical, to_canonical

_LENGTH_BYTES: Final = 2
_MOST_STATE_BYTES: Final = 2_000_000
_CHUNK_ENTRIES: Final = 4096
_WINDOW_BYTES: Final = 2**22
"""A search holds so many bytes at a time: one entry is no longer than 64 KiB, and larger windows are no faster."""
_FIELDS: Final = frozenset({"bytes", "checkpoint", "origin", "root", "size", "tree"})
_RESTORE: Final = (
    "Restore it from a backup; or move its folder aside, so that the log is fetched anew, and compare the two."
)


def _failed(verb: str, folder: Path, error: OSError) -> CapacityError | UnavailableError:
    """Return the error that says what the operating system has said about a mirror's folder."""
    message = f"cannot {verb} the mirror in {folder}: {error.strerror or error}"
    if error.errno in FULL_DISK:
        return CapacityError(message, hint="The copy of the log is kept there: free some space, then try again.")
    return UnavailableError(
        message, hint="The copy of the log is kept there: it must be a folder this user can write to."
    )


class MirrorFiles:
    """A `MirrorStore` in a folder. Close it, or use it in a `with` statement.

    Args:
        folder: Made if missing, unless `read_only`.
        read_only: Only look: no lock is taken and nothing is changed.

    Raises:
        ConflictError: Another writer has the folder open.
        IntegrityError: The files are damaged.
        NotFoundError: It does not exist, and was opened to read only.
        CapacityError: The disk is full.
        UnavailableError: The folder cannot be read or made.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._folder = folder
        self._read_only = read_only
        self._lock: FileLock | None = None
        self._ends = array("Q")
        try:
            if read_only and not folder.is_dir():
                raise NotFoundError(f"there is no mirror in {folder}")
            if not read_only:
                make_folder(folder)
                self._lock = FileLock(folder / "lock", f"the mirror in {folder}")
            self._state, counted = self._read_state()
            self._check_length(counted)
            noted = self._load_ends(counted)
            if not noted:
                self._scan(counted)
            if not read_only:
                self._cut_off(counted, noted=noted)
        except OSError as error:
            self.close()
            raise _failed("open", folder, error) from error
        except IntegrityError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the lock; closing twice is harmless."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def state(self) -> MirrorState | None:
        """The last saved state; None in a new folder."""
        return self._state

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return entries `[start, end)`.

        Raises:
            IntegrityError: The file has been changed under us.
            UnavailableError: It cannot be read.
        """
        if start >= end:
            return []
        first, last = self._end(start), self._end(end)
        try:
            with (self._folder / "entries").open("rb") as file:
                file.seek(first)
                found, rest = split_bundle(file.read(last - first))
        except OSError as error:
            raise UnavailableError(f"cannot read the mirror in {self._folder}: {error.strerror}") from error
        if len(found) != end - start or rest:
            raise IntegrityError(f"the mirror in {self._folder} was changed while in use")
        return found

    def holding(self, text: bytes) -> list[bytes]:
        """Return the entries that hold these bytes, found by one search through what no search has seen yet.

        Raises:
            IntegrityError: The file has been changed under us.
            UnavailableError: It cannot be read.
        """
        size = len(self._ends)
        searches = Searches(self._folder, self._one)
        before = searches.before(text, size)
        fresh = self._search(text, before.size)
        if not self._read_only:
            searched = self._end(size) - self._end(before.size)
            searches.keep(text, Search(size, (*before.found, *fresh)), searched)
        return [*map(self._one, before.found), *fresh.values()]

    def _search(self, text: bytes, start: int) -> dict[int, bytes]:
        """Find the entries from `start` on that hold these bytes, by their index; a window at a time is read."""
        found: dict[int, bytes] = {}
        if start == len(self._ends):
            return found
        try:
            with (self._folder / "entries").open("rb") as file:
                while start < len(self._ends):
                    first = self._end(start)
                    end = max(bisect_right(self._ends, first + _WINDOW_BYTES), start + 1)
                    found |= self._hits(text, self._bytes(file, first, self._end(end)), first)
                    start = end
        except OSError as error:
            raise UnavailableError(f"cannot read the mirror in {self._folder}: {error.strerror}") from error
        return found

    def _bytes(self, file: BinaryIO, first: int, last: int) -> bytes:
        file.seek(first)
        data = file.read(last - first)
        if len(data) != last - first:
            raise IntegrityError(f"the mirror in {self._folder} was changed while in use")
        return data

    def _hits(self, text: bytes, data: bytes, first: int) -> dict[int, bytes]:
        """The entries that hold `text`, by their index, among whole ones that begin at byte `first`."""
        found = {}
        at = data.find(text)
        while at >= 0:
            index = bisect_right(self._ends, at + first)
            begin, end = self._end(index) + _LENGTH_BYTES - first, self._ends[index] - first
            if begin <= at and at + len(text) <= end:
                found[index] = data[begin:end]
                at = end
            at = data.find(text, at + 1 if at < end else end)
        return found

    def _one(self, index: int) -> bytes:
        return self.entries(index, index + 1)[0]

    def all_entries(self) -> Iterator[bytes]:
        """Yield every entry, in order."""
        count = len(self._ends)
        for start in range(0, count, _CHUNK_ENTRIES):
            yield from self.entries(start, min(start + _CHUNK_ENTRIES, count))

    def save(self, new_entries: Sequence[bytes], state: MirrorState) -> None:
        """Append entries and replace the state; both are on disk when this returns.

        Raises:
            CapacityError: The disk is full; nothing has changed, and trying again may help.
            UnavailableError: The disk cannot be written; what is on it is whole, old or new.
            UsageError: The store was opened to read only, or is closed.
        """
        if self._lock is None:
            raise UsageError(f"the mirror in {self._folder} is not open for writing")
        before = self._end(len(self._ends))
        try:
            after = self._append(new_entries, before)
            ends = _ends_after(before, new_entries)
            self._append_ends(ends)
            self._write_state(state, after)
        except OSError as error:
            # Bytes that no state counts are overwritten by the next save, or cut off on opening.
            raise _failed("write", self._folder, error) from error
        self._ends.extend(ends)
        self._state = state

    def _end(self, count: int) -> int:
        return self._ends[count - 1] if count else 0

    def _append(self, new_entries: Sequence[bytes], at: int) -> int:
        if not new_entries:
            return at
        with (self._folder / "entries").open("r+b") as file:
            file.seek(at)
            file.write(encode_bundle(new_entries))
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def _append_ends(self, ends: "array[int]") -> None:
        if not ends:
            return
        with (self._folder / "ends").open("r+b") as file:
            file.seek(len(self._ends) * ends.itemsize)
            file.write(_little(ends).tobytes())
            file.flush()
            os.fsync(file.fileno())

    def _write_state(self, state: MirrorState, counted: int) -> None:
        body = {
            "bytes": counted,
            "checkpoint": state.checkpoint,
            "origin": state.head.origin,
            "root": state.head.root.hex(),
            "size": state.head.size,
            "tree": state.tree.hex(),
        }
        fresh = self._folder / "state.new"
        with fresh.open("wb") as file:
            file.write(to_canonical(body))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / "state")
        try:
            sync_folder(self._folder)
        except OSError:
            self.close()  # the disk may already show the new state: only opening again can tell
            raise

    def _read_state(self) -> tuple[MirrorState | None, int]:
        path = self._folder / "state"
        if not path.exists():
            return None, 0
        with path.open("rb") as file:
            data = file.read(_MOST_STATE_BYTES)
        try:
            body = from_canonical(data)
            body = {"tree": ""} | body  # a mirror written before there were trees has none
            if set(body) != _FIELDS:
                raise KeyError(*(set(body) ^ _FIELDS))  # noqa: TRY301 - as any other field that is not there
            head = TreeHead(body["origin"], int(body["size"]), bytes.fromhex(body["root"]))
            tree = bytes.fromhex(body["tree"])
            return MirrorState(head, str(body["checkpoint"]), tree), int(body["bytes"])
        except (IntegrityError, KeyError, TypeError, ValueError):
            raise IntegrityError(f"{path} is not the state of a mirror", hint=_RESTORE) from None

    def _check_length(self, counted: int) -> None:
        path = self._folder / "entries"
        found = path.stat().st_size if path.exists() else 0
        if found < counted:
            raise IntegrityError(
                f"{path} is damaged: {counted} bytes were written and {found} are there",
                hint=_RESTORE,
            )

    def _load_ends(self, counted: int) -> bool:
        """Read where each entry ends; False if that is not noted, or not for these entries."""
        size = self._state.head.size if self._state else 0
        ends = array("Q")
        try:
            with (self._folder / "ends").open("rb") as file:
                ends.fromfile(file, size)
        except (FileNotFoundError, EOFError, ValueError):
            return False
        self._ends = _little(ends)
        rising = all(map(operator.lt, self._ends, self._ends[1:]))  # a power cut leaves zeros
        return rising and self._end(size) == counted

    def _scan(self, counted: int) -> None:
        """Find where each entry ends."""
        path = self._folder / "entries"
        size = self._state.head.size if self._state else 0
        self._ends = array("Q")
        at = 0
        if counted:
            with path.open("rb") as file:
                while at < counted and len(self._ends) < size:
                    prefix = file.read(_LENGTH_BYTES)
                    at += _LENGTH_BYTES + int.from_bytes(prefix, "big")
                    file.seek(at)
                    self._ends.append(at)
        if at != counted or len(self._ends) != size:
            raise IntegrityError(
                f"{path} is damaged: it does not hold {size} entries in {counted} bytes", hint=_RESTORE
            )

    def _cut_off(self, counted: int, *, noted: bool) -> None:
        with (self._folder / "entries").open("ab") as file:
            if file.tell() != counted:
                file.truncate(counted)
                os.fsync(file.fileno())
        path, ends = self._folder / "ends", _little(self._ends).tobytes()
        if not noted or path.stat().st_size != len(ends):
            write_whole(path, ends)
        (self._folder / "state.new").unlink(missing_ok=True)
        sync_folder(self._folder)


def _ends_after(at: int, entries: Sequence[bytes]) -> "array[int]":
    ends = array("Q")
    for entry in entries:
        at += _LENGTH_BYTES + len(entry)
        ends.append(at)
    return ends


def _little(ends: "array[int]") -> "array[int]":
    """The same numbers with the bytes in the file's order, or back."""
    if sys.byteorder == "little":
        return ends
    turned = ends[:]
    turned.byteswap()
    return turned
