"""Rooms that are really built: what a well-behaved job finds, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kifabrik.sandbox.check import Verdict, check_sandbox
from kifabrik.sandbox.hierarchies import Hierarchy, find_hierarchies
from kifabrik.sandbox.limits import Limits, RunGroup
from rooms import FIRST_UID, HAS_ROOMS, NOBODY, SOURCE, SYSTEM_PYTHON, Launcher, alive, launcher, python, visit

pytestmark = pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")


def test_a_job_reads_data_writes_outputs_and_ends(tmp_path):
    probe = "open('/out/copy','w').write(open('/data/in/greeting.txt').read()); print('done')"
    seen = visit(python(probe), tmp_path)
    assert (seen.stdout, seen.stderr, seen.out) == ("done\n", "", {"copy": "hello"})
    assert (seen.exit["status"], seen.exit["signal"], seen.exit["oom"]) == (0, 0, False)
    assert seen.exit["cpu_seconds"] > 0.005
    assert seen.exit["peak_memory_bytes"] > 1 << 20
    assert seen.notices == []
    assert seen.left == []


def test_standard_output_and_error_are_separate_streams(tmp_path):
    seen = visit("echo out; echo err >&2; cat", tmp_path)
    assert (seen.stdout, seen.stderr, seen.exit["status"]) == ("out\n", "err\n", 0)


@pytest.mark.parametrize(
    ("command", "status", "by"),
    [
        ("exit 7", 7, 0),
        ("exit 200", 200, 0),
        ("kill -KILL $$", 137, 9),
        (("sh", "-c", "kill -SEGV $$"), 139, 11),
        ("no-such-program", 127, 0),
        (("no-such-program",), 127, 0),
    ],
)
def test_the_exit_is_that_of_the_job(tmp_path, command, status, by):
    seen = visit(command, tmp_path)
    assert (seen.exit["status"], seen.exit["signal"]) == (status, by)


def test_code_lies_in_the_working_folder_and_may_write_there(tmp_path):
    code = {"train.py": "import helper; print(helper.answer)", "helper.py": "answer = 42"}
    seen = visit("python3 train.py && ls -A && pwd", tmp_path, code=code)
    assert seen.stdout == "42\n__pycache__\nhelper.py\ntrain.py\n/work\n"


def test_the_job_sees_a_small_world(tmp_path):
    seen = visit("id -un; hostname; echo $HOME; ls /; nproc; test -w $HOME && test -w /tmp && echo yes", tmp_path)
    lines = seen.stdout.split()
    assert lines[:3] == ["job", "job", "/home/job"]
    assert set(lines[3:-2]) >= {"data", "out", "checkpoint", "work", "usr", "tmp"}
    assert not {"root", "mnt", "boot", "srv", "opt"} & set(lines)
    assert lines[-1] == "yes"


def test_variables_are_those_of_the_specification(tmp_path):
    seen = visit("env", tmp_path, environment={"EPOCHS": "3 or 4", "LANG": "de_DE.UTF-8"}, environ={"LEAK": "1"})
    variables = dict(line.split("=", 1) for line in seen.stdout.splitlines())
    assert variables["EPOCHS"] == "3 or 4"
    assert variables["LANG"] == "de_DE.UTF-8"
    assert "LEAK" not in variables
    assert "PYTHONPATH" not in variables


def test_threads_pools_and_local_sockets_work(tmp_path):
    probe = """
import multiprocessing, socket, threading
def square(x): return x * x
with multiprocessing.Pool(3) as pool: print(sum(pool.map(square, range(10))))
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
server.accept()[0].sendall(b"hi"); print(client.recv(2))
print([name for _, name in socket.if_nameindex()])
thread = threading.Thread(target=print, args=("thread",)); thread.start(); thread.join()
"""
    seen = visit(python(probe), tmp_path)
    assert (seen.stdout, seen.stderr) == ("285\nb'hi'\n['lo']\nthread\n", "")


def test_an_environment_whose_interpreter_lies_in_a_private_home_works(tmp_path):
    prefix = Path(sys.base_prefix)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (tmp_path / "env" / "bin" / "tool").write_text("#!/env/bin/python\nprint('tool')\n")
    (tmp_path / "env" / "bin" / "tool").chmod(0o755)
    tmp_path.chmod(0o700)
    seen = visit(
        "python -c 'import sys; print(sys.prefix, sys.version_info[:2])'; tool; touch /env/x",
        tmp_path / "scratch",
        env_tree=str(tmp_path / "env"),
        python_prefix=str(prefix),
    )
    assert seen.stdout == f"/env {sys.version_info[:2]}\ntool\n"
    assert "Read-only file system" in seen.stderr


def test_device_files_appear_and_work(tmp_path):
    probe = "import os; print(os.major(os.stat('/dev/fuse').st_rdev), len(os.listdir('/sys/devices')) > 1)"
    if not Path("/dev/fuse").exists():
        pytest.skip("needs a device file to show")
    assert visit(python(probe), tmp_path, gpu_devices=["/dev/fuse"]).stdout == "10 True\n"
    assert "FileNotFoundError" in visit(python(probe), tmp_path / "2").stderr


CHECKPOINTING = """
import signal, sys, time
def save(*_):
    time.sleep(0.2)
    open('/checkpoint/step', 'w').write('9'); open('/out/step', 'w').write('9')
    sys.stdout.write('saved\\n'); sys.exit(0)
signal.signal(signal.SIGTERM, save)
sys.stdout.write('training\\n')
while True: time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("python3", "c.py"), 0),
        ("exec python3 c.py", 0),
        ("python3 c.py; echo never", 143),
        ("cd /tmp && (python3 /work/c.py; true) & wait", 143),
    ],
)
def test_a_stop_lets_the_job_write_its_checkpoint(tmp_path, command, status):
    seen = visit(command, tmp_path, code={"c.py": CHECKPOINTING}, stop_after="training", grace_s=60)
    assert seen.stdout == "training\nsaved\n"
    assert seen.out == {"step": "9"}
    assert seen.exit["status"] == status


def test_a_stop_reaches_a_job_that_does_not_care(tmp_path):
    seen = visit("echo go; sleep 60", tmp_path, stop_after="go", grace_s=50)
    assert (seen.exit["status"], seen.exit["signal"]) == (143, signal.SIGTERM)


def test_a_job_that_ignores_the_stop_is_killed_with_all_its_children(tmp_path):
    command = "trap '' TERM; (setsid sleep 61 &); echo go; while true; do sleep 0.05; done"
    seen = visit(command, tmp_path, stop_after="go", grace_s=0.2)
    assert seen.exit["signal"] == signal.SIGKILL
    assert alive(seen.uid) == []


def test_children_left_behind_end_with_the_job(tmp_path):
    seen = visit("(setsid sleep 62 &) ; (sleep 63 &) ; echo bye", tmp_path)
    assert (seen.stdout, seen.exit["status"]) == ("bye\n", 0)
    assert alive(seen.uid) == []


def test_orphans_are_reaped_while_the_job_runs(tmp_path):
    seen = visit(
        "for i in 1 2 3; do (true &); done; while ps -eo stat= | grep -q Z; do sleep 0.1; done; echo ok", tmp_path
    )
    assert seen.stdout == "ok\n"


def test_two_runs_have_two_user_ids_and_one_after_the_other_the_same(tmp_path):
    locks = str(tmp_path / "locks")
    with launcher("echo up; sleep 100", tmp_path / "a", locks=locks) as first:
        first.stdout.readline()
        second = visit("true", tmp_path / "b", locks=locks)
        first.kill()
    third = visit("true", tmp_path / "c", locks=locks)
    assert third.uid == second.uid - 1


def test_an_ordinary_user_can_have_rooms_too(open_scratch):
    seen = visit("cat /data/in/greeting.txt; touch /data/in/x; id -un", open_scratch, as_nobody=True)
    assert seen.error == ""
    assert seen.stdout == "hellojob\n"
    assert "Read-only" in seen.stderr
    assert seen.uid == NOBODY


def test_without_control_groups_the_number_of_processes_is_still_bounded(open_scratch):
    probe = """
import os
n = 0
try:
    while n < 200:
        if os.fork() == 0:
            import time; time.sleep(20); os._exit(0)
        n += 1
except BlockingIOError: print('bounded', n < 64)
else: print('unbounded', n)
"""
    wishes = {"no_groups": True, "limits": {"pids": 64}}
    seen = visit(python(probe), open_scratch, as_nobody=True, **wishes)
    assert seen.stdout == "bounded True\n"
    assert len(seen.notices) == 3
    assert visit(python(probe), open_scratch / "root", **wishes).stdout == "bounded True\n"


def test_a_missing_mount_is_named(tmp_path):
    seen = visit("true", tmp_path, read_only={"/data/x": str(tmp_path / "nothing")})
    assert seen.error.startswith("UsageError")
    assert str(tmp_path / "nothing") in seen.error


def test_what_bubblewrap_says_reaches_the_person(tmp_path):
    seen = visit("true", tmp_path, gpu_devices=["/dev/nvidia-that-is-not-there"])
    assert seen.error.startswith("UnavailableError: the room could not be built: bwrap:")
    assert "nvidia-that-is-not-there" in seen.error
    assert "doctor" in seen.hint


def test_a_failed_start_leaves_no_group(tmp_path):
    seen = visit("true", tmp_path, gpu_devices=["/dev/nvidia-that-is-not-there"])
    assert seen.error
    assert not [one for one in find_hierarchies() if (one.parent / f"kifabrik-{FIRST_UID}").exists()]


@pytest.mark.parametrize("version", [1, 2])
def test_a_real_group_kills_all_members_and_counts_their_time(version, tmp_path):
    tops = {1: Path("/sys/fs/cgroup/pids"), 2: Path("/sys/fs/cgroup/unified")}
    top = tops[version] if version == 1 or tops[2].exists() else Path("/sys/fs/cgroup")
    if not (top / "cgroup.procs").exists():
        pytest.skip(f"no hierarchy of version {version}")
    controllers = frozenset({"pids"}) if version == 1 else frozenset()
    name = f"kifabrik-test-{os.getpid()}"
    group = RunGroup.create(name, Limits(memory_bytes=1 << 30), (Hierarchy(version, top, controllers),))
    script = 'echo 0 >"$1"; (sleep 64 & while :; do :; done) & echo in; wait'
    with Launcher(["sh", "-c", script, "x", group.join_files[0]], stdout=subprocess.PIPE) as shell:
        shell.stdout.readline()
        deadline = time.monotonic() + 60
        while len(group.members()) < 3 or (version == 2 and not group.usage().cpu_ns):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        again = RunGroup.create(name, Limits(memory_bytes=1 << 30), (Hierarchy(version, top, controllers),))
        assert shell.wait() == -signal.SIGKILL
    assert again.members() == ()
    assert again.remove()
    assert not (top / name).exists()


def test_this_machine_passes_its_own_check():
    checks = check_sandbox()
    assert [one for one in checks if one.verdict is Verdict.ERROR] == []
    assert all(one.advice for one in checks if one.verdict is not Verdict.OK)


def test_an_ordinary_user_gets_a_check_without_errors_and_with_advice():
    script = (
        "from kifabrik.sandbox.check import *; print([c.name for c in check_sandbox() if c.verdict == 'error'])"
    )
    done = subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", SYSTEM_PYTHON, "-Bc", script],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
