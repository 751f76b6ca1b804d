"""A job turns to the kernel: namespaces, other processes, keyrings, mounts, sockets, broken interfaces.

Each probe is first run outside by an ordinary user, where it succeeds as far as this machine allows.
"""

import os
import socket
import threading

import pytest

from rooms import HAS_ROOMS, calling, outside, python, visit

pytestmark = pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")


def answers(text):
    """Read `name result` lines."""
    return dict(line.split(" ", 1) for line in text.splitlines())


def both(probe, scratch):
    """Run a probe outside and inside."""
    return answers(outside(calling(probe))), answers(visit(python(calling(probe)), scratch).stdout)


def test_no_namespace_can_be_made_or_joined(tmp_path):
    probe = """
def child(name, *arguments):
    pid = os.fork()
    if pid == 0:
        call(name, *arguments); os._exit(0)
    os.waitpid(pid, 0)
child('unshare', 0x10000000)
child('setns', os.open('/proc/self/ns/uts', os.O_RDONLY), 0)
"""
    plain, inside = both(probe, tmp_path)
    assert plain["unshare"] == "ok"
    assert inside == {"unshare": "EPERM", "setns": "EPERM"}


def test_clone_with_a_namespace_is_denied_and_clone3_does_not_exist(tmp_path):
    probe = """
pid = call('clone', 0x10000000 | 17, 0, 0, 0, 0)
if pid == 0: os._exit(0)
args = (ctypes.c_ulong * 11)(0x10000000, 0, 0, 0, 17)
pid = call('clone3', ctypes.byref(args), ctypes.sizeof(args))
if pid == 0: os._exit(0)
"""
    # Outside, each call makes a child that prints as well, and the two may write into each other's line.
    plain = outside(calling(probe))
    assert plain.count("clone3") == 2
    assert plain.count("ok") == 4
    assert answers(visit(python(calling(probe)), tmp_path).stdout) == {"clone": "EPERM", "clone3": "ENOSYS"}


def test_user_namespaces_stay_closed_without_the_filter(tmp_path):
    """The second lock: bubblewrap's --disable-userns leaves no namespace to be had."""
    probe = "call('unshare', 0x10000000)"
    locked = visit(python(calling(probe)), tmp_path / "1", no_filter=True)
    assert locked.stdout == "unshare ENOSPC\n"
    open_room = visit(python(calling(probe)), tmp_path / "2", no_filter=True, without=[["--disable-userns"]])
    assert open_room.stdout == "unshare ok\n"


def test_without_the_filter_the_other_walls_stand(tmp_path):
    """What the filter denies is denied a second time to a process without capabilities, where that can be."""
    probe = """
call('mount', b'x', b'/tmp', b'tmpfs', 0, 0)
call('umount2', b'/data/in', 2)
call('pivot_root', b'/tmp', b'/tmp')
call('chroot', b'/tmp')
call('setns', os.open('/proc/self/ns/net', os.O_RDONLY), 0)
call('unshare', 0x20000)
call('fsopen', b'tmpfs', 0)
call('syslog', 3, ctypes.create_string_buffer(100), 100)
call('clock_settime', 0, (ctypes.c_long * 2)(0, 0))
call('open_by_handle_at', os.open('/usr', os.O_RDONLY), ctypes.create_string_buffer(b'\\x08' + bytes(100)), 0)
call('reboot', 0, 0, 0, 0)
call('fanotify_init', 0, 0)
"""
    inside = answers(visit(python(calling(probe)), tmp_path, no_filter=True).stdout)
    assert set(inside.values()) == {"EPERM"}, inside


def test_a_filter_of_the_jobs_own_lifts_nothing(tmp_path):
    """Of several filters the strictest answer counts (seccomp(2))."""
    probe = """
import struct
number = 317 if os.uname().machine == 'x86_64' else 277
rules = ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(struct.pack('=HxxxxxxQ', 1, ctypes.addressof(rules)))
print('filter', 'ok' if libc.syscall(number, 1, 0, program) == 0 else errno.errorcode[ctypes.get_errno()])
call('keyctl', 0, ctypes.c_long(-3), 1)
"""
    inside = answers(visit(python(calling(probe)), tmp_path).stdout)
    assert inside == {"filter": "ok", "keyctl": "EPERM"}


def test_other_processes_cannot_be_traced_or_read(tmp_path):
    probe = """
import time
child = os.fork()
if child == 0: time.sleep(5); os._exit(0)
buffer = ctypes.create_string_buffer(8)
local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
call('process_vm_readv', child, local, 1, local, 1, 0)
call('process_vm_writev', child, local, 1, local, 1, 0)
call('kcmp', os.getpid(), child, 0, 0, 0)
call('pidfd_getfd', os.pidfd_open(child), 1, 0)
call('ptrace', 16, child, 0, 0)
os.kill(child, 9)
"""
    plain, inside = both(probe, tmp_path)
    assert set(plain.values()) == {"ok"}
    assert set(inside.values()) == {"EPERM"}


def test_keyrings_are_closed(tmp_path):
    probe = """
call('add_key', b'user', b'remnant', b'secret', 6, ctypes.c_long(-3))
call('keyctl', 0, ctypes.c_long(-3), 1)
call('request_key', b'user', b'remnant', 0, 0)
"""
    plain, inside = both(probe, tmp_path)
    assert "ok" in plain.values()
    assert set(inside.values()) == {"EPERM"}


def test_large_kernel_interfaces_are_closed(tmp_path):
    probe = """
parameters = ctypes.create_string_buffer(120)
call('io_uring_setup', 4, parameters)
call('userfaultfd', 1)
call('bpf', 0, parameters, 120)
call('perf_event_open', parameters, 0, ctypes.c_long(-1), ctypes.c_long(-1), 0)
call('fanotify_init', 0x200, 0)
call('name_to_handle_at', ctypes.c_long(-100), b'/usr', parameters, parameters, 0)
call('open_by_handle_at', 3, parameters, 0)
call('personality', 0x0040000)
call('syslog', 3, parameters, 100)
call('io_setup', 1, ctypes.byref(ctypes.c_ulong(0)))
"""
    plain, inside = both(probe, tmp_path)
    assert plain["io_setup"] == plain["io_uring_setup"] == plain["userfaultfd"] == plain["personality"] == "ok"
    assert set(inside.values()) == {"EPERM"}


def test_no_reserve_of_the_machine_can_be_drawn_on(tmp_path):
    """Huge pages that the operator has set aside are counted for no run."""
    probe = """
libc.syscall.restype = ctypes.c_long
call('memfd_create', b'x', 4)  # MFD_HUGETLB
call('mmap', 0, 1 << 21, 3, 0x22 | 0x40000 | 0x4000, ctypes.c_long(-1), 0)  # MAP_HUGETLB, MAP_NORESERVE
call('shmget', 0, 1 << 21, 0o1600 | 0o4000)  # SHM_HUGETLB
"""
    plain, inside = both(probe, tmp_path)
    assert plain["memfd_create"] == plain["mmap"] == "ok"
    assert inside == dict.fromkeys(("memfd_create", "mmap", "shmget"), "ENOMEM")


def test_nothing_in_proc_or_sys_can_be_written(tmp_path):
    """Among it core_pattern, sysrq-trigger, oom_score_adj, the kernel's parameters, triggers on its pressure."""
    probe = """
import os, stat
opened = set()
for top in ('/proc', '/sys'):
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in ('self', 'thread-self', 'fd', 'task', 'map_files')]
        for name in files:
            path = f'{folder}/{name}'
            try:
                if stat.S_ISREG(os.stat(path).st_mode): os.close(os.open(path, os.O_WRONLY)); opened.add(name)
            except OSError: pass
print(sorted(opened))
"""
    plain = visit(python(probe), tmp_path / "1", without=[["--remount-ro", "/proc"]])
    assert "'oom_score_adj'" in plain.stdout
    assert visit(python(probe), tmp_path / "2").stdout == "[]\n"


def test_mounts_cannot_be_changed_by_either_interface(tmp_path):
    probe = """
call('mount', 0, b'/data/in', 0, 32 | 4096, 0)
call('mount', b'x', b'/tmp', b'tmpfs', 0, 0)
call('umount2', b'/data/in', 2)
call('open_tree', ctypes.c_long(-100), b'/data/in', 1)
call('mount_setattr', ctypes.c_long(-100), b'/data/in', 0, (ctypes.c_uint64 * 4)(0, 1), 32)
call('fsopen', b'tmpfs', 0)
call('move_mount', 0, b'', 0, b'/tmp', 4)
call('pivot_root', b'/tmp', b'/tmp')
call('chroot', b'/tmp')
"""
    inside = answers(visit(python(calling(probe)), tmp_path).stdout)
    assert set(inside.values()) == {"EPERM"}
    assert len(inside) == 8


def test_the_clock_and_the_machine_cannot_be_touched(tmp_path):
    probe = """
time = (ctypes.c_long * 2)(0, 0)
call('clock_settime', 0, time)
call('settimeofday', time, 0)
call('reboot', 0, 0, 0, 0)
call('swapon', b'/dev/sda', 0)
call('swapoff', b'/dev/sda')
call('adjtimex', ctypes.create_string_buffer(b'\\x01' + bytes(300)))
call('acct', b'/tmp/log')
call('init_module', 0, 0, b'')
call('kexec_load', 0, 0, 0, 0)
for path in ('/proc/sys/kernel/hostname', '/proc/sys/vm/drop_caches', '/proc/sysrq-trigger',
             '/sys/devices/system/cpu/cpu0/online'):
    try: open(path, 'w').write('1'); print(path, 'ok')
    except OSError as error: print(path, 'EPERM' if error.errno in (1, 2, 13, 30) else error)
try: os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0)); print('mknod ok')
except PermissionError: print('mknod EPERM')
"""
    inside = answers(visit(python(calling(probe)), tmp_path).stdout)
    assert set(inside.values()) == {"EPERM"}, inside


def test_the_32_bit_interface_kills(tmp_path):
    """`int 0x80` reaches the calls of i386, whose numbers the filter does not speak about."""
    probe = """
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex('b8140000 00cd80c3'))  # mov eax, 20 (getpid); int 0x80; ret
run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
print('pid', run() > 0)
"""
    if os.uname().machine != "x86_64":
        pytest.skip("an interface of x86_64")
    if "pid True" not in outside(calling(probe)):
        pytest.skip("this kernel has no 32-bit interface")
    seen = visit(python(calling(probe)), tmp_path)
    assert (seen.stdout, seen.exit["signal"]) == ("", 31)  # SIGSYS


@pytest.fixture
def listeners():
    """Servers of the machine outside: TCP, UDP, and an abstract unix socket."""
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        abstract.bind("\0kifabrik-test")
        abstract.listen()
        yield tcp, udp


def test_nothing_outside_can_be_reached_by_any_network(tmp_path, listeners):
    tcp, udp = listeners
    probe = f"""
import socket
def attempt(name, action):
    try: action(); print(name, 'reached')
    except OSError as error: print(name, 'unreachable')
attempt('tcp', lambda: socket.create_connection(('127.0.0.1', {tcp.getsockname()[1]}), 1))
def datagram():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
    s.connect(('127.0.0.1', {udp.getsockname()[1]})); s.send(b'x'); s.recv(1)
attempt('udp', datagram)
def abstract(): socket.socket(socket.AF_UNIX).connect('\\0kifabrik-test')
attempt('abstract', abstract)
def internet(): s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.1', 9)); s.send(b'x')
attempt('route', internet)
attempt('dns', lambda: socket.getaddrinfo('example.org', 80))
attempt('ipv6', lambda: socket.create_connection(('2001:db8::1', 9), 1))
"""

    def echo():
        _, sender = udp.recvfrom(1)
        udp.sendto(b"y", sender)

    threading.Thread(target=echo, daemon=True).start()
    plain = answers(outside(probe))
    assert plain["tcp"] == plain["udp"] == plain["abstract"] == "reached"
    inside = answers(visit(python(probe), tmp_path).stdout)
    assert inside == dict.fromkeys(("tcp", "udp", "abstract", "route", "dns", "ipv6"), "unreachable")


def test_only_everyday_socket_families_exist(tmp_path):
    probe = """
families = [('netfilter', 16, 3, 12), ('uevent', 16, 3, 15), ('sctp', 2, 1, 132), ('icmp', 2, 2, 1),
            ('raw', 2, 3, 255), ('raw6', 10, 3, 58)]
# among them alg 38, packet 17, bluetooth 31, can 29, vsock 40, xdp 44
families += [(f'family{n}', n, kind, 0) for n in range(64) for kind in (1, 2, 3, 5) if n not in (1, 2, 10, 16)]
for name, family, kind, protocol in families:
    number = libc.socket(family, kind, protocol)
    print(name, 'ok' if number >= 0 else errno.errorcode[ctypes.get_errno()])
import socket
print('addresses', len(socket.if_nameindex()))
"""
    plain, inside = both(probe, tmp_path)
    assert plain["uevent"] == "ok"
    assert len(inside) > 60
    assert set(inside.values()) == {"EAFNOSUPPORT", "EPROTONOSUPPORT", "1"}


def test_the_rooms_own_network_cannot_be_changed(tmp_path):
    """Netlink is open for asking; without capabilities no address, route or device comes of it."""
    probe = """
import socket, struct
def ask(name, kind, body):
    s = socket.socket(16, 3, 0); s.send(struct.pack('=IHHII', 16 + len(body), kind, 5, 1, 0) + body)
    print(name, errno.errorcode.get(-struct.unpack_from('=i', s.recv(4096), 16)[0], 'ok'))
ask('link', 16, bytes(16))
ask('address', 20, struct.pack('=BBBBI', 2, 24, 0, 0, 1) + struct.pack('=HH4s', 8, 2, bytes([10, 0, 0, 1])))
ask('route', 24, struct.pack('=BBBBBBBBI', 2, 0, 0, 0, 254, 4, 0, 1, 0))
for name, request in (('up', 0x8914), ('rename', 0x8923)):
    try:
        import fcntl; fcntl.ioctl(socket.socket(), request, b'lo'.ljust(40, b'\\1')); print(name, 'ok')
    except OSError as error: print(name, errno.errorcode[error.errno])
try: socket.socket(2, 3, 6); print('raw ok')
except OSError as error: print('raw', errno.errorcode[error.errno])
try: socket.socket().setsockopt(1, 36, 1); print('mark ok')
except OSError as error: print('mark', errno.errorcode[error.errno])
"""
    inside = answers(visit(python(calling(probe)), tmp_path).stdout)
    assert len(inside) == 7
    assert set(inside.values()) == {"EPERM"}, inside


def test_terminal_input_cannot_be_forged(tmp_path):
    probe = """
for number in (0x5412, 0x541C, 0x5412 | 1 << 32):
    text = ctypes.c_char_p(b'x')
    libc.syscall(ctypes.c_long(numbers['ioctl']), ctypes.c_long(1), ctypes.c_ulong(number), text)
    print(hex(number), errno.errorcode[ctypes.get_errno()])
"""
    plain, inside = both(probe, tmp_path)
    assert set(plain.values()) == {"ENOTTY"}
    assert set(inside.values()) == {"EPERM"}
