"""The agent's answer, head-room, devices, scripts."""

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from kifabrik.errors import UsageError
from kifabrik.launcher.care import NodeCare, Scrub
from kifabrik.nodes.agent import ALIVE, Agent, AgentSettings
from kifabrik.signatures.keys import SigningKey
from kifabrik.upkeep.agent import QUESTION, agent_fault
from kifabrik.upkeep.drain import own_name
from kifabrik.upkeep.fitness import missing_devices, no_room
from kifabrik.upkeep.scripts import Hook, script


@pytest.fixture
def agent(tmp_path):
    """Start an agent that says this; None says nothing and keeps the line."""
    listening = []

    def start(answer):
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.bind(str(tmp_path / "agent"))
        line.listen()
        listening.append(line)

        def work():
            heard, _ = line.accept()
            listening.append(heard)
            assert heard.recv(100) == QUESTION == ALIVE
            if answer is not None:
                heard.send(answer)
                heard.close()

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    yield start
    for line in listening:
        line.close()


def test_an_agent_that_answers_is_alive(tmp_path, agent):
    thread = agent(b"0 ")
    assert agent_fault(tmp_path / "agent", patience_s=60) == ""
    thread.join()


@pytest.mark.skipif(os.geteuid() != 0, reason="the prolog is root")
def test_the_agent_answers_root_without_starting_anything(tmp_path):
    def serves(*_):
        raise AssertionError

    settings = AgentSettings(tmp_path / "agent", tmp_path / "launchers", "https://factory.test")
    agent = Agent(settings, SigningKey.generate(), nodes=serves, forge=serves)
    thread = threading.Thread(target=agent.serve)
    thread.start()
    try:
        assert agent_fault(tmp_path / "agent", patience_s=60) == ""
    finally:
        agent.close()
        thread.join()
    assert "does not run" in agent_fault(tmp_path / "agent")


def test_an_agent_that_hangs_is_not(tmp_path, agent):
    thread = agent(None)
    assert agent_fault(tmp_path / "agent", patience_s=0.2) == "the node agent does not answer within 0.2 s"
    thread.join()


@pytest.mark.parametrize("answer", [b"", b"75 the agent failed"])
def test_an_agent_that_answers_something_else_is_not(tmp_path, agent, answer):
    thread = agent(answer)
    assert agent_fault(tmp_path / "agent", patience_s=60) == f"the node agent answers {answer.decode()!r}"
    thread.join()


def test_an_agent_that_is_not_there_is_named_by_its_socket(tmp_path):
    path = tmp_path / "agent"
    assert agent_fault(path) == f"the node agent does not run ({path}: No such file or directory)"
    path.touch()
    assert "Connection refused" in agent_fault(path)


def test_the_task_of_an_array_is_named_apart_from_the_array():
    """As Slurm 22.05.8 writes it: the last task has the number of the whole array."""
    said = (
        "JobId=230 ArrayJobId=230 ArrayTaskId=4 ArrayTaskThrottle=3 JobName=a b JobState=RUNNING\n"
        "JobId=233 ArrayJobId=230 ArrayTaskId=3 JobName=JobId=230 JobState=RUNNING\n"
    )
    assert (own_name(230, said), own_name(233, said)) == ("230_4", "230_3")
    assert own_name(17, "JobId=17 JobName=x Requeue=0\n") == "17"
    assert own_name(17, "") == "17"


def test_too_little_disk_or_memory_is_said_with_both_numbers(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000 kB\nMemAvailable:    2048 kB\n")
    runs = tmp_path / "not" / "there" / "yet"
    assert list(no_room(NodeCare(runs, least_disk=1, least_memory=2048 * 1024), meminfo)) == []
    disk, memory = no_room(NodeCare(runs, least_disk=10**24, least_memory=2048 * 1024 + 1), meminfo)
    assert f"of disk are free in {tmp_path}, 1000000000 PB are needed" in disk
    assert memory == "2.1 MB of memory are free, 2.1 MB are needed"


def test_a_gpu_whose_device_is_gone_is_named(tmp_path):
    (tmp_path / "nvidia0").symlink_to("/dev/null")
    (tmp_path / "nvidia1").touch()  # no device
    assert list(missing_devices((0, 1, 2), tmp_path)) == [
        f"GPU {number} is gone: {tmp_path}/nvidia{number} does not exist" for number in (1, 2)
    ]


def test_settings_are_read_and_wrong_ones_named(tmp_path):
    file = tmp_path / "node.toml"
    file.write_text(
        'scrub = "all"\nlocks = "/run/elsewhere"\nleast_disk = "2GB"\nrun_uids = {first = 5000, count = 9}\n'
    )
    care = NodeCare.load(tmp_path)
    assert (care.scrub, care.least_disk, care.runs) == (Scrub.ALL, 2 * 10**9, tmp_path / "runs")
    assert (care.uids.first, care.uids.count, care.uids.locks) == (5000, 9, Path("/run/elsewhere/uids"))
    assert care.gpu_locks == Path("/run/elsewhere/gpus")
    file.write_text('name = "n7"\nsocket = "/run/agents/%n.sock"')
    assert NodeCare.load(tmp_path).socket == Path("/run/agents/n7.sock")
    for wrong in ('scrub = "some"', "run_uids = 5", 'least_disk = "much"', "scrub ="):
        file.write_text(wrong)
        with pytest.raises(UsageError, match=r"node\.toml"):
            NodeCare.load(tmp_path)
    with pytest.raises(UsageError, match="No such file"):
        NodeCare.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("hook", "user", "gpus", "runs"),
    [
        (Hook.PROLOG, "kf-p6n5ttka3uva4rbk", "", True),
        (Hook.PROLOG, "alice", "0", False),
        (Hook.EPILOG, "kf-p6n5ttka3uva4rbk", "", True),
        (Hook.EPILOG, "alice", "0", True),  # whether hers are scrubbed is a setting
        (Hook.EPILOG, "alice", "", False),
    ],
)
def test_the_script_starts_python_only_for_a_job_that_may_need_it(tmp_path, hook, user, gpus, runs):
    file = tmp_path / "hook"
    file.write_text(script(hook, tmp_path).replace("exec ", "echo "))
    environment = {"SLURM_JOB_USER": user} | ({"SLURM_JOB_GPUS": gpus} if gpus else {})
    said = subprocess.run(["/bin/sh", file], env=environment, capture_output=True, text=True, check=True).stdout
    assert bool(said) == runs
    assert not runs or f"node {hook} --home {tmp_path}" in said


def test_a_home_with_blanks_is_quoted_in_the_script(tmp_path):
    assert f"--home '{tmp_path}/a home'" in script(Hook.EPILOG, tmp_path / "a home")
