"""A person's small disk that can be full: memory mounted with a size, gone when the scene is over."""

import subprocess
from contextlib import contextmanager, suppress

SIZE = "16m"


class Disk:
    """A mounted file system that is soon full."""

    def __init__(self, folder):
        self._filler = folder / "filler"

    def fill(self):
        """Leave no byte."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1_000_000, 4096, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        continue

    def empty(self):
        """Take away what `fill` has put there."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def full_disk(folder):
    """Mount one at a folder; what was on it is lost afterwards, as with a machine that is given back."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
