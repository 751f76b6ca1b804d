"""The folder of an attempt on the node's disk: mount points, and ciphertext that waits for upload.

Invariants:
- a folder is locked while its launcher lives: the kernel frees the lock however the launcher ends;
- whoever starts next, and the service when a launcher ends, clears away what killed launchers have left,
  and nothing else.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def claimed_folder(runs: Path, attempt: str) -> Iterator[Path]:
    """Hold the folder of an attempt while the block runs, and remove it afterwards.

    Args:
        runs: Folder of all attempts on this node; left-over ones in it are removed.
        attempt: Attempt id.
    """
    runs.mkdir(parents=True, exist_ok=True, mode=0o711)
    folder = runs / attempt
    lock = _claim(folder)
    try:
        clear_left(runs)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _claim(folder: Path) -> int:
    while True:
        folder.mkdir(exist_ok=True, mode=0o711)
        # Another launcher may clear it away until it is locked: before it is opened, or after.
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_still(folder, lock):
            return lock
        os.close(lock)


def _is_still(folder: Path, lock: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def clear_left(runs: Path) -> tuple[Path, ...]:
    """Remove the folders of attempts whose launcher is dead; those of living ones are left alone.

    Returns:
        Those that could not be removed, or not wholly.
    """
    stuck = []
    for folder in runs.iterdir() if runs.is_dir() else ():
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # not a folder of ours, or gone by now
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its launcher lives
        else:
            shutil.rmtree(folder, ignore_errors=True)
            stuck += [folder] if folder.exists() else []
        finally:
            os.close(lock)
    return tuple(stuck)
