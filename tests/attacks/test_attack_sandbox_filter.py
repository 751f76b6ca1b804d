"""A job asks for every system call there is, and is told by the kernel itself what became of it.

It puts a filter of its own over the room's and listens to it (seccomp_unotify(2)). Of two filters the strictest
answer counts: what the room's filter denies never comes to the listener, and what comes to it was let through.
The listener answers for the kernel, so no call is ever made, also none that would end the probe.
"""

import json
import os

import pytest

from kifabrik.sandbox import seccomp
from kifabrik.sandbox.syscalls import MACHINES, NEWEST_REVIEWED
from rooms import HAS_ROOMS, python, visit

pytestmark = pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")

MACHINE = os.uname().machine

CLOSED = {
    *("setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount", "fsopen"),
    *("fsconfig", "fsmount", "fspick", "mount_setattr", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp"),
    *("process_madvise", "pidfd_getfd", "inotify_init", "inotify_init1", "inotify_add_watch", "add_key"),
    *("request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter"),
    *("io_uring_register", "io_setup", "fanotify_init", "modify_ldt", "uselib", "_sysctl", "nfsservctl"),
    *("lookup_dcookie", "vhangup", "name_to_handle_at", "open_by_handle_at", "kexec_load", "kexec_file_load"),
    *("init_module", "finit_module", "delete_module", "create_module", "get_kernel_syms", "query_module", "reboot"),
    *("swapon", "swapoff", "quotactl", "quotactl_fd", "acct", "syslog", "iopl", "ioperm", "settimeofday"),
    *("clock_settime", "clock_adjtime", "adjtimex", "cachestat", "memfd_secret"),
}
"""Written down a second time on purpose: whoever opens one of them has to say so here."""

NEVER_FILTERED = {"x86_64": {335, 336}}.get(MACHINE, set())
"""`uretprobe` and `uprobe`: the kernel itself lets them past every filter (kernel/seccomp.c)."""

ASK = """
import ctypes, errno, fcntl, json, os, struct, sys, threading
calls = json.loads(CALLS)
libc = ctypes.CDLL(None, use_errno=True)
MARK, LET_THROUGH, NUMBER = 0x6b696661, errno.EXDEV, 317 if os.uname().machine == 'x86_64' else 277
def rule(*parts): return struct.pack('=HBBI', *parts)
rules = rule(0x20, 0, 0, 16 + 8 * 5) + rule(0x15, 0, 1, MARK)  # the last argument: is this one of ours?
rules += rule(6, 0, 0, 0x7FC00000) + rule(6, 0, 0, 0x7FFF0000)  # SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW
rules = ctypes.create_string_buffer(rules)
program = ctypes.create_string_buffer(struct.pack('=HxxxxxxQ', 4, ctypes.addressof(rules)))
listener, ready = [], threading.Event()
def answer():
    ready.wait()
    while True:
        asked = bytearray(80)
        try: fcntl.ioctl(listener[0], 0xC0502100, asked)  # SECCOMP_IOCTL_NOTIF_RECV
        except FileNotFoundError: continue
        reply = bytearray(struct.pack('=QqiI', *struct.unpack_from('=Q', asked), 0, -LET_THROUGH, 0))
        fcntl.ioctl(listener[0], 0xC0182101, reply)  # SECCOMP_IOCTL_NOTIF_SEND
threading.Thread(target=answer, daemon=True).start()
listener.append(libc.syscall(NUMBER, 1, 8, program))  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER
assert listener[0] >= 0, os.strerror(ctypes.get_errno())
ready.set()
found = []
for number, *arguments in calls:
    arguments = (arguments + [0] * 5)[:5] + [MARK]
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments))
    number = ctypes.get_errno() if result < 0 else 0
    found.append('open' if number == LET_THROUGH else errno.errorcode.get(number, ''))
print(json.dumps(found), flush=True)
os._exit(0)
"""


def asked(calls, scratch, **wishes):
    """Make calls in a room: number and arguments, of which the sixth is taken; return what became of each."""
    seen = visit(python(ASK.replace("CALLS", repr(json.dumps(calls)))), scratch, **wishes)
    assert seen.exit["status"] == 0, seen
    return json.loads(seen.stdout)


def test_every_call_is_open_or_closed_as_written_down_here(tmp_path):
    numbers = MACHINES[MACHINE].numbers
    assert MACHINE != "x86_64" or numbers.keys() >= CLOSED
    closed = {numbers[name] for name in CLOSED if name in numbers}
    every = [number for number in range(NEWEST_REVIEWED + 1) if number not in NEVER_FILTERED]
    judged_by_arguments = {numbers["clone3"], *(numbers[name] for name in ("socket", "socketpair"))}
    found = dict(zip(every, asked([(number,) for number in every], tmp_path), strict=True))
    expected = {number: "EPERM" if number in closed else "open" for number in every}
    assert {n: said for n, said in found.items() if n not in judged_by_arguments} == {
        n: said for n, said in expected.items() if n not in judged_by_arguments
    }
    assert found[numbers["clone3"]] == "ENOSYS"
    # Without the room's filter all of them would reach the kernel, which shows that it is the filter that answers.
    assert set(asked([(number,) for number in sorted(closed)], tmp_path / "open", no_filter=True)) == {"open"}


def test_calls_nobody_has_reviewed_and_those_of_x32_do_not_exist(tmp_path):
    newer = [(number,) for number in (*range(NEWEST_REVIEWED + 1, NEWEST_REVIEWED + 80), 1 << 16, (1 << 30) - 1)]
    if MACHINE == "x86_64":
        newer += [(0x4000_0000 | number,) for number in (*range(NEWEST_REVIEWED + 80), *range(512, 548))]
    assert set(asked(newer, tmp_path / "1")) == {"ENOSYS"}
    assert set(asked(newer, tmp_path / "2", no_filter=True)) == {"open"}


BY_ARGUMENT = {
    "clone into a user namespace": ("EPERM", "clone", 0x1000_0011),
    "clone into a network": ("EPERM", "clone", 0x4000_0011),
    "unshare of time": ("EPERM", "unshare", 0x80),
    "unshare of mounts": ("EPERM", "unshare", 0x20000),
    "typed characters": ("EPERM", "ioctl", 0, 0x5412),
    "typed characters, high bits": ("EPERM", "ioctl", 0, 1 << 32 | 0x5412),
    "a console": ("EPERM", "ioctl", 0, 0x541C),
    "watching a folder": ("EPERM", "fcntl", 3, 1026),
    "no random addresses": ("EPERM", "personality", 0x0040000),
    "the calls of another system": ("EPERM", "personality", 0x4),
    "vsock": ("EAFNOSUPPORT", "socket", 40, 1, 0),
    "vsock, high bits": ("EAFNOSUPPORT", "socket", 1 << 32 | 40, 1, 0),
    "packets": ("EAFNOSUPPORT", "socket", 17, 3, 0),
    "encryption of the kernel": ("EAFNOSUPPORT", "socket", 38, 5, 0),
    "sctp": ("EPROTONOSUPPORT", "socket", 2, 1, 132),
    "sctp, the newer family": ("EPROTONOSUPPORT", "socket", 10, 1, 132),
    "netfilter": ("EPROTONOSUPPORT", "socket", 16, 3, 12),
    "two of vsock": ("EAFNOSUPPORT", "socketpair", 40, 1, 0),
    "huge pages": ("ENOMEM", "mmap", 0, 1 << 21, 3, 0x40022),
    "a file of huge pages": ("ENOMEM", "memfd_create", 0, 4),
    "a segment of huge pages": ("ENOMEM", "shmget", 0, 1 << 21, 0o4600),
}
"""What the kernel answers, then the call and its arguments."""

EVERYDAY = {
    "a thread": ("clone", 0x003D_0F00),
    "a process": ("clone", 17),
    "unshare of files": ("unshare", 0x400),
    "is this a terminal": ("ioctl", 0, 0x5401),
    "locks": ("fcntl", 3, 6),
    "which personality": ("personality", 0xFFFF_FFFF),
    "unix": ("socket", 1, 0o2000001, 0),
    "tcp": ("socket", 2, 1, 6),
    "addresses": ("socket", 16, 3, 0),
    "two of unix": ("socketpair", 1, 1, 0),
    "memory": ("mmap", 0, 4096, 3, 0x22),
    "a file in memory": ("memfd_create", 0, 3),
    "a segment": ("shmget", 0, 4096, 0o1600),
}


def test_calls_are_judged_by_their_arguments(tmp_path):
    numbers = MACHINES[MACHINE].numbers
    refused = [call for _, *call in BY_ARGUMENT.values()]
    calls = [(numbers[name], *arguments) for name, *arguments in (*refused, *EVERYDAY.values())]
    found = dict(zip((*BY_ARGUMENT, *EVERYDAY), asked(calls, tmp_path), strict=True))
    assert {what: found[what] for what in BY_ARGUMENT} == {what: said for what, (said, *_) in BY_ARGUMENT.items()}
    assert {what: found[what] for what in EVERYDAY} == dict.fromkeys(EVERYDAY, "open")


ONE_TAKEN_OUT = """
import ctypes, errno, json, os, struct, sys
given = json.load(open('/data/in/filters'))
libc = ctypes.CDLL(None, use_errno=True)
MARK, NUMBER = 0x6b696661, 317 if os.uname().machine == 'x86_64' else 277
def put_over(rules):
    held = ctypes.create_string_buffer(rules, len(rules))
    program = ctypes.create_string_buffer(struct.pack('=HxxxxxxQ', len(rules) // 8, ctypes.addressof(held)))
    assert libc.syscall(NUMBER, 1, 0, program) == 0, os.strerror(ctypes.get_errno())
def rule(*parts): return struct.pack('=HBBI', *parts)
# SECCOMP_RET_TRACE where nobody traces: the call is not made and ENOSYS comes back. Any errno counts before it.
stop = rule(0x20, 0, 0, 16 + 8 * 5) + rule(0x15, 0, 1, MARK) + rule(6, 0, 0, 0x7FF00000) + rule(6, 0, 0, 0x7FFF0000)
def made(number):
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, [0] * 5 + [MARK]))
    return errno.errorcode[ctypes.get_errno()] if result < 0 else 'made'
for name, rules in given['filters'].items():
    if os.fork() == 0:
        put_over(bytes.fromhex(rules))
        put_over(stop)
        print(json.dumps([name, {other: made(number) for other, number in given['closed'].items()}]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, name
"""


def test_each_closed_call_is_closed_by_its_own_name_in_the_filter_alone(tmp_path, monkeypatch):
    """One name after the other is taken from the table, and the kernel asked again with that filter over a process.

    Neither the kernel's own checks nor another name of the table stand behind any of them: that call is open
    then, all others stay closed, so no name can be lost unseen.
    """
    closed = {name: MACHINES[MACHINE].numbers[name] for name in sorted(CLOSED & MACHINES[MACHINE].numbers.keys())}
    filters = {"": seccomp.room_filter(MACHINE).hex()}
    for name in closed:
        with monkeypatch.context() as patched:
            patched.setattr(seccomp, "_DENIED", tuple(one for one in seccomp._DENIED if one != name))
            filters[name] = seccomp._assemble(MACHINES[MACHINE]).hex()
    data = {"filters": json.dumps({"closed": closed, "filters": filters})}
    seen = visit(python(ONE_TAKEN_OUT), tmp_path, no_filter=True, data=data)
    assert seen.exit["status"] == 0, seen
    found = dict(map(json.loads, seen.stdout.splitlines()))
    assert found == {
        taken: {name: "ENOSYS" if name == taken else "EPERM" for name in closed} for taken in ("", *closed)
    }


RESIDENT = """
import errno, os
file = os.open('/usr/bin/env', os.O_RDONLY)
print(os.preadv(file, [bytearray(4)], 0))
try: os.preadv(file, [bytearray(4)], 0, os.RWF_NOWAIT); print('told')
except BlockingIOError: print('told')
except OSError as error: print(errno.errorcode[error.errno])
"""


def test_nobody_is_told_which_parts_of_shared_files_are_in_memory(tmp_path):
    """Whoever throws a program out of memory and asks for it later learns whether somebody started it."""
    assert visit(python(RESIDENT), tmp_path / "1", no_filter=True).stdout == "4\ntold\n"
    assert visit(python(RESIDENT), tmp_path / "2").stdout == "4\nENOTSUP\n"
