"""Walking through trees that others change meanwhile: what goes between listing and reading is passed over.

`Path.rglob` raises where a folder has gone that it is about to list.
"""

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path, *, without: str = "") -> Iterator[tuple[Path, bytes]]:
    """Give every plain file and its bytes; not what lies in folders of the name `without`."""
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != without)
        for path in (Path(above, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink():
                try:
                    yield path, path.read_bytes()
                except FileNotFoundError:
                    continue


def folders_below(folder: Path) -> Iterator[Path]:
    """Give every folder."""
    for above, folders, _ in os.walk(folder):
        yield from (Path(above, name) for name in folders)
