"""The engine of one machine, with real processes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kifabrik.engines.local.engine import LocalEngine
from kifabrik.engines.local.processes import ProcessId, boot_id
from kifabrik.errors import UnavailableError
from kifabrik.factory.capacity import Demand, Share
from kifabrik.factory.engine import Life, Task
from kifabrik.values import Place, Resources

PROGRAM = """
import json, os, sys, time

def main():
    line = sys.stdin.readline()
    if not line:
        return 0
    task = json.loads(line)
    child = os.fork()
    if child == 0:
        time.sleep(600)
    with open(sys.argv[1] + "/told-" + task["attempt"], "w") as file:
        facts = {"pid": os.getpid(), "child": child, "session": os.getsid(0), "parent": os.getppid()}
        json.dump({"task": task, "argv": sys.argv, **facts}, file)
    print("started", file=sys.stderr, flush=True)
    time.sleep(600)
"""


def wait_until(test, seconds=60.0):
    until = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def task(attempt="a-aaaaaaaaaaaaaaaa", token="kfa-secret"):
    return Task(attempt, "t-x", token, (Share("n-1", 1, 1, (0, 2)),), "r-x", Demand(Resources(), Place()), 60)


@pytest.fixture
def command(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    yield [sys.executable, "-P", "-m", "kifabrik.engines.local.template", str(program), str(tmp_path)]
    for path in tmp_path.glob("told-*"):  # a test that kills a launcher alone leaves what that has started
        with suppress(ProcessLookupError, ValueError):
            os.killpg(json.loads(path.read_text())["pid"], signal.SIGKILL)


@pytest.fixture
def engine(tmp_path, command):
    engine = LocalEngine("n-1", tmp_path / "launchers", command, "http://factory")
    yield engine
    for attempt in engine.poll():
        engine.kill(attempt)
    engine.close()
    wait_until(lambda: Life.ALIVE not in engine.poll().values())


def told(tmp_path, attempt="a-aaaaaaaaaaaaaaaa"):
    path = tmp_path / f"told-{attempt}"
    wait_until(lambda: path.exists() and path.read_text().endswith("}"))
    return json.loads(path.read_text())


def test_a_launcher_is_told_its_task_over_standard_input_only(engine, tmp_path):
    engine.submit(task())
    said = told(tmp_path)
    assert said["task"] == {
        "factory": "http://factory",
        "ca_pem": "",
        "attempt": "a-aaaaaaaaaaaaaaaa",
        "token": "kfa-secret",
        "tenant": "t-x",
        "gpus": [0, 2],
    }
    for place in ("cmdline", "environ"):
        assert b"kfa-secret" not in Path(f"/proc/{said['pid']}/{place}").read_bytes()
    for path in (tmp_path / "launchers").iterdir():
        assert b"kfa-secret" not in path.read_bytes()


def test_a_launcher_leads_its_own_session(engine, tmp_path):
    engine.submit(task())
    said = told(tmp_path)
    assert said["session"] == said["pid"] != os.getsid(0)


def test_submitting_an_attempt_again_starts_nothing(engine, tmp_path):
    engine.submit(task())
    pid = told(tmp_path)["pid"]
    (tmp_path / "told-a-aaaaaaaaaaaaaaaa").unlink()
    engine.submit(task())
    assert json.loads((tmp_path / "launchers/a-aaaaaaaaaaaaaaaa.json").read_text())["pid"] == pid
    assert not (tmp_path / "told-a-aaaaaaaaaaaaaaaa").exists()


def test_a_new_engine_finds_the_launchers_of_the_one_before(engine, tmp_path, command):
    engine.submit(task())
    told(tmp_path)
    ended = threading.Event()
    later = LocalEngine("n-1", tmp_path / "launchers", command, "http://factory", on_exit=ended.set)
    assert later.poll() == {"a-aaaaaaaaaaaaaaaa": Life.ALIVE}
    later.kill("a-aaaaaaaaaaaaaaaa")
    assert ended.wait(60)
    wait_until(lambda: engine.poll() == {"a-aaaaaaaaaaaaaaaa": Life.GONE})
    later.close()


def test_the_end_of_a_launcher_is_told_at_once(tmp_path, command):
    ended = threading.Event()
    engine = LocalEngine("n-1", tmp_path / "launchers", command, "http://factory", on_exit=ended.set)
    engine.submit(task())
    pid = told(tmp_path)["pid"]
    assert not ended.is_set()
    os.kill(pid, signal.SIGKILL)
    assert ended.wait(60)
    assert engine.poll() == {"a-aaaaaaaaaaaaaaaa": Life.GONE}
    engine.close()


def test_killing_a_launcher_kills_what_it_started(engine, tmp_path):
    engine.submit(task())
    child = ProcessId.of(told(tmp_path)["child"])
    assert child.alive()
    engine.kill("a-aaaaaaaaaaaaaaaa")
    wait_until(lambda: not child.alive())
    wait_until(lambda: engine.poll() == {"a-aaaaaaaaaaaaaaaa": Life.GONE})


def test_a_launcher_that_is_gone_is_remembered_until_forgotten(engine, tmp_path):
    engine.submit(task())
    os.kill(told(tmp_path)["pid"], signal.SIGKILL)
    wait_until(lambda: engine.poll() == {"a-aaaaaaaaaaaaaaaa": Life.GONE})
    engine.forget("a-aaaaaaaaaaaaaaaa")
    assert engine.poll() == {}
    assert (tmp_path / "launchers/a-aaaaaaaaaaaaaaaa.log").read_text() == "started\n"


def test_a_launcher_that_lives_is_not_forgotten(engine, tmp_path):
    engine.submit(task())
    engine.forget("a-aaaaaaaaaaaaaaaa")
    assert engine.poll() == {"a-aaaaaaaaaaaaaaaa": Life.ALIVE}


def test_launchers_are_forked_from_one_template(engine, tmp_path):
    engine.warm_up()
    engine.submit(task("a-aaaaaaaaaaaaaaaa"))
    engine.submit(task("a-bbbbbbbbbbbbbbbb"))
    first, second = told(tmp_path, "a-aaaaaaaaaaaaaaaa"), told(tmp_path, "a-bbbbbbbbbbbbbbbb")
    assert first["parent"] == second["parent"] == engine._forge._pid
    assert first["argv"] == [str(tmp_path / "program.py"), str(tmp_path)]
    assert (first["task"]["attempt"], second["task"]["attempt"]) == ("a-aaaaaaaaaaaaaaaa", "a-bbbbbbbbbbbbbbbb")


def test_a_template_that_died_is_replaced_when_it_is_needed(engine, tmp_path):
    engine.warm_up()
    first = engine._forge._pid
    os.kill(first, signal.SIGKILL)
    engine.submit(task())
    assert told(tmp_path)["parent"] != first


def test_the_template_ends_with_the_service_and_launchers_do_not(tmp_path, command):
    service = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from kifabrik.engines.local.engine import LocalEngine
        from kifabrik.engines.local.processes import ProcessId
        from kifabrik.factory.capacity import Demand, Share
        from kifabrik.factory.engine import Task
        from kifabrik.values import Place, Resources
        engine = LocalEngine("n-1", Path({str(tmp_path / "launchers")!r}), {command!r}, "http://factory")
        share, demand = Share("n-1", 1, 1), Demand(Resources(), Place())
        engine.submit(Task("a-aaaaaaaaaaaaaaaa", "t-x", "kfa-secret", (share,), "r-x", demand, 60))
        template = ProcessId.of(engine._forge._pid)
        print(template, template.alive(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    ended = subprocess.run([sys.executable, "-c", service], stdout=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    template, alive = ended.stdout.split()
    assert alive == "True"
    launcher = ProcessId.of(told(tmp_path)["pid"])
    wait_until(lambda: not ProcessId.from_text(template).alive())
    assert launcher.alive()
    later = LocalEngine("n-1", tmp_path / "launchers", command, "http://factory")
    assert later.poll() == {"a-aaaaaaaaaaaaaaaa": Life.ALIVE}
    later.kill("a-aaaaaaaaaaaaaaaa")
    wait_until(lambda: not launcher.alive())
    later.close()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/nowhere/python"], "no launcher can be started: No such file"),
        ([sys.executable, "-m", "kifabrik.engines.local.template", "no.such.module"], "no launcher can be started"),
    ],
)
def test_a_program_that_cannot_be_started_is_an_error_of_ours(tmp_path, command, words):
    engine = LocalEngine("n-1", tmp_path / "launchers", command, "http://factory")
    with pytest.raises(UnavailableError, match=words):
        engine.submit(task())
    assert engine.poll() == {}
    engine.close()


def test_a_launcher_that_cannot_be_noted_is_not_started(engine, tmp_path):
    (tmp_path / "launchers/a-aaaaaaaaaaaaaaaa.partial").mkdir()  # as a full disk would, for root too
    before = set(Path("/proc/self/fd").iterdir())
    engine.warm_up()
    with pytest.raises(UnavailableError, match="launchers cannot be noted"):
        engine.submit(task())
    template = engine._forge._pid
    wait_until(lambda: not Path(f"/proc/{template}/task/{template}/children").read_text().split())
    assert not (tmp_path / "told-a-aaaaaaaaaaaaaaaa").exists()
    assert len(set(Path("/proc/self/fd").iterdir()) - before) <= 1  # the line to the template
    assert engine.poll() == {}


def test_a_launcher_whose_log_cannot_be_opened_is_not_started(engine, tmp_path):
    (tmp_path / "launchers/a-aaaaaaaaaaaaaaaa.log").mkdir()
    with pytest.raises(UnavailableError, match=r"a-aaaaaaaaaaaaaaaa\.log: Is a directory"):
        engine.submit(task())
    assert engine.poll() == {}


def test_a_launcher_that_said_nothing_leaves_no_log(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import sys\n\ndef main():\n    sys.stdin.readline()\n    return 0\n")
    command = [sys.executable, "-P", "-m", "kifabrik.engines.local.template", str(program)]
    engine = LocalEngine("n-1", tmp_path / "launchers", command, "http://factory")
    engine.submit(task())
    wait_until(lambda: engine.poll() == {"a-aaaaaaaaaaaaaaaa": Life.GONE})
    engine.forget("a-aaaaaaaaaaaaaaaa")
    assert [path.name for path in (tmp_path / "launchers").iterdir()] == ["template.log"]
    engine.close()


def test_the_engine_serves_its_own_node_only(engine):
    assert engine.serves("n-1")
    assert not engine.serves("n-2")


def test_launchers_that_ended_leave_no_zombie(engine, tmp_path):
    engine.submit(task())
    pid = told(tmp_path)["pid"]
    engine.kill("a-aaaaaaaaaaaaaaaa")
    wait_until(lambda: ProcessId.of(pid) is None)


def test_a_name_of_a_process_is_read_back_and_nothing_else_is():
    me = ProcessId.own()
    assert ProcessId.from_text(str(me)) == me
    for text in ("", "12", "12/13", "x/1/boot", "0123456789abcdef"):
        assert ProcessId.from_text(text) is None


def test_a_number_that_was_given_to_another_process_is_not_the_launcher():
    me = ProcessId.of(os.getpid())
    assert me.alive()
    assert not ProcessId(me.pid, me.started - 1, me.boot).alive()
    assert not ProcessId(me.pid, me.started, "another boot").alive()
    assert me.boot == boot_id()
