"""The GPUs of a run: its own while it runs, and the device files its room shows.

Invariants:
- of two launchers of one machine no two hold the same GPU: it is held by a lock on a file, which the kernel
  drops when the launcher is gone, however it went. What the factory says is no proof of it;
- a run is given no GPU on which a process still computes, such as one of a run that is just ending;
- where GPUs are scrubbed, one that a run has had is given to no other before it was: a mark beside the lock says
  so from before the run begins, and is taken away by whoever has scrubbed it.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from kifabrik.errors import CapacityError, UnavailableError
from kifabrik.sensors import nvml

_DEV: Final = Path("/dev")
_SHARED: Final = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
"""Needed by every CUDA process besides the GPU's own file (NVIDIA driver README, device node access)."""

_PATIENCE_S: Final = 30.0
"""A driver takes seconds to clear away what a killed process had."""
_PAUSE_S: Final = 0.5
_logger = logging.getLogger(__name__)

Scrubbing: TypeAlias = Callable[[tuple[int, ...]], object]
"""Overwrites GPUs, by their minor numbers, or raises `UnavailableError`."""


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


@contextmanager
def held_gpus(
    gpus: tuple[int, ...],
    locks: Path,
    *,
    scrub: Scrubbing | None = None,
    scrub_after: bool = True,
    library: Any = None,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold GPUs while the block runs.

    Args:
        gpus: Minor numbers; with none there is nothing to hold.
        locks: Folder of the lock files.
        scrub: Overwrites GPUs, or raises `UnavailableError`; None leaves them as they are.
        scrub_after: Whether to do it when the block ends, else whoever comes next does.
        library: What answers in place of `pynvml`; without a driver nobody can say who computes.
        wait: Called with the seconds between two looks.

    Raises:
        UnavailableError: Another run holds one, somebody computes on one and does not end, or one that a run
            has had cannot be scrubbed.
    """
    with ExitStack() as held:
        for number in sorted(gpus):
            held.callback(os.close, _hold(number, locks))
        if gpus:
            _wait_until_idle(frozenset(gpus), library or nvml.load(), wait)
        if scrub is None:
            yield
            return
        _scrub(unscrubbed(gpus, locks), locks, scrub)
        for number in gpus:
            _mark(number, locks).touch(mode=0o600)
        try:
            yield
        finally:
            if scrub_after:
                _try_to_scrub(gpus, locks, scrub)


def scrub_gpus(gpus: tuple[int, ...], locks: Path, scrub: Scrubbing) -> None:
    """Overwrite GPUs that no run holds, and take their marks away.

    Raises:
        UnavailableError: A run holds one, or one cannot be scrubbed.
    """
    with ExitStack() as held:
        for number in sorted(gpus):
            held.callback(os.close, _hold(number, locks))
        _scrub(gpus, locks, scrub)


def unscrubbed(gpus: tuple[int, ...], locks: Path) -> tuple[int, ...]:
    """Those of these GPUs that a run has had, or has, and nobody has scrubbed since."""
    return tuple(number for number in gpus if _mark(number, locks).exists())


def _try_to_scrub(gpus: tuple[int, ...], locks: Path, scrub: Scrubbing) -> None:
    """Overwrite what a run has had. What it did is not undone by a failure: the next run is not given the GPU."""
    try:
        _scrub(gpus, locks, scrub)
    except UnavailableError as error:
        _logger.warning("%s; it is given to no other run", error.message)


def _scrub(gpus: tuple[int, ...], locks: Path, scrub: Scrubbing) -> None:
    if gpus:
        scrub(gpus)
        for number in gpus:
            _mark(number, locks).unlink(missing_ok=True)


def _mark(number: int, locks: Path) -> Path:
    return locks / f"{number}.used"


def _hold(number: int, locks: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        locks.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = os.open(locks / f"{number}.lock", flags, 0o600)
    except OSError as error:
        raise UnavailableError(f"no lock for a GPU in {locks}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UnavailableError(f"GPU {number} of this node is held by another run") from None
    return lock


def _wait_until_idle(gpus: frozenset[int], library: Any, wait: Callable[[float], None]) -> None:
    for _ in range(round(_PATIENCE_S / _PAUSE_S)):
        busy = nvml.computing(gpus, library)
        if not busy:
            return
        wait(_PAUSE_S)
    raise UnavailableError(
        f"somebody else computes on GPU {busy[0]} of this node", hint="`nvidia-smi` on the node shows who."
    )
