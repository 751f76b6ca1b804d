"""A job takes all it can get: memory, processes, files, disk; and the machine goes on."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kifabrik.sandbox.hierarchies import find_hierarchies
from living_trees import folders_below
from players import eventually
from rooms import FIRST_UID, HAS_ROOMS, alive, launcher, python, visit

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


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/home/job"])
def test_empty_files_count_as_memory(tmp_path, folder):
    """They take no byte of the file system, but a kilobyte of the kernel each."""
    fill = f"""
import itertools
try:
    for number in itertools.count(): open(f'{folder}/{{number}}', 'w').close()
except OSError: print('full')
"""
    seen = visit(python(fill), tmp_path, limits={"memory_bytes": 24 << 20})
    assert seen.stdout == "full\n" or seen.exit["oom"]


def test_no_disk_can_be_written(tmp_path):
    probe = """
for line in open('/proc/self/mountinfo'):
    place, options, *_, kind, source, _ = line.split()[4:]
    if 'rw' in options.split(','): print(place, kind)
"""
    writable = dict(line.split() for line in visit(python(probe), tmp_path).stdout.splitlines())
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")}
    folders = {"/tmp", "/dev/shm", "/home/job", "/out", "/checkpoint", "/work"}
    assert writable == dict.fromkeys(devices, "devtmpfs") | dict.fromkeys(folders, "tmpfs")


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


HOARD_IN_SOCKETS = """
import socket
server, kept, written = socket.create_server(('127.0.0.1', 0)), [], 0
for _ in range(60):
    one = socket.create_connection(server.getsockname())
    kept += [one, server.accept()[0]]
    one.setblocking(False)
    try:
        while True: written += one.send(bytes(65536))
    except BlockingIOError: pass
print(written >> 20)
"""


def test_memory_hidden_in_network_buffers_is_bounded(tmp_path):
    """What is on its way through loopback sockets lies in the kernel's memory, not in a process's."""
    wide = visit(
        python(HOARD_IN_SOCKETS), tmp_path / "1", limits={"socket_bytes": 1 << 30, "memory_bytes": 1 << 30}
    )
    assert int(wide.stdout) > 100
    tight = visit(
        python(HOARD_IN_SOCKETS), tmp_path / "2", limits={"socket_bytes": 4 << 20, "memory_bytes": 32 << 20}
    )
    assert tight.exit["oom"] or int(tight.stdout) < 32


HOARD_SOCKETS = """
import socket, time
kept = [socket.socket(16, 3, 0) for _ in range(150)]
print('up', flush=True)
time.sleep(SECONDS)
"""


def test_a_room_that_hoards_sockets_is_ended(tmp_path):
    """What waits in a netlink socket is counted by no control group, so their number must be bounded."""
    brief = visit(python(HOARD_SOCKETS.replace("SECONDS", "0.5")), tmp_path / "1", limits={"sockets": 400})
    assert (brief.stdout, brief.exit["status"], brief.exit["oom"]) == ("up\n", 0, False)
    seen = visit(python(HOARD_SOCKETS.replace("SECONDS", "600")), tmp_path / "2", limits={"sockets": 100})
    assert (seen.stdout, seen.exit["signal"], seen.exit["oom"]) == ("up\n", 9, True)
    assert alive(seen.uid) == []


def test_sockets_of_an_ordinary_users_room_are_counted_too(open_scratch):
    limits = {"sockets": 100}
    seen = visit(python(HOARD_SOCKETS.replace("SECONDS", "600")), open_scratch, as_nobody=True, limits=limits)
    assert (seen.stdout, seen.exit["signal"], seen.exit["oom"]) == ("up\n", 9, True)


def test_no_run_starts_where_its_memory_could_be_swapped_to_a_disk(tmp_path):
    """Also where version 1 bounds memory and swap together: a job could page itself out by `madvise`."""
    forbidding = any(one.version != 1 and "memory" in one.controllers for one in find_hierarchies())
    if not forbidding:
        # The room's own bound: the launcher's folders are refused before it, unless the kernel exempts them.
        refused = visit("echo up", tmp_path, swaps=True)
        assert refused.error.startswith("RefusedError: this machine swaps to /dev/swapped")
        assert visit("echo up", tmp_path / "2", swaps=True, no_groups=True).error.startswith("RefusedError")
    else:
        assert visit("echo up", tmp_path, swaps=True).stdout == "up\n"
    assert visit("echo up", tmp_path / "3").stdout == "up\n"


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
    """Two busy processes with a tenth of a processor are held back by the kernel, however idle the machine is."""
    burn = """
import os, time
start = time.monotonic()
if os.fork() == 0: os.environ['x'] = '1'
while time.monotonic() - start < 100: pass
"""
    held_back = 0
    with launcher(python(burn), tmp_path, limits={"cpus": 0.1}) as process:
        while not held_back and process.poll() is None:
            for folder in folders_below(Path("/sys/fs/cgroup")):
                if folder.name == f"kifabrik-{FIRST_UID}" and (folder / "cpu.stat").exists():
                    with suppress(OSError):
                        counted = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
                        held_back = max(held_back, int(counted.get("nr_throttled", 0)))
            time.sleep(0.05)
        process.kill()
    assert held_back > 0
    eventually(lambda: not alive(FIRST_UID))


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
except OSError: print('refused')
print(resource.getrlimit(resource.RLIMIT_RTPRIO), resource.getrlimit(resource.RLIMIT_NICE))
print(open('/proc/self/oom_score_adj').read().strip(), open('/proc/self/cgroup').read().count('kifabrik'))
"""
    expected = "refused\n" * 4 + "(0, 0) (0, 0)\n500 0\n"
    able = ["prlimit", "--rtprio=50:50", "--nice=40:40"]  # as systemd may have started the launcher
    if subprocess.run([*able, "true"], capture_output=True, check=False).returncode != 0:
        able = []  # a container may not even let root
    assert visit(python(probe), tmp_path / "1", under=able).stdout == expected
    # That the score stays does not hang on /proc being read-only.
    assert visit(python(probe), tmp_path / "2", without=[["--remount-ro", "/proc"]]).stdout == expected


def test_no_signal_of_the_job_stops_the_rooms_first_process(tmp_path):
    """It is the init of its namespace: from inside the kernel delivers only what it has a handler for.

    That is SIGINT, of which it ends, and with it the job that sent it.
    """
    attempt = """
import os, signal
for number in set(signal.Signals) - {signal.SIGCHLD, signal.SIGINT}:
    try: os.kill(1, number)
    except OSError as error: print(error)
print(open('/proc/1/stat').read().split()[2] in 'SR')
"""
    seen = visit(python(attempt), tmp_path)
    assert (seen.stdout, seen.exit["status"]) == ("True\n", 0)


@pytest.mark.parametrize(
    "game",
    [
        "os.kill(-1, signal.SIGSTOP); time.sleep(600)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)",
        "os.kill(os.getppid(), signal.SIGSTOP); os.kill(os.getpid(), signal.SIGSTOP)",
        "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; os.close(1); os.close(2); time.sleep(600)",
        "[os.fork() and os._exit(0) or os.setsid() for _ in range(1)] and time.sleep(600)",
    ],
    ids=["stop all", "block all", "stop itself", "deaf and dumb", "daemon"],
)
def test_a_job_that_stops_blocks_or_hides_is_ended_all_the_same(tmp_path, game):
    line = f"import os, signal, time; print('up', flush=True); time.sleep(0.2); {game}"
    shell = f'python3 -c "{line}" & wait; sleep 600'
    seen = visit(shell, tmp_path, stop_after="up", grace_s=0.5)
    assert seen.exit["signal"] in (9, 15)
    assert alive(seen.uid) == []


def test_a_launcher_that_may_dump_no_core_can_still_build_a_room(tmp_path):
    seen = visit("ulimit -Hc", tmp_path, under=["prlimit", "--core=0:0"])
    assert seen.stdout == "0\n"
