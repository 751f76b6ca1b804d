"""The memory filesystem of a run: plaintext lies there and nowhere else.

Invariants:
- it is mounted in mounts of the launcher's own, so no other process of the machine can walk into it, and
  the kernel frees it when the launcher and its room are gone, however they went;
- its pages never reach a disk: it is mounted `noswap`, or there is no swap, or it is not mounted at all.
"""

import contextlib
import errno
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from kifabrik.errors import CapacityError, RefusedError, UnavailableError
from kifabrik.sandbox import kernel
from kifabrik.sandbox.kernel import Mount

_PAGE_BYTES: Final = 4096
_BYTES_PER_FILE: Final = 16 * 1024
"""One file name is granted per this many bytes, so that empty files cannot fill the kernel's memory."""
_LEAST_FILES: Final = 16 * 1024


class SwapState(Enum):
    """Whether memory pages of this machine can reach a disk."""

    OFF = "no swap"
    MEMORY_ONLY = "swap into compressed memory only"
    ON = "swap to a disk"


@dataclass(frozen=True)
class PrivateMounts:
    """The proof that this process sees mounts of its own. Only `enter_private_mounts` makes one.

    Args:
        as_root: Whether the process is root on the machine; else it is root in a user namespace of its own.
    """

    as_root: bool

    def mount_memory(
        self, path: Path, size_bytes: int, *, huge: str = "within_size", mode: int = 0o700
    ) -> "MemoryFolder":
        """Mount an empty memory filesystem.

        Args:
            path: An existing folder, hidden by the mount.
            size_bytes: What it can hold.
            huge: Policy for huge pages (`never`, `always`, `within_size`, `advise`); dropped where the
                kernel does not know it. Writes into fresh memory are about twice as fast with it.
            mode: Permissions of its root.

        Raises:
            RefusedError: The machine swaps to a disk and the kernel cannot exempt this filesystem.
            UnavailableError: The kernel refuses the mount.
        """
        return _mount_memory(path, size_bytes, huge=huge, mode=mode)


@dataclass(frozen=True)
class MemoryFolder:
    """A mounted memory filesystem.

    Args:
        path: Where it is mounted.
        size_bytes: What it can hold.
        huge_pages: Whether it uses huge pages.
        never_swapped: Whether the kernel exempts it from swap.
    """

    path: Path
    size_bytes: int
    huge_pages: bool
    never_swapped: bool

    def make_read_only(self) -> None:
        """Let nobody write any more, the launcher itself included.

        Raises:
            CapacityError: A file in it is still open for writing.
        """
        try:
            kernel.mount("", self.path, "", Mount.REMOUNT | Mount.READ_ONLY | Mount.NOSUID | Mount.NODEV)
        except OSError as error:
            raise CapacityError(
                f"{self.path} cannot be made read-only: {error.strerror}",
                hint="Close every file that was opened there for writing first.",
            ) from None

    def abort(self) -> None:
        """Do nothing: reading memory never waits."""

    def unmount(self) -> None:
        """Let go of it; its memory is free when the last open file in it is closed."""
        with contextlib.suppress(FileNotFoundError):
            kernel.unmount(self.path, detach=True)


def enter_private_mounts() -> PrivateMounts:
    """Move this process to mounts of its own.

    To be called first thing, before any thread is started: the kernel gives an ordinary user a user
    namespace only while the process has one thread, and threads started earlier would keep the old mounts.

    Raises:
        UnavailableError: The machine does not allow it.
    """
    as_root = os.geteuid() == 0
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.unshare(kernel.CLONE_NEWNS if as_root else kernel.CLONE_NEWNS | kernel.CLONE_NEWUSER)
        if not as_root:
            Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
        kernel.mount("", Path("/"), "", Mount.RECURSIVE | Mount.PRIVATE)
    except OSError as error:
        raise UnavailableError(
            f"this process cannot have mounts of its own: {error.strerror}",
            hint="Run as root, or allow user namespaces; `kifabrik doctor` says how.",
        ) from None
    return PrivateMounts(as_root=as_root)


def swap_state(
    swaps: Path = Path("/proc/swaps"), block_devices: Path = Path("/sys/block")
) -> tuple[SwapState, tuple[str, ...]]:
    """Read where this machine swaps to.

    A zram device is memory, unless it has a backing disk to write idle pages to
    (Documentation/admin-guide/blockdev/zram.rst).

    Returns:
        The state, and the names of the swap areas.
    """
    try:
        areas = tuple(line.split()[0] for line in swaps.read_text(encoding="utf-8").splitlines()[1:])
    except FileNotFoundError:  # a kernel built without swap
        return SwapState.OFF, ()
    if not areas:
        return SwapState.OFF, ()
    if all(_is_memory(Path(area), block_devices) for area in areas):
        return SwapState.MEMORY_ONLY, areas
    return SwapState.ON, areas


def _is_memory(area: Path, block_devices: Path) -> bool:
    if not area.name.startswith("zram"):
        return False
    try:
        backing = (block_devices / area.name / "backing_dev").read_text(encoding="utf-8").strip()
    except FileNotFoundError:  # a kernel that cannot write zram back
        return True
    return backing in {"", "none"}


def _mount_memory(path: Path, size_bytes: int, *, huge: str, mode: int) -> MemoryFolder:
    base = f"size={_whole_pages(size_bytes)},mode={mode:o},nr_inodes={_files(size_bytes)}"
    swaps_to_disk = swap_state()[0] is SwapState.ON
    for huge_pages, noswap in ((True, True), (False, True), (True, False), (False, False)):
        if swaps_to_disk and not noswap:
            raise RefusedError(
                f"{path}: this machine swaps to a disk and plaintext in memory could reach it",
                hint="Switch swap off (`swapoff -a`), or run as root on Linux 6.4 or newer.",
            )
        options = base + (f",huge={huge}" if huge_pages else "") + (",noswap" if noswap else "")
        try:
            kernel.mount("kifabrik", path, "tmpfs", Mount.NOSUID | Mount.NODEV, options)
        except OSError as error:
            if error.errno == errno.EINVAL:  # an option this kernel does not know or allow us
                continue
            raise UnavailableError(
                f"no memory filesystem can be mounted on {path}: {error.strerror}",
                hint="`kifabrik doctor` checks what is missing.",
            ) from None
        return MemoryFolder(path, size_bytes, huge_pages and huge != "never", noswap)
    raise UnavailableError(f"the kernel refuses every way to mount memory on {path}", hint="Needs tmpfs.")


def _whole_pages(size_bytes: int) -> int:
    """Zero would mean without limit to the kernel."""
    return max(_PAGE_BYTES, -(-size_bytes // _PAGE_BYTES) * _PAGE_BYTES)


def _files(size_bytes: int) -> int:
    return max(_LEAST_FILES, size_bytes // _BYTES_PER_FILE)
