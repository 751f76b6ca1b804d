"""Keeps what a launcher knows in its own memory: no core file, no look inside, no swap.

Only the standard library and `kifabrik.sandbox` are imported. Source: prctl(2), mlockall(2), core(5).
"""

import contextlib
import ctypes
import os
import resource
from typing import Final

from kifabrik.sandbox.memory import SwapState, swap_state

_PR_SET_DUMPABLE: Final = 4
"""`include/uapi/linux/prctl.h`."""
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4
"""`include/uapi/asm-generic/mman.h`."""
_NO_CORE: Final = 1
"""See `kifabrik.sandbox.launch`: zero would still hand the memory of a crash to a program of the machine."""

_libc = ctypes.CDLL(None, use_errno=True)


def keep_memory_private(swap: SwapState | None = None) -> None:
    """Close this process's memory to others of its user and to every disk; keys and plaintext lie in here.

    To be called after `enter_private_mounts`: the kernel lets nobody but root name the users of a namespace
    for a process that cannot be looked into.

    Args:
        swap: Whether the machine swaps; looked up if not given. Where pages could reach a disk, those of
            this process are locked as they come into use.

    Raises:
        OSError: The machine swaps to a disk, and the kernel does not let this process lock its memory.
    """
    with contextlib.suppress(ValueError):  # a limit of zero cannot be raised; the next line holds all the same
        resource.setrlimit(resource.RLIMIT_CORE, (_NO_CORE, _NO_CORE))
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    state = swap_state()[0] if swap is None else swap
    if state is SwapState.ON and _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
