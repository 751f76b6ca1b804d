"""A log as a folder of plain files, for auditors: `checkpoint`, `policy` and `tile/…`."""

import os
import stat
from pathlib import Path
from typing import Final

from kifabrik.durable import sync_folder
from kifabrik.errors import FULL_DISK, CapacityError, ConflictError, IntegrityError, NotFoundError, UnavailableError
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.merkle import CompactTree, leaf_hash
from kifabrik.ledger.mirror import Mirror
from kifabrik.ledger.notes import MOST_NOTE_BYTES, Note
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.tiles import MOST_TILE_BYTES, TILE_WIDTH, Tile, tiles_to_write

CHECKPOINT: Final = "checkpoint"
POLICY: Final = "policy"
_FRESH: Final = ".new"
_READ: Final = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))
_CHUNK_ENTRIES: Final = 16 * TILE_WIDTH


class LogFolder:
    """Reads the files of an exported log. The folder is not trusted.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes:
        """Return the bytes of a tile: the `ReadTile` of this folder.

        Raises:
            UsageError: The name is not the path of a tile.
            NotFoundError: There is no such file.
            IntegrityError: It is no plain file, or larger than any tile.
            UnavailableError: It cannot be read.
        """
        return self._bytes(Tile.from_path(name).path, MOST_TILE_BYTES)

    def text(self, name: str) -> str:
        """Return `checkpoint` or `policy` as text.

        Raises:
            NotFoundError: There is no such file.
            IntegrityError: It is no plain file, too large, or not UTF-8.
            UnavailableError: It cannot be read.
        """
        try:
            return self._bytes(name, MOST_NOTE_BYTES).decode()
        except UnicodeDecodeError:
            raise IntegrityError(f"{self._path / name} is not text") from None

    def _bytes(self, name: str, most: int) -> bytes:
        path = self._path / name
        try:
            # Looking first keeps a pipe or a device in a stranger's folder from hanging the reader, and opening it
            # so that nothing is waited for or followed keeps it so if it is exchanged in between.
            if not stat.S_ISREG(path.lstat().st_mode):
                raise IntegrityError(f"{path} is not a plain file")
            with os.fdopen(os.open(path, _READ), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise IntegrityError(f"{path} is not a plain file")
                data = file.read(most + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(f"{path} is missing", hint="Is this the folder of an exported log?") from None
        except OSError as error:
            raise UnavailableError(f"cannot read {path}: {error.strerror or error}") from error
        if len(data) > most:
            raise IntegrityError(f"{path} is too large (more than {most} bytes)")
        return data


def export(mirror: Mirror, folder: Path, policy: Policy) -> None:
    """Write a mirror's log into a folder that `verify_folder` and any tlog-tiles reader understands.

    Exporting again into the same folder updates it; `checkpoint` is written last.

    Args:
        mirror: A mirror that keeps the checkpoint of its newest head.
        folder: Made if missing.
        policy: Whom an auditor is to believe; must accept the kept checkpoint.

    Raises:
        IntegrityError: The policy does not accept the kept checkpoint.
        ConflictError: The folder holds something else.
        CapacityError: The disk is full.
        UnavailableError: The folder cannot be written.
    """
    policy.accept(mirror.checkpoint)
    target = LogFolder(folder)
    try:
        _claim(folder, mirror.origin)
        tree = CompactTree()
        for start in range(0, mirror.size, _CHUNK_ENTRIES):
            entries = mirror.entries(start, min(start + _CHUNK_ENTRIES, mirror.size))
            for name, data in tiles_to_write(tree, entries, target.read).items():
                _write(folder / name, data)
            tree.extend(leaf_hash(entry) for entry in entries)
        _write(folder / POLICY, policy.to_text().encode())
        _write(folder / CHECKPOINT, mirror.checkpoint.encode())
        sync_folder(folder)
    except OSError as error:
        kind = CapacityError if error.errno in FULL_DISK else UnavailableError
        raise kind(f"cannot write {folder}: {error.strerror or error}") from error


def _claim(folder: Path, origin: str) -> None:
    """Make the folder, or make sure that what is in it is an export of the same log, even a torn one."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = {"tile", POLICY, POLICY + _FRESH, CHECKPOINT + _FRESH}
    if {path.name for path in folder.iterdir()} <= unfinished:
        return
    try:
        found = TreeHead.parse(Note.parse(LogFolder(folder).text(CHECKPOINT)).text).origin
    except (NotFoundError, IntegrityError):
        found = "something else"
    if found != origin:
        raise ConflictError(f"{folder} is not empty; it holds {found}", hint="Choose an empty folder.")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + _FRESH)
    with fresh.open("wb") as file:
        file.write(data)
    fresh.replace(path)
