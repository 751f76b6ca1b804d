"""Numbers of the system calls the filter speaks about, per machine.

Sources: `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h` (which arm64
uses) of Linux 6.18. From 424 on the numbers are the same on every machine. The tests compare the tables
with the kernel headers of the machine they run on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

NEWEST_REVIEWED: Final = 469
"""`file_setattr`, the last call of Linux 6.18. Later calls do not exist in the room until somebody has
looked at them and raised this number."""


class AuditArch(IntEnum):
    """How the kernel names the machine to a filter: `include/uapi/linux/audit.h`."""

    X86_64 = 0xC000_003E
    AARCH64 = 0xC000_00B7


@dataclass(frozen=True)
class Machine:
    """A kind of processor.

    Args:
        audit_arch: What the kernel puts into `seccomp_data.arch`.
        numbers: System call by name; a call that this machine never had is not in it.
        foreign_bit: Bit of the number that marks calls of a second binary interface, or 0.
    """

    audit_arch: AuditArch
    numbers: Mapping[str, int]
    foreign_bit: int = 0


_COMMON: Final = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "cachestat": 451,
    "open_tree_attr": 467,
}

_X86_64: Final = {
    "mmap": 9,
    "ioctl": 16,
    "shmget": 29,
    "socket": 41,
    "socketpair": 53,
    "clone": 56,
    "fcntl": 72,
    "ptrace": 101,
    "syslog": 103,
    "uselib": 134,
    "personality": 135,
    "vhangup": 153,
    "modify_ldt": 154,
    "pivot_root": 155,
    "_sysctl": 156,
    "adjtimex": 159,
    "chroot": 161,
    "acct": 163,
    "settimeofday": 164,
    "mount": 165,
    "umount2": 166,
    "swapon": 167,
    "swapoff": 168,
    "reboot": 169,
    "iopl": 172,
    "ioperm": 173,
    "create_module": 174,
    "init_module": 175,
    "delete_module": 176,
    "get_kernel_syms": 177,
    "query_module": 178,
    "quotactl": 179,
    "nfsservctl": 180,
    "io_setup": 206,
    "lookup_dcookie": 212,
    "clock_settime": 227,
    "kexec_load": 246,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "inotify_init": 253,
    "inotify_add_watch": 254,
    "unshare": 272,
    "inotify_init1": 294,
    "perf_event_open": 298,
    "fanotify_init": 300,
    "name_to_handle_at": 303,
    "open_by_handle_at": 304,
    "clock_adjtime": 305,
    "setns": 308,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "kcmp": 312,
    "finit_module": 313,
    "memfd_create": 319,
    "kexec_file_load": 320,
    "bpf": 321,
    "userfaultfd": 323,
    "preadv2": 327,
}

_AARCH64: Final = {
    "io_setup": 0,
    "lookup_dcookie": 18,
    "fcntl": 25,
    "inotify_init1": 26,
    "inotify_add_watch": 27,
    "ioctl": 29,
    "umount2": 39,
    "mount": 40,
    "pivot_root": 41,
    "nfsservctl": 42,
    "chroot": 51,
    "vhangup": 58,
    "quotactl": 60,
    "acct": 89,
    "personality": 92,
    "unshare": 97,
    "kexec_load": 104,
    "init_module": 105,
    "delete_module": 106,
    "clock_settime": 112,
    "syslog": 116,
    "ptrace": 117,
    "reboot": 142,
    "settimeofday": 170,
    "adjtimex": 171,
    "shmget": 194,
    "socket": 198,
    "socketpair": 199,
    "add_key": 217,
    "request_key": 218,
    "keyctl": 219,
    "clone": 220,
    "mmap": 222,
    "swapon": 224,
    "swapoff": 225,
    "perf_event_open": 241,
    "fanotify_init": 262,
    "name_to_handle_at": 264,
    "open_by_handle_at": 265,
    "clock_adjtime": 266,
    "setns": 268,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "kcmp": 272,
    "finit_module": 273,
    "memfd_create": 279,
    "bpf": 280,
    "userfaultfd": 282,
    "preadv2": 286,
    "kexec_file_load": 294,
}

MACHINES: Final[Mapping[str, Machine]] = {
    "x86_64": Machine(AuditArch.X86_64, _X86_64 | _COMMON, foreign_bit=0x4000_0000),  # __X32_SYSCALL_BIT
    "aarch64": Machine(AuditArch.AARCH64, _AARCH64 | _COMMON),
}
"""By the name `uname -m` gives."""
