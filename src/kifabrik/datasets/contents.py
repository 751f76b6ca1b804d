"""What a dataset version contains: the part that is sealed, and its plaintext identity.

Invariants:
- every path is a plain relative one (`kifabrik.datasets.paths`) and stands once; no file is another's folder;
- files of a shard stand in order of their bytes and do not overlap; all lie inside the shard;
- a `file` shard is one file, whole; a `tar` shard leaves room for a header before each of its files;
- a listed directory is an empty one: all others follow from the files in them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Final

from kifabrik.datasets.manifest import MOST_BYTES, MOST_SHARDS, is_digest
from kifabrik.datasets.names import check_name
from kifabrik.datasets.paths import fault_of, is_unicode
from kifabrik.errors import IntegrityError, NotFoundError

MOST_FILES: Final = 2_000_000
LONGEST_DESCRIPTION: Final = 4096
LATEST_MTIME: Final = 8**11 - 1
"""The last second a ustar header can hold (year 2242)."""
TAR_BLOCK: Final = 512
_TREE_FORMAT: Final = b"kifabrik-tree/v1\n"


class ShardKind(StrEnum):
    """How the plaintext of a shard is laid out."""

    TAR = "tar"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file inside a shard.

    Args:
        path: Where it stands in the dataset.
        offset: First byte of its content in the shard's plaintext.
        size: Bytes of its content.
        sha256: SHA-256 of its content in hex.
        executable: Whether it may be executed.
        mtime: Last change in whole seconds since 1970, clamped to what ustar can hold.

    Raises:
        IntegrityError: A field breaks the rules above.
    """

    path: str
    offset: int
    size: int
    sha256: str
    executable: bool
    mtime: int

    def __post_init__(self) -> None:
        fault = fault_of(self.path)
        if fault:
            raise IntegrityError(f"contents: {self.path[:200]!r} {fault}")
        if not (
            0 <= self.offset <= MOST_BYTES
            and 0 <= self.size <= MOST_BYTES
            and 0 <= self.mtime <= LATEST_MTIME
            and is_digest(self.sha256)
        ):
            raise IntegrityError(f"contents: {self.path!r} has no proper offset, size, digest or time")


@dataclass(frozen=True, slots=True)
class ShardContents:
    """One shard: its plaintext and what lies in it.

    Args:
        kind: Layout of the plaintext.
        sha256: SHA-256 of the plaintext in hex.
        plain_size: Bytes of the plaintext.
        files: In order of their offsets.
        directories: Empty directories that stand in this tar, sorted.

    Raises:
        IntegrityError: Files overlap, lie outside or do not fit the kind.
    """

    kind: ShardKind
    sha256: str
    plain_size: int
    files: tuple[FileEntry, ...]
    directories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not is_digest(self.sha256) or not 0 < self.plain_size <= MOST_BYTES:
            raise IntegrityError("contents: a shard has no proper digest and size")
        if self.kind is ShardKind.FILE:
            self._check_file()
        else:
            self._check_tar()

    def _check_file(self) -> None:
        entry = self.files[0] if len(self.files) == 1 and not self.directories else None
        if entry is None or (entry.offset, entry.size, entry.sha256) != (0, self.plain_size, self.sha256):
            raise IntegrityError("contents: a shard of kind 'file' is not exactly one file")

    def _check_tar(self) -> None:
        free = 0
        for entry in self.files:
            if entry.offset % TAR_BLOCK or entry.offset < free + TAR_BLOCK:
                raise IntegrityError(f"contents: {entry.path!r} overlaps what stands before it")
            free = entry.offset + -(-entry.size // TAR_BLOCK) * TAR_BLOCK
        if max(free, TAR_BLOCK * len(self.directories)) > self.plain_size:
            raise IntegrityError("contents: files lie outside their shard")
        for path in self.directories:
            fault = fault_of(path)
            if fault:
                raise IntegrityError(f"contents: directory {path[:200]!r} {fault}")


@dataclass(frozen=True)
class Contents:
    """Everything in a dataset version that only its readers may know.

    Args:
        name: The dataset's name (`kifabrik.datasets.names`).
        description: For people; up to 4,096 characters.
        shards: In the order of the manifest.

    Raises:
        IntegrityError: Paths collide, or there are too many.
        UsageError: The name is not one.
    """

    name: str
    description: str
    shards: tuple[ShardContents, ...]

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.description) > LONGEST_DESCRIPTION or not is_unicode(self.description):
            raise IntegrityError(f"contents: the description is not text of up to {LONGEST_DESCRIPTION} characters")
        if len(self.shards) > MOST_SHARDS:
            raise IntegrityError(f"contents: more than {MOST_SHARDS} shards")
        self._check_paths()

    def _check_paths(self) -> None:
        paths = [entry.path for entry in self.files()]
        paths += self.directories()
        if len(paths) > MOST_FILES:
            raise IntegrityError(f"contents: more than {MOST_FILES} files")
        known = set(paths)
        if len(known) != len(paths):
            raise IntegrityError("contents: a path stands twice")
        both = known & _folders_above(known)
        if both:
            raise IntegrityError(f"contents: {min(both)!r} is a file or empty directory, and a folder too")

    def files(self) -> Iterator[FileEntry]:
        """Yield the files shard by shard, in order of their bytes."""
        return chain.from_iterable(shard.files for shard in self.shards)

    def directories(self) -> Iterator[str]:
        """Yield the empty directories."""
        return chain.from_iterable(shard.directories for shard in self.shards)

    def find(self, path: str) -> tuple[int, FileEntry]:
        """Return the number of the shard (from 0) that holds a file, and its entry.

        Raises:
            NotFoundError: There is no such file.
        """
        for number, shard in enumerate(self.shards):
            for entry in shard.files:
                if entry.path == path:
                    return number, entry
        raise NotFoundError(f"{self.name} has no file {path!r}")

    @property
    def file_count(self) -> int:
        """Number of files."""
        return sum(len(shard.files) for shard in self.shards)

    @property
    def files_size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files())


def contents_digest(contents: Contents) -> str:
    """Return the digest of the tree a version unpacks to: the same for the same files, however packed.

    Times, name and description do not count. See `tree_digest` for the bytes that are hashed.
    """
    return tree_digest(
        ((entry.path, entry.executable, entry.size, entry.sha256) for entry in contents.files()),
        contents.directories(),
    )


def tree_digest(files: Iterable[tuple[str, bool, int, str]], directories: Iterable[str]) -> str:
    r"""Hash a tree of files (path, executable, size, SHA-256 in hex) and empty directories.

    SHA-256 over the line `kifabrik-tree/v1\n` and, sorted by path, for each file
    `f|x SP size SP sha256 SP path NUL` and for each empty directory `d SP 0 SP - SP path NUL`.
    """
    rows = [
        (path, f"{'x' if executable else 'f'} {size} {sha256} {path}\0") for path, executable, size, sha256 in files
    ]
    rows += [(path, f"d 0 - {path}\0") for path in directories]
    rows.sort()
    digest = hashlib.sha256(_TREE_FORMAT)
    digest.update("".join(text for _, text in rows).encode())
    return digest.hexdigest()


def _folders_above(paths: set[str]) -> set[str]:
    above: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in above:
            above.add(folder)
            folder = folder.rpartition("/")[0]
    return above
