"""A job, or another user of the machine, looks for secrets of the launcher and of the job.

Each probe is first shown to find the secret where the defence is absent.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from players import eventually
from rooms import FIRST_UID, HAS_ROOMS, NOBODY, SYSTEM_PYTHON, alive, calling, launcher, outside, python, visit

pytestmark = pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")

CANARY = "canary-5c1e"


def processes_of_the_run():
    """Return bubblewrap, the first process, the job's shell and the one program it started."""
    deadline = time.monotonic() + 60
    while len(pids := alive(FIRST_UID)) < 4:
        assert time.monotonic() < deadline, pids
        time.sleep(0.01)
    return pids


SEARCH = """
import os
word, found = b'canary' + b'-5c1e', set()
def look(path, limit=1 << 20):
    try:
        if os.path.islink(path): text = os.readlink(path).encode()
        else:
            with open(path, 'rb') as file: text = file.read(limit)
        if word in text: found.add(path.rsplit('/', 1)[1])
    except OSError: pass
def names(folder):
    try: return os.listdir(folder)
    except OSError: return []
for entry in names('/proc'):
    if entry.isdigit():
        for folder in ('', '/fd', '/task/' + entry) + (('/net',) if entry == str(os.getpid()) else ()):
            for name in names(f'/proc/{entry}{folder}'):
                if name not in ('mem', 'pagemap', 'clear_refs'): look(f'/proc/{entry}{folder}/{name}')
    elif entry not in ('kmsg', 'kcore', 'kpagecount', 'kpageflags', 'kpagecgroup', 'sys', 'bus', 'irq'):
        look(f'/proc/{entry}')
print(*sorted(found) or ['nothing'])
"""


def told(scratch, **wishes):
    """Run the search in a room whose launcher has the word in everything it has."""
    place = scratch / CANARY
    place.mkdir(parents=True)
    return visit(python(SEARCH), place, environ={"CANARY": CANARY}, arguments=(CANARY,), **wishes).stdout


def test_nothing_of_the_launcher_is_in_any_file_of_proc(tmp_path):
    """Environment, arguments, the names of its folders and mounts, its open files, sockets and locks."""
    place = tmp_path / CANARY
    with launcher("echo up; sleep 100", place, environ={"CANARY": CANARY}, arguments=(CANARY,)) as process:
        process.stdout.readline()
        found = outside(SEARCH, as_nobody=False).split()
        assert {"environ", "cmdline", "mountinfo"} <= set(found), found
        process.kill()
    assert told(tmp_path / "1") == "nothing\n"
    assert told(tmp_path / "2", no_filter=True) == "nothing\n"


def test_other_users_see_neither_environment_nor_command_of_the_job(tmp_path):
    with subprocess.Popen([SYSTEM_PYTHON, "-c", "input()", CANARY], stdin=subprocess.PIPE) as plain:
        assert outside(SEARCH) == "cmdline\n"
        plain.kill()
    line = f"echo up; : {CANARY}; sleep 100 & wait"
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


def test_the_job_opens_its_own_output_by_name_as_scripts_do(tmp_path):
    seen = visit("echo out >/dev/stdout; echo err | tee /dev/stderr >/dev/null", tmp_path)
    assert (seen.stdout, seen.stderr) == ("out\n", "err\n")


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
    except OSError: print('denied')
"""
    # The job's own shell has the same user and the same program, but may be read: there the probe succeeds.
    open_proc = {"environment": {"PROBE": probe}, "without": [["--remount-ro", "/proc"]]}
    shell = visit('python3 -c "$PROBE" $$; true', tmp_path, **open_proc)
    assert set(shell.stdout.split()) == {"reached"}, shell
    first = visit('python3 -c "$PROBE" 1; true', tmp_path / "2", **open_proc)
    assert set(first.stdout.split()) == {"denied"}, first
    read_only = visit('python3 -c "$PROBE" 1; true', tmp_path / "3", environment={"PROBE": probe})
    assert set(read_only.stdout.split()) == {"denied"}, read_only


def test_the_launcher_cannot_be_seen_or_signalled(tmp_path):
    probe = """
import os
print(len([p for p in os.listdir('/proc') if p.isdigit()]))
for pid in (PID, -1):
    try: os.kill(pid, 9); print('sent')
    except OSError as error: print(type(error).__name__)
"""
    with subprocess.Popen(["sleep", "100"]) as victim:
        seen = visit(python(probe.replace("PID", str(victim.pid))), tmp_path)
        assert victim.poll() is None
        victim.kill()
    assert seen.stdout == "2\nProcessLookupError\nProcessLookupError\n"


def test_one_run_cannot_touch_another(tmp_path):
    locks = str(tmp_path / "locks")
    with launcher("echo up; sleep 100", tmp_path / "a", locks=locks, environment={"KEY": CANARY}) as first:
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
os.setgid(USER); os.setuid(USER)
buffer = ctypes.create_string_buffer(8)
for pid in {pids}:
    for name in ('environ', 'mem'):
        try: open(f'/proc/{{pid}}/{{name}}', 'rb').read(0); print('read')
        except OSError: pass
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    call('ptrace', 0x4206, pid, 0, 0)  # PTRACE_SEIZE
    call('pidfd_getfd', os.pidfd_open(pid), 0, 0)
    if USER != {FIRST_UID}:
        try: os.kill(pid, 9); print('killed')
        except PermissionError: pass
"""
        lines = outside(calling(foreign.replace("USER", str(FIRST_UID + 1))), as_nobody=False).splitlines()
        assert set(lines) == {"ptrace EPERM", "pidfd_getfd EPERM"}
        assert alive(FIRST_UID) == pids
        # The same done by the run's own user succeeds with its job, which shows that the user id is the wall.
        assert "ptrace ok" in outside(calling(foreign.replace("USER", str(FIRST_UID))), as_nobody=False)
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
names = ('cmdline', 'config.gz', 'diskstats', 'interrupts', 'kallsyms', 'kcore', 'keys', 'partitions', 'pressure')
def tells(path):
    try: return bool(os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1))
    except OSError: return False
print([name for name in names if tells('/proc/' + name)])
"""
    plain = outside(probe)
    assert "/etc/shadow" in plain
    assert "cmdline" in plain
    assert visit(python(probe), tmp_path / "scratch").stdout == "[]\n[]\n"


TOLD_BY_PROC = {
    *(
        "cgroups",
        "cpuinfo",
        "crypto",
        "devices",
        "driver",
        "execdomains",
        "fb",
        "filesystems",
        "loadavg",
        "meminfo",
    ),
    *("misc", "modules", "mounts", "net", "self", "stat", "swaps", "sys", "sysvipc", "thread-self", "uptime"),
    *("version", "version_signature", "vmstat"),
}
"""What a room may show of /proc beside its processes. `irq` counts interrupts, as `interrupts` does; `bus` lists
devices. On a kernel that tells more, somebody has to look at it."""


def test_proc_tells_what_is_written_down_here_and_nothing_else(tmp_path):
    probe = """
import os
def tells(path):
    try: return bool(os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1))
    except OSError: return False
print(*(name for name in os.listdir('/proc') if not name.isdigit() and tells('/proc/' + name)))
"""
    assert {"irq", "interrupts"} <= set(outside(probe).split())
    assert set(visit(python(probe), tmp_path).stdout.split()) <= TOLD_BY_PROC


def test_root_inside_could_not_read_the_machines_files_either(tmp_path):
    """Bubblewrap runs as the run's user, so even its own setup never has the rights of root."""
    with launcher("echo up; sleep 100", tmp_path, under=["setpriv", "--groups=4,27"]) as process:
        process.stdout.readline()
        assert "\nGroups:\t4 27 \n" in Path(f"/proc/{process.pid}/status").read_text()
        uid = FIRST_UID
        for pid in processes_of_the_run():
            status = Path(f"/proc/{pid}/status").read_text()
            assert f"\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
            assert f"\nGid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
            assert "\nGroups:\t \n" in status
            assert "\nNoNewPrivs:\t1\n" in status
        process.kill()


def test_the_job_is_in_a_session_and_group_of_its_own(tmp_path):
    """Else what it sends to its own group would reach those that watch over it, and no stop would reach the job."""
    seen = visit(python("import os; print(os.getsid(0), os.getpgid(0))"), tmp_path)
    assert seen.stdout == "1 1\n"


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


WATCH = """
import ctypes, fcntl, os, signal, time
libc, told = ctypes.CDLL(None, use_errno=True), set()
watch = libc.inotify_init1(0o4000)
libc.inotify_add_watch(watch, b'/usr/bin', 0x20)  # IN_OPEN
signal.signal(signal.SIGIO, lambda *_: told.add('dnotify'))
try: fcntl.fcntl(os.open('/usr/bin', os.O_RDONLY), 1026, 0x80000001)  # F_NOTIFY, DN_ACCESS | DN_MULTISHOT
except OSError: pass
open('/out/up', 'w').close()
while not os.path.exists('/data/in/over'):
    try: told |= {'inotify'} if b'paste' in os.read(watch, 65536) else set()
    except OSError: pass
    time.sleep(0.02)
try: told |= {'inotify'} if b'paste' in os.read(watch, 65536) else set()
except OSError: pass
print(sorted(told))
"""


def told_of_others(scratch, **wishes):
    """Run the watch in a room while another process of the machine starts a program; return what it saw."""
    with launcher(python(WATCH), scratch, **wishes) as process:
        memory = Path(f"/proc/{process.pid}/root{scratch}/memory")
        eventually((memory / "out" / "up").exists)
        for _ in range(5):
            subprocess.run(["/usr/bin/paste", "--version"], check=True, capture_output=True)
        (memory / "data" / "over").touch()
        return json.loads(process.stdout.read().splitlines()[-1])["stdout"].splitlines()[-1]


def test_a_run_is_not_told_which_programs_others_use(tmp_path):
    """Folders of the machine are shared with all rooms, and the kernel tells a watcher what others do there."""
    assert "'inotify'" in told_of_others(tmp_path / "1", no_filter=True)
    assert told_of_others(tmp_path / "2") == "[]"


LEAVE = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
for folder in ('/tmp', '/var/tmp', '/dev/shm', '/home/job', '/work', '/out', '/checkpoint'):
    open(folder + '/remnant', 'w').write('x')
made = [libc.shmget(77, 4096, 0o1666), libc.semget(77, 1, 0o1666), libc.msgget(77, 0o1666)]
made.append(ctypes.CDLL('librt.so.1').mq_open(b'/remnant', os.O_CREAT | os.O_RDWR, 0o666, None))
name = socket.socket(socket.AF_UNIX); name.bind('\\0remnant'); name.listen()
name.set_inheritable(True)
if os.fork() == 0: os.setsid(); os.execvp('sleep', ['sleep', '600'])
print(min(made) >= 0)
"""
LOOK = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
folders = ('/tmp', '/var/tmp', '/dev/shm', '/home/job', '/work', '/out', '/checkpoint')
found = [folder for folder in folders if os.listdir(folder)]
found += [name for name in ('shmget', 'semget', 'msgget') if getattr(libc, name)(77, 0, 0o666) >= 0]
found += ['mq_open'] if ctypes.CDLL('librt.so.1').mq_open(b'/remnant', os.O_RDWR) >= 0 else []
try: socket.socket(socket.AF_UNIX).connect('\\0remnant'); found += ['abstract']
except OSError: pass
found += [pid for pid in os.listdir('/proc') if pid.isdigit() and int(pid) > os.getpid()]
print(found)
"""


@pytest.mark.parametrize("without_filter", [False, True])
def test_the_next_run_finds_nothing_of_the_one_before(tmp_path, without_filter):
    wishes = {"locks": str(tmp_path / "locks"), "no_filter": without_filter}
    first = visit(python(LEAVE), tmp_path / "a", **wishes)
    second = visit(python(LOOK), tmp_path / "b", **wishes)
    assert (first.stdout, second.stdout) == ("True\n", "[]\n")
    assert first.uid == second.uid


def test_within_a_run_the_same_remnants_are_found(tmp_path):
    both = LEAVE.replace("os.execvp('sleep', ['sleep', '600'])", "import time; time.sleep(600)") + LOOK
    found = visit(python(both), tmp_path).stdout
    assert all(f"'{name}'" in found for name in ("/tmp", "/dev/shm", "shmget", "semget", "msgget", "mq_open"))
    assert "'abstract'" in found


def test_programs_of_the_environment_cannot_be_changed_for_the_next_run(tmp_path):
    """Neither a module nor its compiled form, which Python would write beside it."""
    tree = tmp_path / "env"
    (tree / "bin").mkdir(parents=True)
    (tree / "module.py").write_text("answer = 42\n")
    for path in (tree, tree / "bin", tree / "module.py"):  # then the mount alone protects it
        path.chmod(0o777)
    tmp_path.chmod(0o755)
    line = (
        "cd /env && python3 -c 'import module; print(module.answer)'; touch /env/x /env/bin/python /env/module.py"
    )
    seen = visit(f"{line}; rm -f /env/module.py; mv /env/bin /env/b", tmp_path / "s", env_tree=str(tree))
    assert seen.stdout == "42\n"
    assert seen.stderr.count("\n") == 5
    assert sorted(path.name for path in tree.iterdir()) == ["bin", "module.py"]


def test_an_ordinary_launcher_is_not_readable_from_its_own_rooms():
    """Launcher and job have the same user id there; the process namespace alone keeps them apart."""
    scratch = Path(tempfile.mkdtemp(prefix="room-"))
    try:
        os.chown(scratch, NOBODY, NOBODY)
        for number in ("1", "2"):
            (scratch / number).mkdir()
            os.chown(scratch / number, NOBODY, NOBODY)
            wishes = {"environ": {"CANARY": CANARY}, "no_filter": number == "2"}
            seen = visit(python(SEARCH), scratch / number, as_nobody=True, **wishes)
            assert seen.stdout == "nothing\n", seen
    finally:
        shutil.rmtree(scratch)
