"""What lies in a folder that is to be packed: regular files and empty directories, nothing else."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.datasets.contents import LATEST_MTIME, MOST_FILES
from kifabrik.datasets.folder import Folder, reaching
from kifabrik.datasets.folders import is_link, open_folder
from kifabrik.datasets.paths import IGNORE_FILE, Ignores, fault_of
from kifabrik.errors import CapacityError, UsageError

_LARGEST_IGNORE_FILE: Final = 2**16
_NS_PER_S: Final = 10**9
_LEAVE_OUT_HINT: Final = f"Rename it, remove it, or name it in {IGNORE_FILE}."
_OTHERS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


@dataclass(frozen=True, slots=True)
class FileState:
    """By what a changed file is told from an unchanged one without reading it.

    Args:
        size: Bytes.
        mtime_ns: Last change of the content, nanoseconds since 1970.
        ctime_ns: Last change of the inode (on Windows its creation), nanoseconds since 1970.
        inode: Its number in the file system.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileState":
        """Take the state from what the system says."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def is_of(self, status: os.stat_result) -> bool:
        """Whether the system still says the same."""
        return (
            self.mtime_ns == status.st_mtime_ns
            and self.size == status.st_size
            and self.ctime_ns == status.st_ctime_ns
            and self.inode == status.st_ino
        )


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A regular file to pack, as it was when the folder was walked."""

    path: str
    executable: bool
    state: FileState

    @property
    def size(self) -> int:
        """Bytes."""
        return self.state.size

    @property
    def mtime(self) -> int:
        """Whole seconds since 1970, clamped to what a tar header holds."""
        return min(max(self.state.mtime_ns // _NS_PER_S, 0), LATEST_MTIME)


@dataclass(frozen=True)
class Tree:
    """All of a folder, sorted by path.

    Args:
        files: Regular files.
        directories: Directories in which nothing is left to pack.
    """

    files: tuple[SourceFile, ...]
    directories: tuple[str, ...]


def open_source(source: Path, within: str) -> tuple[Folder, str]:
    """Return the folder to walk, and the name of the single file in it that is meant, or ''.

    `source` may be a link a person chose; `within` is reached from it without following any.

    Raises:
        KifabrikError: There is nothing of that name, or a link in the way.
    """
    if not within:
        with reaching(str(source)):
            place = source.resolve(strict=True)
            return (open_folder(place), "") if place.is_dir() else (open_folder(place.parent), place.name)
    if fault_of(within):
        raise UsageError(f"{within!r} {fault_of(within)}")
    with closing(open_folder(source)) as root:
        if stat.S_ISDIR(root.look(within).st_mode):
            return root.enter(within), ""
        above, _, name = within.rpartition("/")
        return root.enter(above), name


def walk(folder: Folder, single: str, ignore: tuple[str, ...] = (), *, heeds_own: bool = True) -> Tree:
    """List what is to be packed: all of `folder`, or the one file `single` in it.

    Args:
        folder: Where to look.
        single: Name of the one file meant, or '' for all.
        ignore: Patterns beside those of the folder's own `.kifabrikignore` (see `Ignores`).
        heeds_own: Whether that file counts. Where somebody else wrote the folder it must not: matching costs as
            much as its author likes, and what is left out is not looked at.

    Raises:
        UsageError: A link, device, FIFO or socket, or a name that cannot stand in a dataset.
        CapacityError: More files than a version holds.
    """
    if single:
        return Tree((_source_file(single, folder.look(single)),), ())
    ignores = Ignores((*_ignore_lines(folder), IGNORE_FILE, *ignore) if heeds_own else ignore)
    files: list[SourceFile] = []
    empty: list[str] = []
    waiting = [""]
    while waiting:
        above = waiting.pop()
        before = len(files) + len(waiting)
        for path, status in _children(folder, above, ignores):
            if stat.S_ISDIR(status.st_mode) and not is_link(status):
                waiting.append(path)
            else:
                files.append(_source_file(path, status))
        if above and len(files) + len(waiting) == before:
            _check_path(above)
            empty.append(above)
        if len(files) + len(empty) > MOST_FILES:
            raise CapacityError(
                f"more than {MOST_FILES} files",
                hint="Seal parts of it as datasets of their own, or archive some.",
            )
    files.sort(key=lambda file: file.path)
    return Tree(tuple(files), tuple(sorted(empty)))


def _children(folder: Folder, above: str, ignores: Ignores) -> Iterator[tuple[str, os.stat_result]]:
    prefix = f"{above}/" if above else ""
    for found in folder.scan(above):
        path = prefix + found.name
        is_folder = stat.S_ISDIR(found.stat.st_mode)
        if not (ignores.skips_folder(path) if is_folder else ignores.skips_file(path)):
            yield path, found.stat


def _source_file(path: str, status: os.stat_result) -> SourceFile:
    _check_path(path)
    if is_link(status) or not stat.S_ISREG(status.st_mode):
        what = _OTHERS.get(stat.S_IFMT(status.st_mode), "a link or something special")
        raise UsageError(f"{path!r} is {what}; only regular files are packed", hint=_LEAVE_OUT_HINT)
    return SourceFile(path, bool(status.st_mode & stat.S_IXUSR), FileState.of(status))


def _check_path(path: str) -> None:
    fault = fault_of(path)
    if fault:
        raise UsageError(f"{path!r} {fault}", hint=_LEAVE_OUT_HINT)


def _ignore_lines(folder: Folder) -> list[str]:
    if all(found.name != IGNORE_FILE for found in folder.scan("")):
        return []
    with os.fdopen(folder.open_file(IGNORE_FILE), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise UsageError(f"{IGNORE_FILE} is not a regular file")
        text = stream.read(_LARGEST_IGNORE_FILE + 1)
    if len(text) > _LARGEST_IGNORE_FILE:
        raise UsageError(f"{IGNORE_FILE} is larger than {_LARGEST_IGNORE_FILE} bytes")
    try:
        return text.decode().splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{IGNORE_FILE} is not UTF-8") from None
