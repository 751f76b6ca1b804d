"""The system call filter of the room, as the classic BPF program the kernel takes (seccomp(2)).

Namespaces, a user without privileges and read-only mounts already deny most of this; the filter keeps
the job away from the kernel code behind those checks, and closes what no namespace covers.

Invariants:
- calls of another machine's interface kill the process; those of x32 and those newer than
  `NEWEST_REVIEWED` do not exist (ENOSYS, which C libraries answer by older calls);
- `clone3` does not exist, because its flags lie in memory a filter cannot read; the flags of `clone` and
  `unshare` are checked instead;
- sockets are of the families unix, inet and inet6 with their everyday protocols. Netlink is open for its
  routing protocol alone, as `getifaddrs` of the C library, and so `torch.distributed`, ask it for the
  addresses of this machine; in the room's network namespace that is one loopback device. No namespace
  covers vsock, so it is denied in every form;
- nobody is told what happens to files the room shares with the machine and with other rooms, nor, without
  measuring times, which parts of them others have brought into memory;
- reserves that are shared by the whole machine and counted for no run (huge pages, asynchronous requests)
  cannot be drawn on;
- arguments the kernel takes as 32 bits are compared as 32 bits: set high bits change nothing
  (as they once did for TIOCSTI, CVE-2019-10063).
"""

import errno
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from kifabrik.errors import UnavailableError
from kifabrik.sandbox.syscalls import MACHINES, NEWEST_REVIEWED, Machine

_DENIED: Final = (
    # other namespaces and mounts, both interfaces
    *("setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"),
    # other processes' memory and descriptors
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    # who uses which of the machine's programs, other runs included, as it happens
    *("inotify_init", "inotify_init1", "inotify_add_watch", "cachestat"),
    # keyrings are per user, not per namespace
    *("add_key", "request_key", "keyctl"),
    # large and often broken kernel interfaces that no training needs
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    # the number of its requests is bounded for the whole machine, not per run
    "io_setup",
    # takes pages out of the kernel's own map, which breaks that map into small pages for the whole machine
    "memfd_secret",
    *("fanotify_init", "modify_ldt", "uselib", "_sysctl", "nfsservctl", "lookup_dcookie", "vhangup"),
    # files by handle, past every mount
    *("name_to_handle_at", "open_by_handle_at"),
    # the machine itself
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module"),
    *("get_kernel_syms", "query_module", "reboot", "swapon", "swapoff", "quotactl", "quotactl_fd"),
    *("acct", "syslog", "iopl", "ioperm", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex"),
)

_CLONE_NEW: Final = 0x7E02_0000
"""Every CLONE_NEW… flag that `clone` knows: cgroup, uts, ipc, user, pid, net, mount."""
_CLONE_NEWTIME: Final = 0x80
"""Only `unshare` knows it; in `clone` these bits are the exit signal. `include/uapi/linux/sched.h`."""

_TIOCSTI: Final = 0x5412
_TIOCLINUX: Final = 0x541C
"""Put characters into a terminal's input: `include/uapi/asm-generic/ioctls.h`."""

_AF_UNIX: Final = 1
_AF_INET: Final = 2
_AF_INET6: Final = 10
_AF_NETLINK: Final = 16
_NETLINK_ROUTE: Final = 0
_EVERYDAY_PROTOCOLS: Final = (0, 6, 17)
"""Default, TCP and UDP; others would load kernel modules on demand. `include/uapi/linux/in.h`."""

_RWF_NOWAIT: Final = 8
"""Read only what is in memory already: `include/uapi/linux/fs.h`. It fails as where a file system cannot."""

_F_NOTIFY: Final = 1026
"""The older way to watch a folder: `include/uapi/linux/fcntl.h`."""

_MAP_HUGETLB: Final = 0x4_0000
_MFD_HUGETLB: Final = 4
_SHM_HUGETLB: Final = 0o4000
"""Memory from the machine's reserve of huge pages, which no bound of a run counts. Asking for it fails as if
there were none. `include/uapi/asm-generic/mman-common.h`, `include/uapi/linux/memfd.h`, `…/linux/shm.h`."""

_PERSONALITIES: Final = (0, 0xFFFF_FFFF)
"""Plain Linux, and the question which one it is."""

# Instruction codes: include/uapi/linux/bpf_common.h
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_GREATER: Final = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_IF_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_JUMP: Final = 0x05  # BPF_JMP | BPF_JA
_RETURN: Final = 0x06  # BPF_RET | BPF_K

# struct seccomp_data and return values: include/uapi/linux/seccomp.h
_NUMBER_AT: Final = 0
_ARCH_AT: Final = 4
_ARGUMENTS_AT: Final = 16
_ALLOW: Final = 0x7FFF_0000
_ERRNO: Final = 0x0005_0000
_KILL_PROCESS: Final = 0x8000_0000

_FARTHEST: Final = 255
_NEXT: Final = ""


@dataclass(frozen=True)
class _Step:
    """One instruction whose jumps are still names of labels."""

    code: int
    value: int = 0
    then: str = _NEXT
    otherwise: str = _NEXT


class _Program:
    """Instructions and labels, turned into bytes at the end."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._labels: dict[str, int] = {}

    def add(self, code: int, value: int = 0, then: str = _NEXT, otherwise: str = _NEXT) -> None:
        self._steps.append(_Step(code, value, then, otherwise))

    def label(self, name: str) -> None:
        self._labels[name] = len(self._steps)

    def load_argument(self, index: int) -> None:
        """Load the low 32 bits of an argument; both machines are little-endian."""
        self.add(_LOAD, _ARGUMENTS_AT + 8 * index)

    def fail_with(self, label: str, number: int) -> None:
        self.label(label)
        self.add(_RETURN, _ERRNO | number)

    def assemble(self) -> bytes:
        """Give each instruction as a `struct sock_filter`."""
        return b"".join(self._encode(place, step) for place, step in enumerate(self._steps))

    def _encode(self, place: int, step: _Step) -> bytes:
        if step.code == _JUMP:
            return struct.pack("=HBBI", step.code, 0, 0, self._distance(place, step.then))
        then, otherwise = self._distance(place, step.then), self._distance(place, step.otherwise)
        if max(then, otherwise) > _FARTHEST:
            raise AssertionError(f"a conditional jump of {max(then, otherwise)} steps does not exist")
        return struct.pack("=HBBI", step.code, then, otherwise, step.value)

    def _distance(self, place: int, label: str) -> int:
        return 0 if label == _NEXT else self._labels[label] - place - 1


@cache
def room_filter(machine: str = "") -> bytes:
    """Return the filter of a room, as bubblewrap's `--seccomp` takes it.

    Args:
        machine: As `uname -m` names it; this one if not given.

    Raises:
        UnavailableError: There is no table for this machine.
    """
    name = machine or os.uname().machine
    if name not in MACHINES:
        raise UnavailableError(
            f"there is no system call filter for {name}", hint=f"Supported: {', '.join(sorted(MACHINES))}."
        )
    return _assemble(MACHINES[name])


def _assemble(machine: Machine) -> bytes:
    program = _Program()
    _dispatch(program, machine)
    for name in _ARGUMENT_RULES:
        program.label(name)
        _ARGUMENT_RULES[name](program)
    program.label("allow")
    program.add(_RETURN, _ALLOW)
    program.fail_with("deny", errno.EPERM)
    program.fail_with("absent", errno.ENOSYS)
    program.fail_with("no-memory", errno.ENOMEM)
    program.fail_with("not-supported", errno.EOPNOTSUPP)
    program.fail_with("no-family", errno.EAFNOSUPPORT)
    program.fail_with("no-protocol", errno.EPROTONOSUPPORT)
    program.label("kill")
    program.add(_RETURN, _KILL_PROCESS)
    return program.assemble()


def _dispatch(program: _Program, machine: Machine) -> None:
    """Send each call number to its rule."""
    program.add(_LOAD, _ARCH_AT)
    program.add(_IF_EQUAL, machine.audit_arch, otherwise="kill")
    program.add(_LOAD, _NUMBER_AT)
    if machine.foreign_bit:
        program.add(_IF_ANY_BIT, machine.foreign_bit, then="absent")
    program.add(_IF_GREATER, NEWEST_REVIEWED, then="absent")
    program.add(_IF_EQUAL, machine.numbers["clone3"], then="absent")
    for name in _ARGUMENT_RULES:
        program.add(_IF_EQUAL, machine.numbers[name], then=name)
    for name in _DENIED:
        if name in machine.numbers:
            program.add(_IF_EQUAL, machine.numbers[name], then="deny")
    program.add(_JUMP, then="allow")


def _clone(program: _Program) -> None:
    program.load_argument(0)
    program.add(_IF_ANY_BIT, _CLONE_NEW, then="deny", otherwise="allow")


def _unshare(program: _Program) -> None:
    program.load_argument(0)
    program.add(_IF_ANY_BIT, _CLONE_NEW | _CLONE_NEWTIME, then="deny", otherwise="allow")


def _ioctl(program: _Program) -> None:
    program.load_argument(1)
    program.add(_IF_EQUAL, _TIOCSTI, then="deny")
    program.add(_IF_EQUAL, _TIOCLINUX, then="deny", otherwise="allow")


def _fcntl(program: _Program) -> None:
    program.load_argument(1)
    program.add(_IF_EQUAL, _F_NOTIFY, then="deny", otherwise="allow")


def _preadv2(program: _Program) -> None:
    program.load_argument(5)
    program.add(_IF_ANY_BIT, _RWF_NOWAIT, then="not-supported", otherwise="allow")


def _personality(program: _Program) -> None:
    program.load_argument(0)
    for value in _PERSONALITIES:
        program.add(_IF_EQUAL, value, then="allow")
    program.add(_JUMP, then="deny")


def _socket(program: _Program) -> None:
    program.load_argument(0)
    program.add(_IF_EQUAL, _AF_UNIX, then="allow")
    program.add(_IF_EQUAL, _AF_NETLINK, then="netlink")
    program.add(_IF_EQUAL, _AF_INET, then="inet")
    program.add(_IF_EQUAL, _AF_INET6, then="inet", otherwise="no-family")
    program.label("netlink")
    program.load_argument(2)
    program.add(_IF_EQUAL, _NETLINK_ROUTE, then="allow", otherwise="no-protocol")
    program.label("inet")
    program.load_argument(2)
    for protocol in _EVERYDAY_PROTOCOLS:
        program.add(_IF_EQUAL, protocol, then="allow")
    program.add(_JUMP, then="no-protocol")


def _socketpair(program: _Program) -> None:
    program.load_argument(0)
    program.add(_IF_EQUAL, _AF_UNIX, then="allow", otherwise="no-family")


def _no_huge_pages(argument: int, flag: int) -> Callable[[_Program], None]:
    def rule(program: _Program) -> None:
        program.load_argument(argument)
        program.add(_IF_ANY_BIT, flag, then="no-memory", otherwise="allow")

    return rule


_ARGUMENT_RULES: Final = {
    "mmap": _no_huge_pages(3, _MAP_HUGETLB),
    "memfd_create": _no_huge_pages(1, _MFD_HUGETLB),
    "shmget": _no_huge_pages(2, _SHM_HUGETLB),
    "clone": _clone,
    "unshare": _unshare,
    "fcntl": _fcntl,
    "preadv2": _preadv2,
    "ioctl": _ioctl,
    "personality": _personality,
    "socket": _socket,
    "socketpair": _socketpair,
}
"""Calls that are judged by their arguments."""
