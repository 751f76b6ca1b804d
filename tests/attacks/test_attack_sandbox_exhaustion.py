"""A job takes all it can get: memory, processes, files, disk; and the machine goes on."""

import subprocess

import pytest

from rooms import HAS_ROOMS, alive, python, visit

pytestmark = pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")


@pytest.mark.parametrize(
    ("folder", "limit"),
    [
        ("/out", 8 << 20),
        ("/checkpoint", 8 << 20),
        ("/work", 8 << 20),
        ("/tmp", 1 << 20),
        ("/dev/shm", 1 << 20),
        ("/home/job", 1 << 20),
    ],
)
def test_every_writable_folder_is_bounded(tmp_path, folder, limit):
    fill = f"""
import errno, os
written = 0
with open('{folder}/fill', 'wb', buffering=0) as file:
    try:
        while written < 64 << 20: written += file.write(bytes(1 << 16))
    except OSError as error: print(errno.errorcode[error.errno], written <= {limit})
"""
    seen = visit(python(fill), tmp_path, memory_size=8 << 20)
    assert seen.stdout == "ENOSPC True\n", seen


def test_the_number_of_files_is_bounded(tmp_path):
    fill = """
import errno
try:
    for number in range(40000): open(f'/out/{number}', 'w').close()
except OSError as error: print(errno.errorcode[error.errno])
"""
    assert visit(python(fill), tmp_path, memory_size=8 << 20).stdout == "ENOSPC\n"


def test_the_rooms_own_filesystem_takes_nothing(tmp_path):
    seen = visit("for f in / /var /run /etc /data /home; do echo x > $f/fill; done; true", tmp_path)
    assert seen.stderr.count("\n") == 6


def test_a_fork_bomb_ends_at_the_limit_and_leaves_nothing(tmp_path):
    bomb = """
import os, time
while True:
    try: os.fork()
    except BlockingIOError: break
if os.getppid() != int(os.environ['SHELL_PID']): time.sleep(30)
time.sleep(0.5)
print('bounded', len([name for name in os.listdir('/proc') if name.isdigit()]))
"""
    seen = visit('SHELL_PID=$$ python3 -c "$BOMB"; true', tmp_path, environment={"BOMB": bomb}, limits={"pids": 40})
    word, count = seen.stdout.split()
    assert (word, 30 < int(count) <= 44) == ("bounded", True), seen
    assert alive(seen.uid) == []
    assert subprocess.run(["true"], check=True).returncode == 0


def test_a_memory_bomb_is_stopped_and_reported(tmp_path):
    seen = visit(
        python("x = [bytearray(b'x' * (1 << 20)) for _ in range(4096)]"),
        tmp_path,
        limits={"memory_bytes": 64 << 20},
    )
    assert seen.exit["oom"]
    assert seen.exit["signal"] == 9
    assert seen.exit["peak_memory_bytes"] <= 64 << 20


def test_memory_hidden_in_files_counts_too(tmp_path):
    """Anonymous files and shared segments lie in no mounted filesystem, but in the group's memory."""
    hide = """
import os
file = os.memfd_create('hidden')
for _ in range(512): os.write(file, b'x' * (1 << 20))
print('hidden')
"""
    seen = visit(python(hide), tmp_path, limits={"memory_bytes": 64 << 20})
    assert (seen.stdout, seen.exit["oom"]) == ("", True)


def test_the_number_of_open_files_is_bounded(tmp_path):
    hoard = """
import errno, os, resource
files = []
try:
    while len(files) < 5000: files.append(os.open('/dev/null', os.O_RDONLY))
except OSError as error: print(errno.errorcode[error.errno], len(files) < 200)
os.close(files.pop())
try: resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000)); print('raised')
except ValueError: print('refused')
"""
    assert visit(python(hoard), tmp_path, limits={"open_files": 200}).stdout == "EMFILE True\nrefused\n"


def test_processor_time_is_bounded_by_the_share(tmp_path):
    """Two busy processes with a tenth of a processor get a tenth of the time that passes, not two."""
    burn = """
import os, time
start = time.monotonic()
if os.fork() == 0: os.environ['x'] = '1'
while time.monotonic() - start < 1.0: pass
print(round(time.process_time(), 3))
"""
    seen = visit(python(burn), tmp_path, limits={"cpus": 0.1})
    assert seen.exit["cpu_seconds"] < 0.5


def test_limits_cannot_be_raised_from_inside(tmp_path):
    probe = """
import resource, os
try: resource.setrlimit(resource.RLIMIT_CORE, (2, 2)); print('raised')
except ValueError: print('refused')
try: os.nice(-5); print('raised')
except PermissionError: print('refused')
try: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); print('raised')
except PermissionError: print('refused')
try: os.write(os.open('/proc/self/oom_score_adj', os.O_WRONLY), b'-500'); print('raised')
except PermissionError: print('refused')
print(open('/proc/self/oom_score_adj').read().strip(), open('/proc/self/cgroup').read().count('kifabrik'))
"""
    assert visit(python(probe), tmp_path).stdout == "refused\n" * 4 + "500 0\n"
