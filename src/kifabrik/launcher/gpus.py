"""Device files of the GPUs a run may use."""

from pathlib import Path
from typing import Final

from kifabrik.errors import CapacityError

_DEV: Final = Path("/dev")
_SHARED: Final = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
"""Needed by every CUDA process besides the GPU's own file (NVIDIA driver README, device node access)."""


def device_files(gpus: tuple[int, ...], dev: Path = _DEV) -> tuple[Path, ...]:
    """Return what a room must show for these GPUs; nothing for none.

    Args:
        gpus: Minor numbers of the GPUs.
        dev: Folder of the device files.

    Raises:
        CapacityError: A GPU is not there (any more).
    """
    if not gpus:
        return ()
    own = [dev / f"nvidia{number}" for number in gpus]
    missing = [path for path in own if not path.exists()]
    if missing:
        raise CapacityError(f"{missing[0]} does not exist", hint="Is the NVIDIA driver loaded?")
    return (*own, *(dev / name for name in _SHARED if (dev / name).exists()))
