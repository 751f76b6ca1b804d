"""What the customer's machine remembers of a sealed version, so that the next one moves only what changed.

A file of JSON lines: a head (`format`, `owner`, `recipient`), one line per sealed shard, and at the end
the digest of the version's signed manifest. A shard's line is written, and on disk, when its body is
sealed; so a file without the last line is what an interrupted sealing got done, and serves as well.
It holds no key: an age header is as public as the body.

Invariants:
- a line that was cut by a crash is dropped, any other malformed line is an error;
- a file's state is kept only if the file had been left alone for two seconds: else a change in the same
  tick of the file system's clock could go unseen.
"""

import base64
import binascii
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from kifabrik.datasets.contents import ShardContents
from kifabrik.datasets.encoding import compact_json, shard_from_json, shard_to_json, strict_json
from kifabrik.datasets.folder import reaching
from kifabrik.datasets.manifest import BodyRef
from kifabrik.datasets.walking import FileState, SourceFile
from kifabrik.errors import IntegrityError

INDEX_FORMAT: Final = "kifabrik-index/v1"
QUIET_NS: Final = 2 * 10**9
"""The coarsest time stamps in use are those of FAT: two seconds."""
_LARGEST_HEADER: Final = 2**20
_HINT: Final = "Remove the index file; the next sealing reads and uploads everything again."
_STATE_FIELDS: Final = 3


@dataclass(frozen=True, slots=True)
class StoredShard:
    """A sealed shard: its body, and the age header that opens it."""

    body: BodyRef
    header: bytes


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """All that is needed to use a sealed shard again without opening it.

    Args:
        shard: What lies in it.
        stored: The ciphertext.
        states: State of each of its files when packed, in their order; None where it proves nothing.
    """

    shard: ShardContents
    stored: StoredShard
    states: tuple[FileState | None, ...]

    def __post_init__(self) -> None:
        if len(self.states) != len(self.shard.files):
            raise IntegrityError("index: not one state for each file of a shard")


@dataclass(frozen=True)
class Index:
    """A read index.

    Args:
        owner: The dataset it belongs to.
        recipient: The age recipient the headers are for.
        records: The sealed shards.
        manifest: Digest of the version's statement; empty if sealing was interrupted.
    """

    owner: str
    recipient: str
    records: tuple[ShardRecord, ...]
    manifest: str = ""

    @classmethod
    def load(cls, path: Path) -> "Index":
        """Read an index file, finished or not.

        Raises:
            NotFoundError: There is none.
            IntegrityError: It is not an index.
        """
        with reaching(str(path)):
            lines = path.read_bytes().split(b"\n")
        lines.pop()  # after the last newline: nothing, or what a crash cut
        head = _read(lines[0]) if lines else {}
        if set(head) != {"format", "owner", "recipient"} or head["format"] != INDEX_FORMAT:
            raise IntegrityError(f"{path} is not an index of sealed shards", hint=_HINT)
        bodies = [_read(line) for line in lines[1:]]
        manifest = str(bodies.pop()["manifest"]) if bodies and set(bodies[-1]) == {"manifest"} else ""
        return cls(str(head["owner"]), str(head["recipient"]), tuple(map(_record, bodies)), manifest)


class IndexWriter:
    """Writes an index while a version is sealed; use as a context manager.

    Args:
        path: Where; a file there is replaced by the head at once.
        owner: The dataset.
        recipient: The age recipient the headers are for.
    """

    def __init__(self, path: Path, *, owner: str, recipient: str) -> None:
        self._stream = _private(path)
        self._append({"format": INDEX_FORMAT, "owner": owner, "recipient": recipient})

    def append(self, record: ShardRecord) -> None:
        """Add a sealed shard; it is on disk when this returns."""
        shard, stored = record.shard, record.stored
        self._append(
            {
                "shard": shard_to_json(shard),
                "body": [stored.body.sha256, stored.body.size],
                "header": base64.b64encode(stored.header).decode(),
                "states": [s and [s.mtime_ns, s.ctime_ns, s.inode] for s in record.states],
            }
        )

    def finish(self, manifest: str) -> None:
        """Note the digest of the signed manifest: the version is complete."""
        self._append({"manifest": manifest})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def _append(self, line: dict[str, Any]) -> None:
        with reaching(self._stream.name):
            self._stream.write(compact_json(line) + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())


def settled_states(files: Iterable[SourceFile], now_ns: int) -> tuple[FileState | None, ...]:
    """Return the states worth keeping of files packed now: of those last changed over two seconds ago."""
    return tuple(
        file.state if max(file.state.mtime_ns, file.state.ctime_ns) < now_ns - QUIET_NS else None for file in files
    )


def _private(path: Path) -> IO[bytes]:
    with reaching(str(path)):
        return open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _read(line: bytes) -> dict[str, Any]:
    try:
        return strict_json(line, "index")
    except IntegrityError as error:
        raise IntegrityError(error.message, hint=_HINT) from None


def _record(body: dict[str, Any]) -> ShardRecord:
    try:
        shard = shard_from_json(body["shard"])
        header = base64.b64decode(body["header"], validate=True)
        if len(header) > _LARGEST_HEADER:
            raise IntegrityError("index: an age header is too large", hint=_HINT)
        sizes = (entry.size for entry in shard.files)
        states = tuple(_state(size, row) for size, row in zip(sizes, body["states"], strict=True))
        return ShardRecord(shard, StoredShard(BodyRef(*body["body"]), header), states)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise IntegrityError("index: a shard's line is malformed", hint=_HINT) from None


def _state(size: int, row: Any) -> FileState | None:
    if row is None:
        return None
    if len(row) != _STATE_FIELDS or any(type(number) is not int for number in row):
        raise IntegrityError("index: a file's state is malformed", hint=_HINT)
    return FileState(size, *row)
