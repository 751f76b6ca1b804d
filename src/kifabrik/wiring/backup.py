"""A copy of a factory's home that is consistent, taken beside the running service.

Invariants:
    - The database is copied first, in one state (SQLite's own backup, checked, or pg_dump); objects follow.
      So each object a row of the copy names is in it, unless it was deleted in between, as its deletion asks for.
    - What the factory has deleted is deleted from the copy, too: an erasure reaches the backup with the next one.
    - The copy has the layout of the home: restoring is putting it in its place.
    - Nothing of a customer's is opened: objects are ciphertext, here as there.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.durable import make_folder, replacing
from kifabrik.errors import FULL_DISK, CapacityError, IntegrityError, UsageError
from kifabrik.stores.folder import FolderObjects
from kifabrik.stores.sql.dumping import dump
from kifabrik.wiring.factory import KEYS, database_of
from kifabrik.wiring.factory_config import FILE, read_config
from kifabrik.wiring.mirror import mirror
from kifabrik.wiring.objects import OBJECTS, object_store
from kifabrik.wiring.runs import NODE

DUMP: Final = "factory.dump"
"""In a backup, what `pg_restore` makes the database from."""
_KEPT_OF_NODE: Final = ("node.key", "node.toml")
_PARTIAL: Final = ".new"


@dataclass(frozen=True)
class BackedUp:
    """What a backup did.

    Args:
        objects: Objects in the copy now.
        size: Their bytes.
        copied: How many were new.
        removed: How many were deleted from it, because the factory has deleted them.
    """

    objects: int
    size: int
    copied: int
    removed: int


def back_up(home: Path, target: Path, told: Callable[[int], None] = lambda _size: None) -> BackedUp:
    """Copy a factory's home; into a folder of an earlier backup only what is new.

    Args:
        home: The factory's folder.
        target: Where to; made if it is missing.
        told: Called with the bytes of each object that is in the copy.

    Raises:
        UsageError: There is no factory, no pg_dump for its database, or the folder is no place for a backup.
        UnavailableError: The database cannot be reached.
        IntegrityError: The copy of the database is damaged.
        CapacityError: The disk of the copy is full.
    """
    config = read_config(home)
    database = database_of(home, config)
    _check_target(home, target)
    try:
        make_folder(target)
        if database.lite:
            file = _within(home, Path(database.url.database or ""))
            _copy_database(home.resolve() / file, target / file)
        else:
            with replacing(target / DUMP) as fresh:
                dump(database, fresh)
        for name in (FILE, config.prices):
            _copy_small(home / name, target / name)
        for name in _KEPT_OF_NODE:
            _copy_small(home / NODE / name, target / NODE / name)
        _mirror_keys(home / KEYS, target / KEYS)
        store, copy = object_store(home, config), target / OBJECTS
        if not isinstance(store, FolderObjects):
            return BackedUp(*mirror(store, copy, _files(copy), told))
        return _mirror_objects(home / OBJECTS, copy, told)
    except OSError as error:
        if error.errno in FULL_DISK:
            raise CapacityError(
                f"the disk of {target} is full", hint="Make room, and repeat: it goes on."
            ) from None
        raise


def _within(home: Path, file: Path) -> Path:
    """Name a file of SQLite's from the factory's folder: a copy of that is whole only if it lies there."""
    try:
        return file.resolve().relative_to(home.resolve())
    except ValueError:
        raise UsageError(
            f"the database of this factory, {file}, is not in its folder",
            hint="Move it there while the service is stopped, and correct database in factory.toml.",
        ) from None


def _check_target(home: Path, target: Path) -> None:
    inside, around = target.resolve(), home.resolve()
    if inside.is_relative_to(around) or around.is_relative_to(inside):
        raise UsageError(f"{target} and the factory's folder lie in each other", hint="Name a folder elsewhere.")
    if target.is_dir() and any(target.iterdir()) and not (target / FILE).is_file():
        raise UsageError(f"{target} holds something that is no backup", hint="Name an empty or a new folder.")


def _copy_database(source: Path, target: Path) -> None:
    with replacing(target) as fresh:
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as one,
            closing(sqlite3.connect(fresh)) as two,
        ):
            one.backup(two)
            two.execute("PRAGMA journal_mode=DELETE")
            said = two.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if said != "ok":
            raise IntegrityError(f"the copy of the database is damaged: {said}", hint="Check the factory's disk.")


def _copy_small(source: Path, target: Path) -> None:
    if source.is_file():
        make_folder(target.parent)
        with replacing(target) as fresh:
            shutil.copy2(source, fresh)


def _mirror_keys(source: Path, target: Path) -> None:
    for file in _files(source):
        _copy_small(file, target / file.relative_to(source))


def _mirror_objects(source: Path, target: Path, told: Callable[[int], None]) -> BackedUp:
    """Bring the copies in step; an object's name is its digest, so one of the same name and size is the same."""
    objects = size = copied = removed = 0
    for file in _files(source):
        kept = target / file.relative_to(source)
        try:
            length = file.stat().st_size
            if not kept.is_file() or kept.stat().st_size != length:
                make_folder(kept.parent)
                with replacing(kept) as fresh:
                    shutil.copy2(file, fresh)
                copied += 1
        except FileNotFoundError:
            continue  # deleted meanwhile
        objects, size = objects + 1, size + length
        told(length)
    for kept in list(_files(target)):
        if not (source / kept.relative_to(target)).exists():
            kept.unlink(missing_ok=True)
            removed += 1
    return BackedUp(objects, size, copied, removed)


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(_PARTIAL))
