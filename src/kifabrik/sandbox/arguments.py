"""The command line of bubblewrap for a room, from values alone.

Only the constant part stands in an argument list that other users of the machine can read; paths go through a
file descriptor (`--args`). Variables of the job are not given to bubblewrap at all: see `kifabrik.sandbox.stage`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kifabrik.sandbox.room import HOME, ROOM_AT, SYSTEM_PATH, WORKDIR_AT, Fitting, RoomSpec
from kifabrik.sandbox.stage import INSIDE_ID, NO_FILE, NO_FOLDER

_ISOLATION: Final = (
    *("--unshare-all", "--unshare-user", "--disable-userns", "--as-pid-1", "--die-with-parent"),
    *("--new-session", "--cap-drop", "ALL", "--clearenv"),
    *("--uid", str(INSIDE_ID), "--gid", str(INSIDE_ID)),
)
_SYSTEM_LINKS: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SYSTEM_FILES: Final = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/timezone")
_DEVICES: Final = ("null", "zero", "full", "random", "urandom")
_DEVICE_LINKS: Final = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_MACHINE_FILES: Final = (
    *("bootconfig", "buddyinfo", "cmdline", "config.gz", "consoles", "diskstats", "dma", "interrupts", "iomem"),
    *("ioports", "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags"),
    *("latency_stats", "locks", "mdstat", "mtrr", "pagetypeinfo", "partitions", "sched_debug", "schedstat"),
    *("slabinfo", "softirqs", "sysrq-trigger", "timer_list", "vmallocinfo", "zoneinfo"),
)
_MACHINE_FOLDERS: Final = ("acpi", "asound", "bus", "dynamic_debug", "fs", "irq", "pressure", "scsi", "tty")
"""What /proc tells about the machine and whoever else works on it. Numeric libraries read `cpuinfo`, `meminfo`,
`stat`, `vmstat` and what lies under `sys`, Java `cgroups`, GPU libraries `devices`, `driver` and `modules`: that
stays."""
_TOPOLOGY: Final = ("/sys/devices/system/cpu", "/sys/devices/system/node")
"""Numeric libraries count processors and memory nodes here."""
_GPU_TOPOLOGY: Final = (
    *("/sys/devices/system", "/sys/bus/pci", "/sys/class/drm", "/sys/class/kfd", "/sys/class/infiniband"),
    "/sys/module/nvidia",
)
_BUSES: Final = Path("/sys/devices")
"""Drivers and collective libraries find devices and the paths between them here, and on the PCI buses beside.
What else lies there names the machine's network interfaces, disks and virtual devices."""

_INIT: Final = (
    "echo ready >&0; read -r go || exit 125; exec </dev/null; {bound}"
    "/bin/sh {room}/job; status=$?; left=6000; "
    'while [ "$status" = 143 ] && kill -s 0 -- -1 2>/dev/null && [ "$left" -gt 0 ]; '
    "do sleep 0.05; left=$((left - 1)); done; exit $status"
)
"""The room's first process. Standard input is a socket to the launcher: it says that the room is built,
waits for the word to go (an end of file means that the launcher is dead), and lets go of the socket
before the job starts. Being process 1 it is spared the SIGTERM that the launcher sends to its whole
group. If the job's shell dies of it, programs that answer it by writing a checkpoint are waited for:
until nothing is left, the launcher's patience ends, or five minutes are over."""


def bubblewrap_options(spec: RoomSpec, fittings: tuple[Fitting, ...], stage: Path) -> list[str]:
    """Return the options that go through the file descriptor.

    Args:
        spec: What the room contains.
        fittings: Its mounts, with paths the run's user can reach.
        stage: Folder with `etc` and `room`.
    """
    return [
        *_ISOLATION,
        *("--hostname", spec.hostname),
        *_system(Path("/")),
        *_small_files(stage),
        *_processes(Path("/proc"), stage),
        *_devices(spec),
        *_topology(spec),
        *_empty_folders(spec),
        *_mounts(fittings),
        *("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"),
        *("--chdir", WORKDIR_AT if spec.workdir else HOME),
        *("--setenv", "PATH", SYSTEM_PATH),
    ]


def first_process(max_processes: int | None) -> list[str]:
    """Return the command that bubblewrap starts.

    Args:
        max_processes: Bound on processes to set in the room, where no control group bounds them.
    """
    bound = f"ulimit -u {max_processes} 2>/dev/null || ulimit -p {max_processes}; " if max_processes else ""
    return [f"{ROOM_AT}/init", "-c", _INIT.format(bound=bound, room=ROOM_AT)]


def _system(root: Path) -> Iterator[str]:
    """Show the machine's programs and libraries, laid out as the machine has them."""
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _SYSTEM_LINKS:
        place = root / name
        if place.is_symlink():
            yield from ("--symlink", str(place.readlink()), f"/{name}")
        elif place.is_dir():
            yield from ("--ro-bind", f"/{name}", f"/{name}")
    for name in _SYSTEM_FILES:
        yield from ("--ro-bind-try", name, name)


def _small_files(stage: Path) -> Iterator[str]:
    for file in sorted((stage / "etc").iterdir()):
        yield from ("--ro-bind", str(file), f"/etc/{file.name}")
    yield from ("--ro-bind", str(stage / "room"), ROOM_AT)


def _processes(machines: Path, stage: Path) -> Iterator[str]:
    """A /proc of the room's own processes, in which what tells about the machine is empty."""
    yield from ("--proc", "/proc")
    for names, nothing in ((_MACHINE_FILES, stage / NO_FILE), (_MACHINE_FOLDERS, stage / NO_FOLDER)):
        for name in names:
            if (machines / name).exists():
                yield from ("--ro-bind", str(nothing), f"/proc/{name}")


def _devices(spec: RoomSpec) -> Iterator[str]:
    """A /dev without terminals: their number is bounded for the whole machine, not per run."""
    yield from ("--perms", "0755", "--size", str(1 << 20), "--tmpfs", "/dev")
    for name in _DEVICES:
        yield from ("--dev-bind", f"/dev/{name}", f"/dev/{name}")
    for name, target in _DEVICE_LINKS.items():
        yield from ("--symlink", target, f"/dev/{name}")
    for device in spec.gpu_devices:
        yield from ("--dev-bind", str(device), str(device))
    yield from ("--perms", "1777", "--size", str(spec.limits.shm_bytes), "--tmpfs", "/dev/shm")  # noqa: S108


def _topology(spec: RoomSpec) -> Iterator[str]:
    buses = sorted(map(str, _BUSES.glob("pci*"))) if spec.gpu_devices else []
    for path in (*(_GPU_TOPOLOGY if spec.gpu_devices else _TOPOLOGY), *buses):
        yield from ("--ro-bind-try", path, path)


def _empty_folders(spec: RoomSpec) -> Iterator[str]:
    size = str(spec.limits.tmp_bytes)
    yield from ("--perms", "1777", "--size", size, "--tmpfs", "/tmp")  # noqa: S108 - the room's own
    yield from ("--perms", "0700", "--size", size, "--tmpfs", HOME)
    yield from ("--dir", "/var", "--symlink", "/tmp", "/var/tmp")  # noqa: S108 - the room's own


def _mounts(fittings: tuple[Fitting, ...]) -> Iterator[str]:
    for one in fittings:
        yield from ("--bind" if one.writable else "--ro-bind", str(one.outside), str(one.inside))
