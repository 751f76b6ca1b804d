"""Folders of plaintext that last no longer than a command: whoever comes next removes what a killed one left.

Invariants:
- a folder is noted, and the note durable, before the folder is made;
- a note's lock is held while its command lives: the operating system frees it however the command ends;
- only a folder that a note names is removed, and its note only once it is gone.
"""

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from kifabrik.customer.profile import member_folder
from kifabrik.durable import write_whole
from kifabrik.errors import ConflictError
from kifabrik.ledger.file_lock import FileLock

_NOTES: Final = "unfinished"


@contextmanager
def unfinished_folder(home: Path, name: str, *, parent: Path | None = None) -> Iterator[Path]:
    """Make a hidden folder that is gone when the block ends, or when the next command starts.

    Args:
        home: The member's home folder.
        name: For the folder's name.
        parent: Where to make it; beside the notes if None.
    """
    notes = member_folder(home, _NOTES)
    token, lock = _fresh(notes)
    folder = (parent or notes).absolute() / f".{name}-{token}"
    try:
        write_whole(notes / f"{token}.json", json.dumps({"folder": str(folder)}).encode())
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        _remove(folder)
        _forget(notes, token, lock)


def remove_unfinished(home: Path) -> list[Path]:
    """Remove what killed commands have left; return the folders that were there.

    What cannot be reached now, as on a disk that is not mounted, is tried again the next time.
    """
    notes = member_folder(home, _NOTES)
    found = []
    for token in {path.name.partition(".")[0] for path in notes.iterdir() if path.is_file()}:
        try:
            lock = FileLock(notes / f"{token}.lock", "the folder of another command")
        except ConflictError:
            continue  # its command lives
        folder = _named(notes / f"{token}.json")
        if folder is not None and folder.exists():
            found.append(folder)
            _remove(folder)
        if folder is None or (folder.parent.is_dir() and not folder.exists()):
            _forget(notes, token, lock)
        lock.close()
    return found


def _fresh(notes: Path) -> tuple[str, FileLock]:
    """Take a token of one's own and its lock, unless whoever clears away was quicker."""
    while True:
        token = secrets.token_hex(8)
        path = notes / f"{token}.lock"
        try:
            lock = FileLock(path, "a note that was just made")
        except ConflictError:
            continue
        if path.exists():
            return token, lock
        lock.close()


def _named(note: Path) -> Path | None:
    """The folder a note names; None if the note was lost meanwhile, or names what no command of ours makes."""
    try:
        folder = Path(json.loads(note.read_bytes())["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if folder.is_absolute() and folder.name.endswith(f"-{note.stem}") else None


def _forget(notes: Path, token: str, lock: FileLock) -> None:
    for name in (f"{token}.json.new", f"{token}.json"):
        (notes / name).unlink(missing_ok=True)
    lock.close()
    with suppress(PermissionError):  # Windows, while another command looks at it
        (notes / f"{token}.lock").unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """Remove a folder, also one with folders in it that its owner may not write to."""

    def again(remove: Callable[[str], Any], path: str, _error: object) -> None:
        with suppress(OSError):
            Path(path).parent.chmod(0o700)
            if Path(path).is_dir():
                Path(path).chmod(0o700)
                shutil.rmtree(path, ignore_errors=True)
            else:
                remove(path)

    if folder.exists():
        shutil.rmtree(folder, onerror=again)
