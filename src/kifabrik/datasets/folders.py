"""The two kinds of folder: by descriptors where the system has them, else by path names.

Whoever owns the folder may be an enemy who is still writing: a run's output folder is walked while
the run goes on. So on POSIX every component is opened relative to the descriptor of the one above it
and never through a symbolic link; a swapped link is an error, not a way out. Windows has no such
calls: there each component is looked at before use, which is enough for a person's own folders.
"""

import os
import stat
from contextlib import suppress
from errno import ENOTDIR
from pathlib import Path
from typing import Final

from kifabrik.datasets.folder import Folder, Found, reaching, translated
from kifabrik.datasets.paths import windows_fault_of
from kifabrik.errors import UsageError

FILE_MODE: Final = 0o444
PROGRAM_MODE: Final = 0o555
_FOLDER_MODE: Final = 0o755
_O_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_O_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
_O_BINARY: Final = getattr(os, "O_BINARY", 0)
_O_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)
_O_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
_READ: Final = os.O_RDONLY | _O_NOFOLLOW | _O_CLOEXEC | _O_BINARY | _O_NONBLOCK
_ENTER: Final = os.O_RDONLY | _O_NOFOLLOW | _O_CLOEXEC | _O_DIRECTORY
_HAS_ATTRIBUTES: Final = hasattr(os.stat_result, "st_file_attributes")
_UNKNOWN: Final = "/"
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_NOFOLLOW | _O_CLOEXEC | _O_BINARY


def open_folder(root: Path) -> Folder:
    """Return the folder at `root`, following links to it.

    Raises:
        UsageError: There is no folder.
    """
    with reaching(str(root)):
        return FdFolder.at(root) if os.open in os.supports_dir_fd else PathFolder(root)


class FdFolder:
    """A folder reached by descriptors; those of the path used last stay open."""

    def __init__(self, descriptor: int) -> None:
        """Take over an open directory descriptor."""
        self._root = descriptor
        self._open: list[tuple[str, int]] = []
        self._last = ""  # the path whose components are open

    @classmethod
    def at(cls, root: Path) -> "FdFolder":
        """Open the folder at `root`, following links to it."""
        return cls(os.open(root, _ENTER & ~_O_NOFOLLOW))

    def clone(self) -> "FdFolder":
        """See `Folder`."""
        return FdFolder(os.dup(self._root))

    def enter(self, path: str) -> "FdFolder":
        """See `Folder`."""
        with reaching(path):
            return FdFolder(os.dup(self._descend(path, make=False)))

    def scan(self, path: str) -> list[Found]:
        """See `Folder`."""
        with reaching(path or "."), os.scandir(self._descend(path, make=False)) as entries:
            return [Found(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]

    def look(self, path: str) -> os.stat_result:
        """See `Folder`."""
        with reaching(path):
            folder, name = self._parent(path, make=False)
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def open_file(self, path: str) -> int:
        """See `Folder`."""
        try:
            folder, name = self._parent(path, make=False)
            descriptor = os.open(name, _READ, dir_fd=folder)
        except OSError as error:
            raise translated(error, path) from error
        return descriptor

    def make_file(self, path: str, *, executable: bool) -> int:
        """See `Folder`."""
        mode = PROGRAM_MODE if executable else FILE_MODE
        try:
            folder, name = self._parent(path, make=True)
            descriptor = os.open(name, _MAKE, mode, dir_fd=folder)
            os.fchmod(descriptor, mode)
        except OSError as error:
            raise translated(error, path) from error
        return descriptor

    def make_folder(self, path: str) -> None:
        """See `Folder`."""
        with reaching(path):
            self._descend(path, make=True)

    def remove_file(self, path: str) -> None:
        """See `Folder`."""
        with reaching(path):
            folder, name = self._parent(path, make=False)
            os.unlink(name, dir_fd=folder)

    def close(self) -> None:
        """See `Folder`."""
        self._leave(0)
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _parent(self, path: str, *, make: bool) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        return self._descend(above, make=make), name

    def _descend(self, path: str, *, make: bool) -> int:
        """Return the descriptor of the folder at `path`, keeping open what the next path may share."""
        if path != self._last:
            self._last = _UNKNOWN  # should a step fail
            self._walk_to(path, make=make)
            self._last = path
        return self._open[-1][1] if self._open else self._root

    def _walk_to(self, path: str, *, make: bool) -> None:
        parts = path.split("/") if path else []
        shared = 0
        for part, (name, _) in zip(parts, self._open, strict=False):
            if part != name:
                break
            shared += 1
        self._leave(shared)
        for part in parts[shared:]:
            self._open.append((part, self._step(part, make=make)))

    def _step(self, name: str, *, make: bool) -> int:
        above = self._open[-1][1] if self._open else self._root
        try:
            return os.open(name, _ENTER, dir_fd=above)
        except FileNotFoundError:
            if not make:
                raise
        try:
            os.mkdir(name, _FOLDER_MODE, dir_fd=above)
        except FileExistsError:  # another thread made it just now
            return os.open(name, _ENTER, dir_fd=above)
        descriptor = os.open(name, _ENTER, dir_fd=above)
        os.fchmod(descriptor, _FOLDER_MODE)
        return descriptor

    def _leave(self, depth: int) -> None:
        while len(self._open) > depth:
            os.close(self._open.pop()[1])


class PathFolder:
    """A folder reached by path names, for systems without directory descriptors."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve(strict=True)
        if not self._root.is_dir():
            raise NotADirectoryError(ENOTDIR, "not a folder", str(root))

    def clone(self) -> "PathFolder":
        """See `Folder`."""
        return PathFolder(self._root)

    def enter(self, path: str) -> "PathFolder":
        """See `Folder`."""
        with reaching(path):
            return PathFolder(self._place(path))

    def scan(self, path: str) -> list[Found]:
        """See `Folder`."""
        with reaching(path or "."), os.scandir(self._place(path)) as entries:
            # On Windows only `lstat` gives the inode; the status kept in the entry lacks it.
            return [Found(entry.name, os.lstat(entry.path)) for entry in entries]

    def look(self, path: str) -> os.stat_result:
        """See `Folder`."""
        with reaching(path):
            return os.lstat(self._parent(path, make=False))

    def open_file(self, path: str) -> int:
        """See `Folder`."""
        with reaching(path):
            return os.open(self._parent(path, make=False), _READ)

    def make_file(self, path: str, *, executable: bool) -> int:
        """See `Folder`."""
        _check_windows_name(path)
        with reaching(path):
            place = self._parent(path, make=True)
            return os.open(place, _MAKE, PROGRAM_MODE if executable else FILE_MODE)

    def make_folder(self, path: str) -> None:
        """See `Folder`."""
        _check_windows_name(path)
        with reaching(path):
            self._place(path, make=True)

    def remove_file(self, path: str) -> None:
        """See `Folder`."""
        with reaching(path):
            place = self._parent(path, make=False)
            place.chmod(stat.S_IWRITE)  # Windows removes no read-only file
            place.unlink()

    def close(self) -> None:
        """See `Folder`; there is nothing to give back."""

    def _parent(self, path: str, *, make: bool) -> Path:
        above, _, name = path.rpartition("/")
        return self._place(above, make=make) / name

    def _place(self, path: str, *, make: bool = False) -> Path:
        place = self._root
        for part in path.split("/") if path else ():
            place /= part
            if make:
                with suppress(FileExistsError):
                    place.mkdir(_FOLDER_MODE)
            status = place.lstat()
            if is_link(status) or not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(ENOTDIR, "not a folder", str(place))
        return place


def is_link(status: os.stat_result) -> bool:
    """Whether this is the status of a symbolic link or of a Windows reparse point such as a junction."""
    return stat.S_ISLNK(status.st_mode) or (_HAS_ATTRIBUTES and _is_reparse_point(status))


def _is_reparse_point(status: os.stat_result) -> bool:
    attributes: int = getattr(status, "st_file_attributes", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)


def _check_windows_name(path: str) -> None:
    fault = windows_fault_of(path) if os.name == "nt" else ""
    if fault:
        raise UsageError(f"{path!r} {fault}", hint="Pull it on Linux or macOS.")
