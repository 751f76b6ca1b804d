"""Where on this machine a control group for a run can be made, and with which controllers.

Both versions of control groups are served, also side by side (Documentation/admin-guide/cgroup-v1 and
cgroup-v2.rst). What counts is which controllers exist, not which files look writable.

Invariants:
- a run's group lies beneath the launcher's own group, so it inherits the bounds of whoever started the
  launcher. One exception: on version 2 a group that holds processes cannot hand controllers to children.
  Then the launcher, if root and not inside a Slurm job, uses a group `kifabrik` at the top;
- processes are moved only inside a group that systemd says is delegated to us.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.sandbox.proc_files import mounts_of

CONTROLLERS: Final = frozenset({"memory", "pids", "cpu", "cpuacct"})
"""Those a run is bounded and measured with; `cpuacct` exists in version 1 only, version 2 always counts."""

_NEEDED: Final = CONTROLLERS - {"cpu"}
"""Where version 1 serves these, version 2 adds nothing but the kernel's wait for moving a process."""

_OWN_TOP: Final = "kifabrik"
_LAUNCHERS: Final = "kifabrik-launchers"


@dataclass(frozen=True)
class Hierarchy:
    """A place for groups.

    Args:
        version: 1 or 2.
        parent: Folder in which a group is made by `mkdir`.
        controllers: Those that bound or measure a group made there.
    """

    version: int
    parent: Path
    controllers: frozenset[str]


@dataclass(frozen=True)
class _Mount:
    """A mounted hierarchy: `controllers` is empty for version 2."""

    version: int
    point: Path
    root: str
    controllers: frozenset[str]


def find_hierarchies(process: Path = Path("/proc/self")) -> tuple[Hierarchy, ...]:
    """Find the hierarchies a run can be put into; controllers are handed down where they must be.

    Args:
        process: Folder with `mountinfo` and `cgroup`.
    """
    own = dict(_own_groups(process))
    found: list[Hierarchy] = []
    covered: set[str] = set()
    for mount in _mounts(process):
        if mount.version == 1 and mount.controllers & CONTROLLERS - covered:
            name = next(iter(mount.controllers & own.keys()), None)
            if name is not None:
                folder = _folder(mount, own[name])
                found.append(Hierarchy(1, folder, mount.controllers & CONTROLLERS))
                covered |= mount.controllers
    if not covered >= _NEEDED and "" in own:
        second = next((mount for mount in _mounts(process) if mount.version == 2), None)  # noqa: PLR2004
        found += [_version_2(second, own[""])] if second else []
    return tuple(found)


def group_mounts(process: Path = Path("/proc/self")) -> tuple[Path, ...]:
    """Where control groups are mounted.

    Args:
        process: Folder with `mountinfo`.
    """
    return tuple(mount.point for mount in _mounts(process))


def groups_of(process: Path) -> tuple[Path, ...]:
    """Folders of all control groups a process is in, one for each hierarchy that has controllers or is version 2.

    Args:
        process: Its folder, such as `/proc/7`.
    """
    groups = dict(_own_groups(process))
    found: list[Path] = []
    for mount in _mounts(process):
        names = groups.keys() & (mount.controllers or {""})
        path = _folder(mount, groups[min(names)]) if names else None
        if path is not None and path not in found:
            found.append(path)
    return tuple(found)


def _own_groups(process: Path) -> Iterator[tuple[str, str]]:
    """Path of this process's group by controller; the empty name is version 2."""
    for line in _lines(process / "cgroup"):
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            yield name, path


def _mounts(process: Path) -> Iterator[_Mount]:
    for mount in mounts_of(process):
        if mount.kind == "cgroup2":
            yield _Mount(2, mount.point, mount.root, frozenset())
        elif mount.kind == "cgroup":
            yield _Mount(1, mount.point, mount.root, frozenset(mount.options))


def _folder(mount: _Mount, own: str) -> Path:
    """Where this process's group is seen; the mount's top if the group lies outside what is mounted."""
    root = mount.root.rstrip("/")
    if own == root or own.startswith(f"{root}/"):
        return mount.point / own[len(root) :].lstrip("/")
    return mount.point


def _version_2(mount: _Mount, own: str) -> Hierarchy:
    folder = _folder(mount, own)
    if _hand_down(folder) or (_is_delegated(folder) and _make_way(folder) and _hand_down(folder)):
        return Hierarchy(2, folder, _available(folder))
    if os.geteuid() == 0 and "slurm" not in own:
        top = mount.point / _OWN_TOP
        with contextlib.suppress(OSError):
            top.mkdir(exist_ok=True)
            if _hand_down(mount.point) and _hand_down(top):
                return Hierarchy(2, top, _available(top))
    return Hierarchy(2, folder, frozenset())


def _available(folder: Path) -> frozenset[str]:
    return frozenset(" ".join(_lines(folder / "cgroup.controllers")).split()) & CONTROLLERS


def _hand_down(folder: Path) -> bool:
    """Let groups in `folder` have its controllers; False if the kernel says no."""
    active = frozenset(" ".join(_lines(folder / "cgroup.subtree_control")).split())
    missing = _available(folder) - active
    if not missing:
        return True
    try:
        (folder / "cgroup.subtree_control").write_text(
            " ".join(f"+{name}" for name in sorted(missing)), encoding="ascii"
        )
    except OSError:
        return False
    return True


def _is_delegated(folder: Path) -> bool:
    """Whether systemd marked the group as the service's own (systemd.resource-control(5), Delegate=)."""
    for name in ("trusted.delegate", "user.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _make_way(folder: Path) -> bool:
    """Move the processes of a delegated group into a group beneath it."""
    try:
        launchers = folder / _LAUNCHERS
        launchers.mkdir(exist_ok=True)
        for pid in _lines(folder / "cgroup.procs"):
            with contextlib.suppress(ProcessLookupError):
                (launchers / "cgroup.procs").write_text(pid, encoding="ascii")
    except OSError:
        return False
    return True


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
