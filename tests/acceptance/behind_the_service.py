"""What somebody with the factory's disk does behind the service's back, undone at the end."""

import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from kifabrik.datasets.manifest import Manifest


@dataclass(frozen=True)
class Sealed:
    """What lies in the store of one dataset with two versions; all changes are undone at the end."""

    folder: Path
    undo: ExitStack
    first: Manifest
    second: Manifest

    def path(self, digest):
        return self.folder / digest[:2] / digest

    def change(self, digest, how):
        path = self.path(digest)
        data = path.read_bytes()
        self.undo.callback(path.write_bytes, data)
        path.write_bytes(how(data))
        assert path.read_bytes() != data

    def delete(self, digest):
        path = self.path(digest)
        self.undo.callback(path.write_bytes, path.read_bytes())
        path.unlink()


def objects(stage):
    return stage.factory.home / "factory" / "objects" / stage.sdk.session.tenant


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def exchange(stage, digest, old, new, undo):
    """Replace a text in a statement of the factory's database, and back at the end."""

    def replace(one, other):
        database = sqlite3.connect(stage.factory.home / "factory" / "factory.db", timeout=30)
        with closing(database), database:
            change = "UPDATE statements SET envelope = replace(envelope, ?, ?) WHERE digest = ?"
            assert database.execute(change, (one, other, digest)).rowcount == 1

    replace(old, new)
    undo.callback(replace, new, old)
