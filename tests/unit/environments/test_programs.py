import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from kifabrik.environments import programs
from kifabrik.environments.programs import run
from kifabrik.environments.workers import Limits, Worker
from kifabrik.errors import CapacityError

SLEEPER = """
import os, sys, time
os.fork()
print(os.getpid(), file=sys.stderr, flush=True)
time.sleep(60)
print(os.getpid(), file=sys.stderr, flush=True)
"""


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _gone(pid):
    until = time.monotonic() + 60
    while _alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not _alive(pid)


def test_a_program_reads_its_text_and_its_lines_are_passed_on(tmp_path):
    lines = []
    ended = run(
        [
            sys.executable,
            "-c",
            "import sys; print(sys.stdin.read()[::-1]); print('\\x1b[1mso\\x1b[0m', file=sys.stderr)",
        ],
        text="abc",
        environment={},
        folder=tmp_path,
        log=lines.append,
    )
    assert (ended.status, ended.output, ended.errors, lines) == (0, "cba\n", "so", ["so"])


def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path, monkeypatch):
    pids = []
    clock = SimpleNamespace(monotonic=lambda: 1000.0 + len(pids))  # the time is over when both have begun
    monkeypatch.setattr(programs, "time", clock)
    worker = Worker(tmp_path, limits=Limits(seconds=1), log=lambda line: pids.append(int(line)))
    with pytest.raises(CapacityError, match="longer"):
        worker.run([sys.executable, "-c", SLEEPER])
    assert len(pids) == 2
    assert all(_gone(pid) for pid in pids)


def test_a_full_disk_ends_a_program(tmp_path):
    worker = Worker(tmp_path, limits=Limits(keep_free_bytes=10**18))
    with pytest.raises(CapacityError, match="disk is too full"):
        worker.run([sys.executable, "-c", "pass"])


def test_a_program_sees_nothing_of_the_builders_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "canary")
    ended = Worker(tmp_path).run([sys.executable, "-c", "import os; print(dict(os.environ))"])
    assert "canary" not in ended.output
    assert str(tmp_path) in ended.output


def test_a_program_dies_with_its_builder(tmp_path):
    builder = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from kifabrik.environments.workers import Worker
        Worker(Path({str(tmp_path)!r}), log=lambda line: print(line, flush=True)).run(
            [sys.executable, "-c", "import os, sys, time; print(os.getpid(), file=sys.stderr); time.sleep(600)"]
        )
        """
    )
    with subprocess.Popen([sys.executable, "-c", builder], stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        assert _alive(pid)
        process.send_signal(signal.SIGKILL)
    assert _gone(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start programs as another user")
def test_a_program_runs_as_the_given_user_without_rights_or_groups(tmp_path):
    code = "print(open('/proc/self/status').read())"
    ended = Worker(tmp_path, uid=54321).run(["/usr/bin/python3", "-I", "-c", code])
    status = dict(line.split(":\t", 1) for line in ended.output.splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["54321"] * 4
    assert status["Gid"].split() == ["54321"] * 4
    assert status["Groups"].split() == []
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
