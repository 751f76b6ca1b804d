"""What a room may be asked to contain."""

import shutil
import subprocess
from pathlib import Path

import pytest

from kifabrik.errors import UsageError
from kifabrik.sandbox.limits import Limits
from kifabrik.sandbox.room import RoomSpec
from kifabrik.sandbox.stage import job_script, variables_script

LIMITS = Limits(memory_bytes=1 << 30, cpus=3)
HERE = Path("/srv/x")


def spec(**parts):
    return RoomSpec(**({"command": ("true",), "limits": LIMITS} | parts))


@pytest.mark.parametrize(
    "inside",
    ["/", "/usr/lib", "/etc", "/proc/1", "/dev", "/tmp", "/home", "/home/job", "/run", "/run/room/job", "/sys"],
)
def test_a_mount_cannot_replace_what_the_room_makes(inside):
    with pytest.raises(UsageError):
        spec(read_only={inside: HERE})


@pytest.mark.parametrize("inside", ["data", "../data", "/data/../etc", "", "/da\0ta", "/da\udcffta"])
def test_a_mount_needs_a_plain_absolute_path(inside):
    with pytest.raises(UsageError, match="not a path in the room"):
        spec(read_only={inside: HERE})


def test_mounts_beneath_tmp_and_home_are_fine():
    shown = spec(read_only={"/tmp/cache": HERE, "/home/job/.cache": HERE}).fittings()
    assert [str(one.inside) for one in shown] == ["/tmp/cache", "/home/job/.cache"]


def test_nothing_is_mounted_inside_a_read_only_mount():
    with pytest.raises(UsageError, match="inside /data"):
        spec(read_only={"/data/press": HERE, "/data": HERE})
    assert spec(read_only={"/out/extra": HERE}, writable={"/out": HERE}).fittings()[0].inside.name == "out"


def test_two_mounts_cannot_share_a_path():
    with pytest.raises(UsageError, match="two mounts at /work"):
        spec(read_only={"/work": HERE}, workdir=HERE)


@pytest.mark.parametrize("command", [(), ("",), "", "   ", ("a\0b",), "a\0b", "\udcff"])
def test_an_unusable_command_is_refused(command):
    with pytest.raises(UsageError):
        spec(command=command)


@pytest.mark.parametrize("environment", [{"A=B": "1"}, {"": "1"}, {"A": "x\0y"}, {"1A": "x"}, {"A": "\ud800"}])
def test_an_unusable_environment_is_refused(environment):
    with pytest.raises(UsageError):
        spec(environment=environment)


@pytest.mark.parametrize(
    "environment", [{"A": "ü" * 65_535}, {f"A{number}": "x" * 100_000 for number in range(11)}]
)
def test_an_environment_no_program_can_be_given_is_refused(environment):
    with pytest.raises(UsageError, match="too large for any program"):
        spec(environment=environment)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_variables_reach_the_command_as_they_are_and_nothing_in_them_is_run(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    said = {"A": 'it\'s $HOME `id` "q"\n two', "IFS": ",", "UID": "7", "OPTIND": "x", "B": "", "PATH": "/x"}
    script = variables_script(said)
    assert script.endswith("exec /bin/sh /run/room/command\n")
    script = script.replace("exec /bin/sh /run/room/command", "exec /usr/bin/env -0")
    program = [shutil.which(shell), *(["--posix"] if shell == "bash" else []), "-c", script]
    ran = subprocess.run(program, env={}, capture_output=True, text=True, check=True)
    seen = dict(line.split("=", 1) for line in ran.stdout.split("\0") if line)
    assert (seen["A"], seen["B"], seen["PATH"]) == (said["A"], "", "/x")


def test_a_gpu_must_be_a_device_file():
    with pytest.raises(UsageError):
        spec(gpu_devices=(Path("/dev/../etc/shadow"),))


def test_the_jobs_variables_stand_over_the_defaults(monkeypatch):
    monkeypatch.setenv("LAUNCHER_SECRET", "x")
    variables = spec(environment={"TMPDIR": "/work"}, env_tree=HERE).variables()
    assert variables["TMPDIR"] == "/work"
    assert variables["PATH"].startswith("/env/bin:")
    assert variables["OMP_NUM_THREADS"] == "3"
    assert "LAUNCHER_SECRET" not in variables


def test_an_interpreter_beneath_usr_needs_no_mount():
    assert spec(python_prefix=Path("/usr")).fittings() == ()
    assert [str(one.inside) for one in spec(python_prefix=Path("/root/python")).fittings()] == ["/root/python"]


def test_words_reach_the_job_unchanged():
    assert job_script(("echo", "a b", "$HOME", "'")) == "exec echo 'a b' '$HOME' ''\"'\"''\n"
