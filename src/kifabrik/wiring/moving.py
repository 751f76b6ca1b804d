"""Objects moved from a folder into a bucket: each verified by its digest, and again after it has arrived.

Invariants:
- what is in the bucket in its size is not sent again: it can only have been stored with its own digest;
- the folder is never written to while objects move, and set aside only once each row has its object in the bucket;
- what was deleted since it was copied is deleted from the bucket, too, before the folder is set aside.
"""

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.errors import ConflictError, IntegrityError, UsageError
from kifabrik.factory.keys import object_key
from kifabrik.stores.folder import FolderObjects
from kifabrik.stores.s3.objects import S3Objects
from kifabrik.stores.sql.store import SqlStore
from kifabrik.wiring.factory import database_of
from kifabrik.wiring.factory_config import FILE, FactoryConfig, read_config
from kifabrik.wiring.objects import OBJECTS, check_bucket, object_store

ASIDE: Final = "objects-moved"


@dataclass(frozen=True)
class Moved:
    """What has been moved.

    Args:
        objects: Objects the factory knows of.
        size: Their bytes.
        copied: How many were sent now.
        missing: Keys of those that are neither in the folder nor in the bucket.
        aside: Where the folder lies now; empty if it was left.
    """

    objects: int
    size: int
    copied: int
    missing: tuple[str, ...]
    aside: str


def move_objects(
    home: Path, source: Path | None, *, finish: bool, told: Callable[[int], None] = lambda _size: None
) -> Moved:
    """Copy the objects of a folder into the bucket that the settings name; what is there is not sent again.

    Args:
        home: The factory's folder.
        source: Where they lie; None for `objects` in it.
        finish: Whether the folder is set aside afterwards; the service must not run.
        told: Called with the bytes of each object that is in the bucket.

    Raises:
        UsageError: The settings name no bucket, or there is no such folder.
        IntegrityError: A file is damaged, or at the end objects are missing.
        ConflictError: The service runs and it is to be finished.
        UnavailableError: The bucket cannot be reached, or refuses.
    """
    config = read_config(home)
    folder = source or home / OBJECTS
    if finish and source is not None:
        raise UsageError("only the factory's own folder is set aside", hint="Leave out either --from or --finish.")
    if finish and _answers(config):
        raise ConflictError("the service runs", hint="Stop it, repeat this, and start it again.")
    if not config.objects.url:
        raise UsageError("the settings name no bucket", hint=f"Write `url` in [objects] of {home / FILE} first.")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", hint="Name the one in which the objects lie.")
    check_bucket(home, config)
    bucket = object_store(home, config)
    assert isinstance(bucket, S3Objects)  # noqa: S101 - the settings name one
    with closing(bucket):
        there = dict(bucket.keys())
        found = _copy(home, folder, bucket, there, told)
        if finish and not found.missing:
            for key in there.keys() - {key for key, _ in _rows(home)}:
                bucket.delete(key)
    if not finish:
        return found
    if found.missing:
        raise IntegrityError(
            f"{len(found.missing)} objects are neither in {folder} nor in the bucket, such as {found.missing[0]}",
            hint="`kifabrik admin check` names them; copy them back from your backup first.",
        )
    aside = home / ASIDE
    if aside.exists():
        raise ConflictError(f"{aside} is there already", hint="Move it away first.")
    folder.rename(aside)
    return Moved(found.objects, found.size, found.copied, (), str(aside))


def _copy(home: Path, folder: Path, bucket: S3Objects, there: dict[str, int], told: Callable[[int], None]) -> Moved:
    files, total, copied, missing = FolderObjects(folder), 0, 0, []
    rows = list(_rows(home))
    for key, size in rows:
        if there.get(key) != size:
            if files.size(key) != size:
                missing.append(key)
                continue
            _send(folder / key, key, bucket)
            copied += 1
        total += size
        told(size)
    return Moved(len(rows), total, copied, tuple(missing), "")


def _answers(config: FactoryConfig) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET) as probe:
        probe.settimeout(2)
        return bool(config.port) and probe.connect_ex((config.host, config.port)) == 0


def _rows(home: Path) -> Iterator[tuple[str, int]]:
    with closing(SqlStore(database_of(home, read_config(home)))) as store, store.read() as transaction:
        yield from [(object_key(tenant, digest), size) for tenant, digest, size in transaction.objects.all()]


def _send(file: Path, key: str, bucket: S3Objects) -> None:
    with file.open("rb") as body:
        digest = hashlib.file_digest(body, "sha256").hexdigest()
    if digest != file.name:
        raise IntegrityError(
            f"object {key} has other bytes than it is named after",
            hint="Copy it back from your backup; what was copied so far is not sent again.",
        )
    bucket.store(file, key)
