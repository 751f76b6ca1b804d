"""File systems that are soon full: memory mounted with a size; needs root."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted file system.

    Args:
        folder: Where; made if it is missing.
        size: As mount(8) takes it.
    """

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a tmpfs")

    def fill(self) -> None:
        """Leave no byte."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (1_000_000, 4096, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        continue

    def empty(self) -> None:
        """Take away what `fill` has put there."""
        (self.folder / "filler").unlink(missing_ok=True)

    def grow(self, size: str) -> None:
        """Make it larger."""
        subprocess.run(["mount", "-o", f"remount,size={size}", self.folder], check=True)

    def unmount(self) -> None:
        """End it, also while somebody looks at it."""
        subprocess.run(["umount", "-l", self.folder], check=True)


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, str], SmallDisk]]:
    """Mount small disks; they go when the test ends."""
    with ExitStack() as cleanup:

        def make(folder: Path, size: str) -> SmallDisk:
            disk = SmallDisk(folder, size)
            cleanup.callback(disk.unmount)
            return disk

        yield make
