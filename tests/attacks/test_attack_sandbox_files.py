"""A job tries to change its data, the machine's programs and its own walls."""

import pytest

from rooms import HAS_ROOMS, python, visit

pytestmark = pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")


CHANGE = """
import ctypes, fcntl, mmap, os, struct
libc = ctypes.CDLL(None, use_errno=True)
folder, name = FOLDER, NAME
path = f'{folder}/{name}'
def attempt(what, action):
    try: action(); print(what, 'changed')
    except OSError as error: print(what, 'refused')
def checked(result):
    if result < 0: raise OSError(ctypes.get_errno(), '')
def there_and_back():
    os.rename(path, path + '2'); os.rename(path + '2', path)
attempt('write', lambda: open(path, 'r+').write('x'))
attempt('append', lambda: open(path, 'a').write('x' * 9000))
attempt('truncate', lambda: os.truncate(path, 8192))
attempt('chmod', lambda: os.chmod(path, 0o777))
attempt('touch', lambda: os.utime(path))
attempt('rename', there_and_back)
attempt('create', lambda: open(f'{folder}/new', 'w'))
attempt('unnamed', lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR))
attempt('mkdir', lambda: os.mkdir(f'{folder}/folder'))
attempt('symlink', lambda: os.symlink('/', f'{folder}/symlink'))
attempt('fifo', lambda: os.mkfifo(f'{folder}/fifo'))
attempt('link', lambda: os.link(path, f'{folder}/link'))
attempt('link away', lambda: os.link(path, '/out/link'))
attempt('setxattr', lambda: os.setxattr(path, 'user.x', b'1'))
# What can be done with an open file: with one opened for reading, or, should that succeed, opened anew.
file = reader = os.open(path, os.O_RDONLY)
try: file = os.open(f'/proc/self/fd/{reader}', os.O_RDWR); print('reopen changed')
except OSError: print('reopen refused')
attempt('fchmod', lambda: os.fchmod(file, 0o666))
attempt('fchown', lambda: os.fchown(file, -1, os.getgid()))
attempt('futimens', lambda: os.utime(file))
attempt('flags', lambda: fcntl.ioctl(file, 0x40086602, struct.pack('l', 0x80)))  # FS_IOC_SETFLAGS, no atime
attempt('sendfile', lambda: os.sendfile(file, os.open('/out/mine', os.O_RDONLY), 0, 4))
attempt('copy', lambda: os.copy_file_range(os.open('/out/mine', os.O_RDONLY), file, 4, 0, 0))
def splice():
    read, write = os.pipe(); os.write(write, b'xxxx'); os.splice(read, file, 4, offset_dst=0)
attempt('splice', splice)
attempt('punch', lambda: checked(libc.fallocate(file, 3, ctypes.c_long(0), ctypes.c_long(4096))))
attempt('mapped', lambda: mmap.mmap(file, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
libc.mmap.restype = ctypes.c_void_p
address = libc.mmap(None, ctypes.c_size_t(4096), 1, 1, file, ctypes.c_long(0))
attempt('mprotect', lambda: checked(libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), 3)))
attempt('madvise', lambda: checked(libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(4096), 9)))  # MADV_REMOVE
attempt('unlink', lambda: os.unlink(path))
for option in (32, 32 | 4096): # MS_REMOUNT, and MS_BIND
    attempt('remount', lambda: checked(libc.mount(None, folder.encode(), None, ctypes.c_ulong(option), None)))
attempt('unmount', lambda: checked(libc.umount2(folder.encode(), 2)))
attempt('mount over', lambda: checked(libc.mount(b'x', folder.encode(), b'tmpfs', ctypes.c_ulong(0), None)))
"""
WAYS = 31
BY_MOUNTING = {"remount", "unmount", "mount over"}


def probe(folder, name):
    return CHANGE.replace("FOLDER", repr(folder)).replace("NAME", repr(name))


def attempts(folder, name, scratch, **wishes):
    """Try every way; return what came of each, in order, and what the file held before and after."""
    line = 'echo mine >/out/mine; test -e "$F" || echo x >"$F"; cksum <"$F"; python3 -c "$PROBE"; '
    line += 'cksum <"$F" || echo gone'
    probing = {"PROBE": probe(folder, name), "F": f"{folder}/{name}"}
    seen = visit(line, scratch, environment=probing, **wishes)
    before, *lines, after = seen.stdout.splitlines()
    return [tuple(said.rsplit(" ", 1)) for said in lines], before == after, seen


@pytest.mark.parametrize("without_filter", [False, True])
def test_data_cannot_be_changed_in_any_way(tmp_path, without_filter):
    wishes = {"open_data": True, "no_filter": without_filter}
    tried, same, seen = attempts("/data/in", "greeting.txt", tmp_path, **wishes)
    assert {result for _, result in tried} == {"refused"}, seen
    assert (len(tried), same) == (WAYS, True)


def test_the_same_attempts_succeed_where_writing_is_allowed(tmp_path):
    tried, _, seen = attempts("/work", "mine", tmp_path)
    refused = {way for way, result in tried if result == "refused"}
    assert refused == BY_MOUNTING | {"link away"}, seen  # another mount
    assert len(tried) == WAYS


@pytest.mark.parametrize("without_filter", [False, True])
def test_data_stays_read_only_for_an_ordinary_users_room(open_scratch, without_filter):
    """There the job's user owns the files outside; the mount alone protects them."""
    tried, same, seen = attempts("/data/in", "greeting.txt", open_scratch, as_nobody=True, no_filter=without_filter)
    assert {result for _, result in tried} == {"refused"}, seen
    assert (len(tried), same) == (WAYS, True)


def test_a_private_copy_of_data_in_memory_is_not_the_data(tmp_path):
    """Writing through /proc/self/mem ignores page protection, as Dirty COW did; it must hit a copy."""
    probe = """
import ctypes, os
libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
for flags in (1, 2):
    file = os.open('/data/in/greeting.txt', os.O_RDONLY)
    place = libc.mmap(None, ctypes.c_size_t(4096), 1, flags, file, ctypes.c_long(0))
    try:
        memory = os.open('/proc/self/mem', os.O_RDWR); os.pwrite(memory, b'HELLO', place); print('written')
    except OSError: print('refused')
print(open('/data/in/greeting.txt').read())
"""
    assert visit(python(probe), tmp_path).stdout == "refused\nrefused\nhello\n"
    open_proc = visit(python(probe), tmp_path / "2", without=[["--remount-ro", "/proc"]])
    assert open_proc.stdout == "refused\nwritten\nhello\n"


@pytest.mark.parametrize(
    "folder", ["/", "/usr", "/usr/bin", "/etc", "/run/room", "/dev", "/home", "/data", "/proc", "/sys"]
)
def test_the_walls_of_the_room_cannot_be_written(tmp_path, folder):
    seen = visit(f"touch {folder}/x || mkdir {folder}/y; rm -f /etc/passwd /run/room/init; echo $?", tmp_path)
    assert seen.stdout == "1\n"
    assert seen.stderr.count("\n") == 4


def test_programs_of_the_machine_cannot_be_replaced_through_a_running_one(tmp_path):
    """As CVE-2019-5736 did to runc: open the running file by /proc and write to it."""
    attempt = """
import os
for path in ('/proc/self/exe', '/usr/bin/env', '/run/room/init'):
    try: os.open(path, os.O_WRONLY); print('opened')
    except OSError: print('refused')
"""
    assert visit(python(attempt), tmp_path).stdout == "refused\n" * 3
