"""Whether unfinished uploads agree with what has arrived of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kifabrik.factory.findings import Finding
from kifabrik.factory.ports import Store

_UPLOAD: Final = "It may be deleted: nobody was told that its bytes arrived."


class StagingCheck:
    """Compares unfinished uploads with what has arrived of them.

    Args:
        store: Rows.
        root: Folder of unfinished uploads.
    """

    def __init__(self, store: Store, root: Path) -> None:
        self._store = store
        self._root = root

    def run(self) -> Iterator[Finding]:
        """Yield files no upload knows; an upload without a file has not begun to arrive."""
        # Files first: an upload that begins meanwhile has its row before its first byte is written.
        files = sorted(self._root.glob("*/*"))
        with self._store.read() as transaction:
            moving = {f"{tenant}/{digest}" for tenant, digest in transaction.objects.moving()}
        for file in files:
            name = f"{file.parent.name}/{file.name}"
            if name not in moving and file.exists():
                yield Finding(file.parent.name, f"{name} in {self._root} belongs to no upload", _UPLOAD)
