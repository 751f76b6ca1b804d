"""Whether this machine can hold rooms: what `kifabrik doctor` shows."""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.sandbox.hierarchies import CONTROLLERS, find_hierarchies
from kifabrik.sandbox.memory import SwapState, swap_state
from kifabrik.sandbox.network import require_network, try_network
from kifabrik.sandbox.proc_files import mounts_of
from kifabrik.sandbox.programs import find_program
from kifabrik.sandbox.seccomp import room_filter
from kifabrik.sandbox.streamed import WITHOUT, cannot_stream
from kifabrik.sandbox.uids import DEFAULT_RANGE, UidRange, maps

_OLDEST_BUBBLEWRAP: Final = (0, 8)
"""The first with `--disable-userns`."""
_TRIAL_S: Final = 20
_SUBUID: Final = re.compile(r"(?P<owner>[^:#]+):(?P<first>[0-9]{1,10}):(?P<count>[0-9]{1,10})\s*")


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTICE = "notice"
    ERROR = "error"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: What, in two or three words.
        verdict: ERROR means that no run starts here; NOTICE that a protection is weaker than it could be.
        sentence: What was found.
        advice: What to do; empty if nothing.
    """

    name: str
    verdict: Verdict
    sentence: str
    advice: str = ""


def check_sandbox(uids: UidRange = DEFAULT_RANGE) -> list[Check]:
    """Look at everything a room needs, in the order in which it needs it."""
    return [
        *_programs(),
        _namespaces(uids),
        _filter(),
        _controllers(),
        _uids(uids),
        _swap(),
        _huge_pages(),
        _streaming(),
        _run_network(),
        _core_dumps(),
        _other_users(),
    ]


def _programs() -> Iterator[Check]:
    for name in ("bwrap", "setpriv", "prlimit"):
        try:
            path = find_program(name)
        except KifabrikError as error:
            yield Check(name, Verdict.ERROR, f"{error.message}.", error.hint)
            continue
        if name == "bwrap":
            yield _bubblewrap(path)


def _bubblewrap(path: str) -> Check:
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.split()
    version = said[-1] if said else "unknown"
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    if numbers < _OLDEST_BUBBLEWRAP:
        return Check(
            "bwrap", Verdict.ERROR, f"bubblewrap {version} is too old.", "Install bubblewrap 0.8 or newer."
        )
    return Check("bwrap", Verdict.OK, f"bubblewrap {version} at {path}.")


def _namespaces(uids: UidRange) -> Check:
    """Build the smallest room there is, as the user a run would have."""
    name = "namespaces"
    try:
        command = [find_program("setpriv"), "--no-new-privs"]
        if os.geteuid() == 0:
            command += [f"--reuid={uids.first}", f"--regid={uids.first}", "--clear-groups"]
        command += [find_program("bwrap"), "--unshare-all", "--unshare-user", "--disable-userns"]
        command += ["--ro-bind", "/", "/", "--proc", "/proc", "--", "/bin/true"]
        trial = subprocess.run(
            command, cwd="/", env={}, capture_output=True, text=True, timeout=_TRIAL_S, check=False
        )
    except KifabrikError as error:
        return Check(name, Verdict.ERROR, f"Not tried: {error.message}.", error.hint)
    except subprocess.TimeoutExpired:
        return Check(name, Verdict.ERROR, "Building an empty room did not end.", "Look at the kernel's log.")
    if trial.returncode != 0:
        return Check(
            name,
            Verdict.ERROR,
            f"A room cannot be built: {' '.join(trial.stderr.split()) or trial.returncode}",
            "Allow user namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, "
            "and on Ubuntu an AppArmor profile for bwrap (or "
            "kernel.apparmor_restrict_unprivileged_userns=0). In a container, give it its own /proc.",
        )
    return Check(name, Verdict.OK, "User, mount, network and process namespaces work.")


def _filter() -> Check:
    try:
        program = room_filter()
    except KifabrikError as error:
        return Check("system call filter", Verdict.ERROR, f"{error.message}.", error.hint)
    actions = Path("/proc/sys/kernel/seccomp/actions_avail")
    if not actions.exists():
        return Check(
            "system call filter",
            Verdict.ERROR,
            "The kernel has no seccomp filters.",
            "Use Linux 4.14 or newer.",
        )
    return Check("system call filter", Verdict.OK, f"{len(program) // 8} instructions for {os.uname().machine}.")


def _controllers() -> Check:
    found = find_hierarchies()
    usable = [one for one in found if os.access(one.parent, os.W_OK)]
    names = {name for one in usable for name in one.controllers}
    if any(one.version != 1 for one in usable):
        names.add("cpuacct")  # version 2 counts without a controller
    missing = sorted(CONTROLLERS - names)
    if missing:
        return Check(
            "control groups",
            Verdict.NOTICE,
            f"Not usable here: {', '.join(missing)}. A run's use of them is not bounded.",
            "Run as root, or start the factory by systemd with `Delegate=yes`.",
        )
    versions = " and ".join(sorted({f"version {one.version}" for one in usable}))
    return Check("control groups", Verdict.OK, f"Memory, processes and processors are bounded ({versions}).")


def _uids(uids: UidRange) -> Check:
    name = "user ids"
    last = uids.first + uids.count - 1
    if os.geteuid() != 0:
        return Check(
            name,
            Verdict.NOTICE,
            "Runs use your own user id, so they are kept apart by namespaces only.",
            "Run the factory as root where several tenants share a machine.",
        )
    if not maps(uids):
        return Check(
            name,
            Verdict.ERROR,
            f"The user ids {uids.first} to {last} do not exist in this container.",
            "Set the range of run user ids to one that /proc/self/uid_map covers.",
        )
    owner = overlapping(uids, _lines(Path("/etc/subuid")))
    if owner:
        return Check(
            name,
            Verdict.NOTICE,
            f"The user ids {uids.first} to {last} overlap those of {owner}'s containers (/etc/subuid).",
            "Set another range of run user ids.",
        )
    return Check(name, Verdict.OK, f"Each run gets its own of {uids.first} to {last}.")


def overlapping(uids: UidRange, lines: Iterable[str]) -> str:
    """Return whose containers may have user ids of a range; empty if nobody's.

    Args:
        uids: The range.
        lines: Of /etc/subuid: subuid(5). Those of another form, such as comments, count for nothing.
    """
    for line in lines:
        found = _SUBUID.fullmatch(line)
        if found is None:
            continue
        first, count = int(found["first"]), int(found["count"])
        if first < uids.first + uids.count and uids.first < first + count:
            return found["owner"]
    return ""


def _swap() -> Check:
    state, areas = swap_state()
    if state is not SwapState.ON:
        return Check("swap", Verdict.OK, f"This machine has {state.value}.")
    bound = any(one.version != 1 and "memory" in one.controllers for one in find_hierarchies())
    if os.geteuid() == 0 and _kernel() >= (6, 4) and bound:
        return Check(
            "swap",
            Verdict.NOTICE,
            f"Swap is on ({', '.join(areas)}); launchers and runs are exempted from it.",
            "Switch swap off (`swapoff -a`) on machines that hold sealed data.",
        )
    return Check(
        "swap",
        Verdict.ERROR,
        f"Swap is on ({', '.join(areas)}): plaintext in memory could reach a disk.",
        "Switch swap off (`swapoff -a`), or run as root on Linux 6.4 or newer with control groups of version 2.",
    )


def _huge_pages() -> Check:
    setting = Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
    if not setting.exists() or "[deny]" in setting.read_text(encoding="ascii"):
        return Check(
            "huge pages",
            Verdict.NOTICE,
            "Memory filesystems cannot use huge pages; opening data takes about twice as long.",
            f"echo never > {setting}  (which lets each mount decide)",
        )
    return Check("huge pages", Verdict.OK, "Memory filesystems can use huge pages.")


def _streaming() -> Check:
    lacks = cannot_stream()
    if lacks:
        said = f"{lacks} Data that does not fit into memory cannot be used here."
        return Check("streaming", Verdict.NOTICE, said, WITHOUT)
    return Check("streaming", Verdict.OK, "Data that does not fit into memory is opened while it is read (FUSE).")


def _run_network() -> Check:
    name = "several nodes"
    try:
        require_network()
        lacks = try_network()
    except KifabrikError as error:
        return Check(
            name, Verdict.NOTICE, f"Runs on several nodes cannot use this one: {error.message}.", error.hint
        )
    if lacks:
        return Check(
            name, Verdict.NOTICE, f"{lacks[0].upper()}{lacks[1:]}.", "Load the kernel's module: modprobe vxlan"
        )
    return Check(name, Verdict.OK, "The ranks of a run on several nodes get a network of their own (VXLAN).")


def _core_dumps() -> Check:
    pattern = "".join(_lines(Path("/proc/sys/kernel/core_pattern")))
    if pattern.startswith(("|", "@")):
        return Check(
            "core dumps",
            Verdict.NOTICE,
            f"Crashed programs are handed to {pattern.split()[0]}. Runs switch that off for themselves, but a "
            "program that switches it on again would hand over its memory.",
            "sysctl kernel.core_pattern=core",
        )
    return Check("core dumps", Verdict.OK, "Crashed programs are handed to no other program.")


def _other_users() -> Check:
    options = next((mount.options for mount in mounts_of(Path("/proc/self")) if mount.point == Path("/proc")), ())
    if any(option.startswith("hidepid=") for option in options):
        return Check("other users", Verdict.OK, "Other users of this machine cannot see what runs are doing.")
    return Check(
        "other users",
        Verdict.NOTICE,
        "Other users of this machine can see the arguments of the programs a job starts.",
        "mount -o remount,hidepid=invisible /proc",
    )


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(filter(str.isdigit, minor[:3])) or 0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
