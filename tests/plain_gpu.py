"""A GPU made of ordinary memory: a shared library with the functions of NVIDIA's driver that kifabrik calls.

So what calls the driver runs as it would, through the loader and ctypes; what a real driver does is not shown.
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("plain_gpu.c")
PAGE: Final = 2 << 20
SECRET: Final = b"the weights of somebody else. "


def missing() -> str:
    """Say why there can be none here; empty if there can."""
    return "" if shutil.which("gcc") else "gcc is not installed"


@dataclass(frozen=True)
class PlainGpu:
    """A driver with some GPUs, in a folder of its own.

    Args:
        folder: Of the libraries, for LD_LIBRARY_PATH.
        minors: Numbers of the GPUs.
        pages: Memory of each, in pages of 2 MiB.
    """

    folder: Path
    minors: Sequence[int] = (0,)
    pages: int = 64

    def build(self) -> "PlainGpu":
        """Compile the library, and fill the GPUs with what somebody left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        library = self.folder / "libcuda.so.1"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", "-o", library, SOURCE, "-ldl"], check=True)
        (self.folder / "libnvidia-ml.so.1").hardlink_to(library)
        for minor in self.minors:
            info = self.driver / "gpus" / self.bus(minor) / "information"
            info.parent.mkdir(parents=True)
            info.write_text(
                f"Model: \t\t Plain GPU\nBus Location: \t {self.bus(minor)}\nDevice Minor: \t {minor}\n"
            )
            self.use(minor)
        return self

    @property
    def driver(self) -> Path:
        """What stands for /proc/driver/nvidia."""
        return self.folder / "driver"

    def bus(self, minor: int) -> str:
        """PCI address."""
        return f"0000:{minor + 1:02x}:00.0"

    def use(self, minor: int) -> None:
        """Leave something in a GPU's memory."""
        self._memory(minor).write_bytes((SECRET * (PAGE // len(SECRET) + 1))[:PAGE] * self.pages)

    def holds(self, minor: int) -> list[int]:
        """Pages of a GPU's memory in which something stands."""
        memory = self._memory(minor).read_bytes()
        return [page for page in range(self.pages) if any(memory[page * PAGE : (page + 1) * PAGE])]

    def fail(self, *faults: str) -> None:
        """Let something go wrong from now on; nothing for none."""
        (self.folder / "fault").write_text("".join(f"{fault}\n" for fault in faults))

    def _memory(self, minor: int) -> Path:
        return self.folder / f"memory-{self.bus(minor)}"
