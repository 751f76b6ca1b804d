"""Declared outputs, taken from what a run left behind, as if an enemy had laid them out.

To be used when every process of the run is dead, so that nothing changes underfoot; the folder is still
walked by descriptor, and no link is ever followed.

Invariants:
- what is listed is regular files of the run's own filesystem, each with all its names inside the output;
- names are valid UTF-8 without control or direction-changing characters, so they print as they are;
- the sum of sizes is bounded, so that a sparse file cannot make the sealing endless.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from kifabrik.errors import RunFailedError

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_DEEPEST: Final = 64
_LONGEST_NAME: Final = 1024
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that change how a name prints: control, format, surrogate, line, paragraph."""


@dataclass(frozen=True)
class OutputBounds:
    """What one output may hold at most."""

    total_bytes: int
    files: int = 1_000_000


@dataclass(frozen=True)
class OutputFile:
    """One file of an output.

    Args:
        name: Path beneath the output, with `/`; the file's own name if the output is a single file.
        size_bytes: Its length.
        executable: Whether its owner may execute it.
    """

    name: str
    size_bytes: int
    executable: bool


@dataclass(frozen=True)
class Output:
    """The files of one declared output, sorted by name; `open` reads them.

    Args:
        root: The folder outside that the room wrote to.
        within: The output beneath it.
        files: What it holds.
    """

    root: Path
    within: PurePosixPath
    files: tuple[OutputFile, ...]
    single: bool

    def open(self, file: OutputFile) -> int:
        """Return a descriptor to read the file from; no link on the way is followed."""
        path = self.within if self.single else self.within / file.name
        parent = _descend(self.root, path.parent)
        try:
            return os.open(path.name, _FILE, dir_fd=parent)
        finally:
            os.close(parent)


def collect(root: Path, within: str, bounds: OutputBounds) -> Output:
    """List a declared output.

    Args:
        root: The folder outside that was shown as the writable mount.
        within: The declared path beneath that mount, such as `model`.
        bounds: What to accept at most.

    Raises:
        RunFailedError: It is not there, or holds something that does not leave a room; the message names it.
    """
    path = PurePosixPath(within)
    if path.is_absolute() or not path.parts or ".." in path.parts:
        raise RunFailedError(f"{within!r} is not a path beneath the output folder")
    parent = _descend(root, path.parent)
    try:
        status = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
        single = not stat.S_ISDIR(status.st_mode)
        walk = _Walk(bounds, os.fstat(parent).st_dev)
        if single:
            walk.take(path.name, path.name, status)
        else:
            walk.folder(os.open(path.name, _FOLDER, dir_fd=parent))
    except FileNotFoundError:
        raise _missing(within) from None
    finally:
        os.close(parent)
    walk.require_own_names()
    return Output(root, path, tuple(sorted(walk.files, key=lambda file: file.name)), single)


def _descend(root: Path, within: PurePosixPath) -> int:
    """Open a folder beneath `root`, one step at a time."""
    here = os.open(root, _FOLDER)
    for part in within.parts:
        try:
            following = os.open(part, _FOLDER, dir_fd=here)
        except OSError:
            raise _missing(str(within)) from None
        finally:
            os.close(here)
        here = following
    return here


def _missing(within: str) -> RunFailedError:
    return RunFailedError(
        f"the job did not write its declared output {within!r}",
        hint="Write it as a regular file or folder, not through a link, before the job ends.",
    )


class _Walk:
    """Counts and judges what it meets; raises at the first thing that must not leave."""

    def __init__(self, bounds: OutputBounds, device: int) -> None:
        self.files: list[OutputFile] = []
        self._bounds = bounds
        self._device = device
        self._bytes = 0
        self._names: dict[int, tuple[int, int, str]] = {}

    def folder(self, descriptor: int) -> None:
        """Take everything beneath an open folder, which is closed afterwards."""
        waiting = [(descriptor, "")]
        try:
            while waiting:
                here, prefix = waiting.pop()
                try:
                    for name in _sorted_names(here):
                        path = prefix + _checked(name, prefix)
                        status = os.stat(name, dir_fd=here, follow_symlinks=False)
                        if not stat.S_ISDIR(status.st_mode):
                            self.take(name, path, status)
                        elif path.count("/") + 1 >= _DEEPEST or len(path.encode()) > _LONGEST_NAME:
                            raise _refuse(path[:60] + "…", "is nested too deeply")
                        else:
                            waiting.append((os.open(name, _FOLDER, dir_fd=here), path + "/"))
                finally:
                    os.close(here)
        finally:
            for left, _ in waiting:
                os.close(left)

    def take(self, name: str, path: str, status: os.stat_result) -> None:
        """Judge one thing that is not a folder."""
        _checked(name, "")
        if not stat.S_ISREG(status.st_mode):
            raise _refuse(path, f"is {_KINDS.get(stat.S_IFMT(status.st_mode), 'not a regular file')}")
        if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
            raise _refuse(path, "would run with its owner's rights (setuid or setgid)")
        if status.st_dev != self._device:
            raise _refuse(path, "lies on another filesystem")
        self._bytes += status.st_size
        if self._bytes > self._bounds.total_bytes or len(self.files) >= self._bounds.files:
            raise RunFailedError(
                f"the output is larger than the run may write: more than {self._bounds.total_bytes} bytes"
                f" or {self._bounds.files} files",
                hint="Sparse files count with their full length. Raise `resources.disk` in the job file.",
            )
        count, _, first = self._names.get(status.st_ino, (0, 0, path))
        self._names[status.st_ino] = (count + 1, status.st_nlink, first)
        self.files.append(OutputFile(path, status.st_size, bool(status.st_mode & stat.S_IXUSR)))

    def require_own_names(self) -> None:
        """Refuse a file that has a further name outside the output."""
        for count, links, path in self._names.values():
            if links != count:
                raise _refuse(path, "has a hard link outside the output")


def _sorted_names(descriptor: int) -> Iterator[str]:
    yield from sorted(os.listdir(descriptor), key=os.fsencode)


def _checked(name: str, prefix: str) -> str:
    if any(unicodedata.category(character) in _HIDDEN_CATEGORIES for character in name):
        shown = os.fsencode(prefix + name)
        raise RunFailedError(
            f"an output has a name that cannot be shown: {shown!r}",
            hint="Use names of printable UTF-8 characters.",
        )
    return name


def _refuse(path: str, why: str) -> RunFailedError:
    return RunFailedError(f"the output {path!r} {why}", hint="Only regular files of the run itself leave the room.")
