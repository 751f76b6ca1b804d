"""The system call filter, judged by an interpreter of classic BPF written for this test."""

import errno
import re
import struct
from pathlib import Path

import pytest

from kifabrik.errors import UnavailableError
from kifabrik.sandbox.seccomp import _DENIED, room_filter
from kifabrik.sandbox.syscalls import MACHINES, NEWEST_REVIEWED

ALLOW = "allow"
KILL = "kill"
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
CLONE_NEWUSER = 0x1000_0000
machines = pytest.mark.parametrize("machine", sorted(MACHINES))


def judge(machine, name, *arguments, arch=None):
    """Run the filter on one call, as the kernel does: Documentation/networking/filter.rst."""
    known = MACHINES[machine]
    number = known.numbers.get(name, name)
    data = struct.pack("=II", number, arch or known.audit_arch) + bytes(8)
    data += b"".join(struct.pack("=Q", value & (1 << 64) - 1) for value in arguments).ljust(48, b"\0")
    program = list(struct.iter_unpack("=HBBI", room_filter(machine)))
    accumulator, place = 0, 0
    while True:
        code, then, otherwise, value = program[place]
        place += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x05:
            place += value
        elif code in {0x15, 0x25, 0x45}:
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x45: bool(accumulator & value)}[code]
            place += then if holds else otherwise
        elif code == 0x06:
            if value == 0x7FFF_0000:
                return ALLOW
            return KILL if value == 0x8000_0000 else value & 0xFFFF
        else:
            raise AssertionError(hex(code))


@machines
def test_numbers_are_those_of_the_kernel_headers(machine):
    if not HEADERS[machine].exists():
        pytest.skip("no kernel headers")
    listed = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
        if name != "syscalls"  # how many there are
    }
    newer_than_headers = {
        name for name, number in MACHINES[machine].numbers.items() if number > max(listed.values())
    }
    assert newer_than_headers <= {"open_tree_attr", "cachestat"}
    for name, number in MACHINES[machine].numbers.items():
        if name not in newer_than_headers:
            assert listed[name] == number, name


@machines
def test_every_denied_call_is_known_to_the_table_or_absent_from_the_machine(machine):
    only_x86 = {"uselib", "modify_ldt", "_sysctl", "iopl", "ioperm"}
    only_x86 |= {"inotify_init", "create_module", "get_kernel_syms", "query_module"}
    missing = set(_DENIED) - MACHINES[machine].numbers.keys()
    assert missing == (only_x86 if machine == "aarch64" else set())


@machines
@pytest.mark.parametrize("name", _DENIED)
def test_a_denied_call_is_not_permitted(machine, name):
    if name in MACHINES[machine].numbers:
        assert judge(machine, name) == errno.EPERM


@machines
def test_ordinary_calls_are_allowed(machine):
    spoken_about = set(MACHINES[machine].numbers.values())
    for number in range(NEWEST_REVIEWED + 1):
        if number not in spoken_about:
            assert judge(machine, number) == ALLOW


@machines
def test_calls_nobody_has_reviewed_do_not_exist(machine):
    assert judge(machine, NEWEST_REVIEWED + 1) == errno.ENOSYS
    assert judge(machine, 0xFFFF_FFFF) == errno.ENOSYS


def test_the_x32_interface_does_not_exist():
    assert judge("x86_64", 0x4000_0000 | MACHINES["x86_64"].numbers["ptrace"]) == errno.ENOSYS
    assert judge("x86_64", 0x4000_0000) == errno.ENOSYS


@machines
def test_another_machines_interface_kills(machine):
    assert judge(machine, 0, arch=0x4000_0003) == KILL  # AUDIT_ARCH_I386


@machines
def test_clone_makes_threads_and_processes_but_no_namespaces(machine):
    threads = 0x003D_0F00  # what pthread_create passes
    assert judge(machine, "clone", threads) == ALLOW
    assert judge(machine, "clone", 17) == ALLOW  # fork: SIGCHLD
    for flag in (0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, CLONE_NEWUSER, 0x2000_0000, 0x4000_0000):
        assert judge(machine, "clone", threads | flag) == errno.EPERM
        assert judge(machine, "unshare", flag) == errno.EPERM
    assert judge(machine, "unshare", 0x80) == errno.EPERM
    assert judge(machine, "unshare", 0x400) == ALLOW  # CLONE_FILES
    assert judge(machine, "clone3") == errno.ENOSYS


@machines
@pytest.mark.parametrize("high", [0, 1 << 32, 0xFFFF_FFFF << 32])
def test_terminal_input_cannot_be_forged_whatever_the_high_bits(machine, high):
    assert judge(machine, "ioctl", 0, 0x5412 | high) == errno.EPERM
    assert judge(machine, "ioctl", 0, 0x541C | high) == errno.EPERM
    assert judge(machine, "ioctl", 0, 0x5401 | high) == ALLOW  # TCGETS, by which Python asks for a terminal


@machines
def test_only_everyday_sockets_exist(machine):
    for family in range(64):
        verdict = judge(machine, "socket", family, 1, 0)
        assert verdict == (ALLOW if family in {1, 2, 10, 16} else errno.EAFNOSUPPORT), family
    assert judge(machine, "socket", 40 | 1 << 32, 1, 0) == errno.EAFNOSUPPORT  # vsock
    for family in (2, 10):
        assert [judge(machine, "socket", family, 1, number) for number in (6, 17)] == [ALLOW, ALLOW]
        assert judge(machine, "socket", family, 1, 132) == errno.EPROTONOSUPPORT  # SCTP
    assert judge(machine, "socket", 16, 3, 0) == ALLOW  # NETLINK_ROUTE
    assert judge(machine, "socket", 16, 3, 12) == errno.EPROTONOSUPPORT  # NETLINK_NETFILTER
    assert judge(machine, "socketpair", 1) == ALLOW
    assert judge(machine, "socketpair", 40) == errno.EAFNOSUPPORT


@machines
def test_folders_cannot_be_watched_by_fcntl(machine):
    assert judge(machine, "fcntl", 3, 1026, 0x8000_0001) == errno.EPERM
    assert [judge(machine, "fcntl", 3, command) for command in (1, 3, 6, 1030, 1033)] == [ALLOW] * 5


@machines
@pytest.mark.parametrize("high", [0, 1 << 32])
def test_memory_comes_from_no_reserve_of_huge_pages(machine, high):
    assert judge(machine, "mmap", 0, 4096, 3, 0x22, 0, 0) == ALLOW  # MAP_PRIVATE | MAP_ANONYMOUS
    for size in (0, 21 << 26, 30 << 26):  # MAP_HUGE_2MB, MAP_HUGE_1GB
        assert judge(machine, "mmap", 0, 4096, 3, 0x40022 | size | high, 0, 0) == errno.ENOMEM
    assert (judge(machine, "memfd_create", 0, 1), judge(machine, "memfd_create", 0, 5)) == (ALLOW, errno.ENOMEM)
    assert (judge(machine, "shmget", 0, 1, 0o1666), judge(machine, "shmget", 0, 1, 0o5666)) == (ALLOW, errno.ENOMEM)


@machines
@pytest.mark.parametrize("high", [0, 1 << 32])
def test_no_read_asks_for_what_is_in_memory_alone(machine, high):
    assert judge(machine, "preadv2", 3, 0, 1, 0, 0, 8 | high) == errno.EOPNOTSUPP
    assert judge(machine, "preadv2", 3, 0, 1, 8, 8, 1) == ALLOW  # RWF_HIPRI


@machines
def test_personality_may_only_be_asked_for(machine):
    assert judge(machine, "personality", 0xFFFF_FFFF) == ALLOW
    assert judge(machine, "personality", 0) == ALLOW
    assert judge(machine, "personality", 0x0040_0000) == errno.EPERM  # ADDR_NO_RANDOMIZE


def test_a_machine_without_a_table_is_refused():
    with pytest.raises(UnavailableError, match="riscv64"):
        room_filter("riscv64")
