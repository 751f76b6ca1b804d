"""A job, or another user of the machine, looks for secrets of the launcher and of the job.

Each probe is first shown to find the secret where the defence is absent.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from rooms import FIRST_UID, HAS_ROOMS, NOBODY, alive, launcher, outside, python, visit

pytestmark = pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")

CANARY = "canary-5c1e"


def processes_of_the_run():
    """Return bubblewrap, the first process, the job's shell and the one program it started."""
    deadline = time.monotonic() + 20
    while len(pids := alive(FIRST_UID)) < 4:
        assert time.monotonic() < deadline, pids
        time.sleep(0.01)
    return pids


SEARCH = """
import glob
word, found = 'canary' + '-5c1e', set()
for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):
    try:
        if word in open(path, errors='replace').read(): found.add(path)
    except OSError: pass
print('found' if found else 'nothing')
"""


def test_the_launchers_environment_is_not_in_the_room(tmp_path):
    inherited = {"env": {"CANARY": CANARY}, "as_nobody": False}
    assert outside(SEARCH, **inherited) == "found\n"
    seen = visit(python(SEARCH), tmp_path, environ={"CANARY": CANARY})
    assert seen.stdout == "nothing\n", seen


def test_other_users_see_neither_environment_nor_command_of_the_job(tmp_path):
    with subprocess.Popen(["sh", "-c", f": {CANARY}; sleep 5 & wait"]) as plain:
        assert outside(SEARCH) == "found\n"
        plain.kill()
    line = f"echo up; : {CANARY}; sleep 20 & wait"
    with launcher(line, tmp_path, environment={"KEY": CANARY}) as process:
        process.stdout.readline()
        assert outside(SEARCH) == "nothing\n"
        process.kill()


def test_no_descriptor_of_the_launcher_is_in_the_room(tmp_path):
    probe = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        assert str(descriptor) in outside(probe, close_fds=False)
    finally:
        os.close(descriptor)
    seen = visit(python(probe), tmp_path, inherit=True)
    assert seen.stdout == "[0, 1, 2, 3]\n"  # 3 is the listing itself
    ends = visit("readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2", tmp_path / "2").stdout
    assert [end.split(":")[0] for end in ends.split()] == ["/dev/null", "pipe", "pipe"]


def test_the_rooms_first_process_is_out_of_reach(tmp_path):
    """Otherwise a job could write its memory and make it forget to die with the launcher."""
    probe = """
import os, sys
for name in ('mem', 'environ', 'maps', 'exe', 'fd', 'root', 'cwd', 'auxv'):
    path = f'/proc/{sys.argv[1]}/{name}'
    try:
        if name in ('fd', 'root', 'cwd'): os.listdir(path)
        else: open(path, 'rb+' if name == 'mem' else 'rb').close()
        print('reached')
    except PermissionError: print('denied')
"""
    # The job's own shell has the same user and the same program, but may be read: there the probe succeeds.
    shell = visit('python3 -c "$PROBE" $$; true', tmp_path, environment={"PROBE": probe})
    assert set(shell.stdout.split()) == {"reached"}, shell
    first = visit('python3 -c "$PROBE" 1; true', tmp_path / "2", environment={"PROBE": probe})
    assert set(first.stdout.split()) == {"denied"}, first


def test_the_launcher_cannot_be_seen_or_signalled(tmp_path):
    probe = """
import os
print(len([p for p in os.listdir('/proc') if p.isdigit()]))
for pid in (PID, -1):
    try: os.kill(pid, 9); print('sent')
    except OSError as error: print(type(error).__name__)
"""
    with subprocess.Popen(["sleep", "30"]) as victim:
        seen = visit(python(probe.replace("PID", str(victim.pid))), tmp_path)
        assert victim.poll() is None
        victim.kill()
    assert seen.stdout == "2\nProcessLookupError\nProcessLookupError\n"


def test_one_run_cannot_touch_another(tmp_path):
    locks = str(tmp_path / "locks")
    with launcher("echo up; sleep 30", tmp_path / "a", locks=locks, environment={"KEY": CANARY}) as first:
        first.stdout.readline()
        pids = processes_of_the_run()
        probe = f"""
import os
for pid in {pids}:
    for name in ('environ', 'mem', 'cwd'):
        try: os.stat(f'/proc/{{pid}}/{{name}}'); print('seen')
        except FileNotFoundError: pass
"""
        assert visit(python(probe), tmp_path / "b", locks=locks).stdout == ""
        foreign = f"""
import os
os.setgid({FIRST_UID + 1}); os.setuid({FIRST_UID + 1})
for pid in {pids}:
    for name in ('environ', 'mem'):
        try: open(f'/proc/{{pid}}/{{name}}').read(1); print('read')
        except OSError: pass
    try: os.kill(pid, 9); print('killed')
    except PermissionError: pass
"""
        assert outside(foreign, as_nobody=False) == ""
        assert alive(FIRST_UID) == pids
        first.kill()


def test_a_crash_leaves_no_core_and_asks_no_program_to_take_it(tmp_path):
    probe = """
import os, resource, signal, sys
core = resource.RLIMIT_CORE
if sys.argv[1:]: resource.setrlimit(core, (resource.RLIM_INFINITY,) * 2)
limits = resource.getrlimit(core)
try: resource.setrlimit(core, (1 << 30, 1 << 30)); raised = True
except (ValueError, PermissionError): raised = False
if os.fork() == 0: os.abort()
dumped = os.WCOREDUMP(os.wait()[1])
print(limits, raised, dumped, [name for name in os.listdir() if 'core' in name])
"""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    if pattern == "core\n":
        change = f"import os, sys; os.chdir({str(tmp_path)!r}); sys.argv.append('dump')\n"
        assert outside(change + probe, as_nobody=False).endswith(") True True ['core']\n")
    assert visit(python(probe), tmp_path).stdout == "(1, 1) False False []\n"


def test_files_of_the_machine_are_not_in_the_room(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "store").write_text("x")
    probe = f"""
import os
paths = ['/etc/shadow', '/root', '/var/lib', '/boot', '/run/kifabrik', '/sys/fs/cgroup', '/sys/kernel',
         '/dev/kmsg', '/dev/mem', '/dev/vsock', '/dev/userfaultfd', '/dev/fuse', '/dev/tty', '/dev/ptmx',
         {str(tmp_path / "store")!r}]
print([path for path in paths if os.path.lexists(path)])
try: print(open('/proc/kcore', 'rb').read(1))
except OSError: print('denied')
"""
    assert "/etc/shadow" in outside(probe)
    assert visit(python(probe), tmp_path / "scratch").stdout == "[]\ndenied\n"


def test_root_inside_could_not_read_the_machines_files_either(tmp_path):
    """Bubblewrap runs as the run's user, so even its own setup never has the rights of root."""
    with launcher("echo up; sleep 30", tmp_path) as process:
        process.stdout.readline()
        uid = FIRST_UID
        for pid in processes_of_the_run():
            status = Path(f"/proc/{pid}/status").read_text()
            assert f"\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
            assert f"\nGid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
            assert "\nGroups:\t \n" in status
            assert "\nNoNewPrivs:\t1\n" in status
        process.kill()


def test_a_setuid_program_gives_no_rights(tmp_path):
    probe = "import os, subprocess; print(subprocess.run([PATH, '-u'], capture_output=True, text=True).stdout)"
    with tempfile.TemporaryDirectory(prefix="room-") as folder:
        program = Path(folder) / "id"
        program.parent.chmod(0o755)
        shutil.copyfile("/usr/bin/id", program)
        program.chmod(0o4755)
        assert outside(probe.replace("PATH", repr(str(program)))) == "0\n\n"
    seen = visit(python(probe.replace("PATH", "'/data/in/id'")), tmp_path / "s", copies={"id": "/usr/bin/id"})
    assert seen.stdout == "1000\n\n"


def test_the_next_run_finds_nothing_of_the_one_before(tmp_path):
    locks = str(tmp_path / "locks")
    leave = """
import os, ctypes
for folder in ('/tmp', '/var/tmp', '/dev/shm', '/home/job', '/work', '/out', '/checkpoint'):
    open(folder + '/remnant', 'w').write('x')
libc = ctypes.CDLL(None)
print(libc.shmget(77, 4096, 0o1666) >= 0)
"""
    look = """
import os, ctypes
folders = ('/tmp', '/var/tmp', '/dev/shm', '/home/job', '/work', '/out', '/checkpoint')
found = [folder for folder in folders if os.listdir(folder)]
print(found, ctypes.CDLL(None).shmget(77, 4096, 0o666))
"""
    first = visit(python(leave), tmp_path / "a", locks=locks)
    second = visit(python(look), tmp_path / "b", locks=locks)
    assert (first.stdout, second.stdout) == ("True\n", "[] -1\n")
    assert first.uid == second.uid


def test_an_ordinary_launcher_is_not_readable_from_its_own_rooms():
    """Launcher and job have the same user id there; the process namespace alone keeps them apart."""
    scratch = Path(tempfile.mkdtemp(prefix="room-"))
    try:
        os.chown(scratch, NOBODY, NOBODY)
        seen = visit(python(SEARCH), scratch, as_nobody=True, environ={"CANARY": CANARY})
    finally:
        shutil.rmtree(scratch)
    assert seen.stdout == "nothing\n", seen
