"""A disk watched for what a power cut would take: bytes and names somebody was told last, and do not yet.

What stands here for the disk is the operating system's own answer: every `fsync` is noted with the size and
time of what it covered, every new name with the folder it is in. Fixture `disk`.
"""

import os
import stat
from pathlib import Path

import pytest

_Key = tuple[int, int]


def _key(status: os.stat_result) -> _Key:
    return status.st_dev, status.st_ino


class WatchedDisk:
    """Notes renames of files that are not on the disk, and names whose folder is not.

    Args:
        patch: Puts itself around `os.fsync`, `os.replace`, `os.rename`, `os.link` and `os.mkdir`.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._synced: dict[_Key, tuple[int, int]] = {}
        self._names: dict[str, _Key] = {}
        self._torn: list[str] = []
        self._system = {name: getattr(os, name) for name in ("fsync", "replace", "rename", "link", "mkdir")}
        patch.setattr(os, "fsync", self._fsync)
        patch.setattr(os, "mkdir", self._mkdir)
        for name in ("replace", "rename", "link"):
            patch.setattr(os, name, self._naming(name))

    def lost_by_a_power_cut(self) -> list[str]:
        """What would be missing or torn if the power went now; forgets it."""
        lost = [*self._torn, *self._names]
        self._torn, self._names = [], {}
        return lost

    def _fsync(self, handle: int) -> None:
        self._system["fsync"](handle)
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            self._names = {path: folder for path, folder in self._names.items() if folder != _key(status)}
        else:
            self._synced[_key(status)] = status.st_size, status.st_mtime_ns

    def _mkdir(self, path: str | Path, *rest: object, **options: object) -> None:
        self._system["mkdir"](path, *rest, **options)
        self._named(Path(path))

    def _naming(self, how: str) -> object:
        def act(source: str | Path, target: str | Path, *rest: object, **options: object) -> None:
            status = Path(source).stat()
            is_file = stat.S_ISREG(status.st_mode)
            if is_file and self._synced.get(_key(status)) != (status.st_size, status.st_mtime_ns):
                self._torn.append(f"{target}: its name came before its bytes")
            self._system[how](source, target, *rest, **options)
            self._named(Path(target))

        return act

    def _named(self, path: Path) -> None:
        self._names[str(path)] = _key(path.absolute().parent.stat())


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WatchedDisk:
    """A watched disk; the test's own folder was made before."""
    return WatchedDisk(monkeypatch)
