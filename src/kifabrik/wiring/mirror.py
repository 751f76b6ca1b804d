"""Objects of a bucket brought into a folder, for a backup: new ones are fetched, what is gone is deleted there."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kifabrik.durable import make_folder, replacing
from kifabrik.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from kifabrik.stores.s3.objects import S3Objects


def mirror(
    store: "S3Objects", target: Path, kept_here: Iterator[Path], told: Callable[[int], None]
) -> tuple[int, int, int, int]:
    """Bring a folder in step with a bucket; an object's name is its digest, so one of the same size is the same.

    Args:
        store: The bucket.
        target: The folder.
        kept_here: Files in it.
        told: Called with the bytes of each object that is there.

    Returns:
        Objects, their bytes, how many were fetched, how many were deleted here.

    Raises:
        UnavailableError: The bucket cannot be read, or gave other bytes than it lists.
        OSError: The disk refuses.
    """
    objects = size = copied = 0
    there = set()
    for key, length in store.keys():  # noqa: SIM118 - no mapping
        there.add(key)
        kept = target / key
        if not kept.is_file() or kept.stat().st_size != length:
            try:
                _fetch(store, key, length, kept)
            except NotFoundError:
                continue  # deleted meanwhile
            copied += 1
        objects, size = objects + 1, size + length
        told(length)
    gone = [one for one in kept_here if one.relative_to(target).as_posix() not in there]
    for one in gone:
        one.unlink(missing_ok=True)
    return objects, size, copied, len(gone)


def _fetch(store: "S3Objects", key: str, length: int, kept: Path) -> None:
    pieces = store.read(key)
    make_folder(kept.parent)
    with replacing(kept) as fresh:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
            if file.tell() != length:
                raise UnavailableError(
                    f"object {key} came with {file.tell()} bytes, not {length}", hint="Repeat it."
                )
