"""`kifabrik node prolog` and `epilog`, as slurmd calls them, on a machine without Slurm."""

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from kifabrik.cli.main import cli
from kifabrik.errors import UnavailableError, UsageError

OURS = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_UID": "998877",
    "SLURM_JOB_USER": "kf-p6n5ttka3uva4rbk",
    "SLURMD_NODENAME": "n1",
    "SLURM_CONF": "/nonexistent/slurm.conf",
}


def call(hook, home, said, *options):
    environment = {name: None for name in os.environ if name.startswith("SLURM")} | said
    if "SLURM_CONF" in said:
        (home.parent / "slurm.conf").write_text("Nonsense\n")  # where there is Slurm, it refuses at once
        environment["SLURM_CONF"] = str(home.parent / "slurm.conf")
    return CliRunner().invoke(cli, ["node", hook, "--home", str(home), *options], env=environment)


@pytest.mark.parametrize("hook", ["prolog", "epilog"])
def test_whoever_calls_it_by_hand_is_told_what_calls_it(hook, tmp_path):
    ran = call(hook, tmp_path, {})
    assert isinstance(ran.exception, UsageError)
    assert "--print-script" in ran.exception.hint


@pytest.mark.parametrize("hook", ["prolog", "epilog"])
@pytest.mark.parametrize("gpus", [{}, {"SLURM_JOB_GPUS": "0"}, {"SLURM_JOB_GPUS": "MIG-1"}])
def test_a_job_of_others_is_let_through_whatever_is_wrong_with_the_node(hook, gpus, tmp_path):
    ran = call(hook, tmp_path / "nowhere", OURS | {"SLURM_JOB_USER": "alice"} | gpus)
    assert (ran.exit_code, ran.output) == (0, "")


@pytest.mark.parametrize("hook", ["prolog", "epilog"])
def test_a_node_whose_settings_cannot_be_read_is_not_fit_for_ours(hook, tmp_path):
    ran = call(hook, tmp_path / "nowhere", OURS)
    assert isinstance(ran.exception, UnavailableError)
    assert ran.exception.message == f"{tmp_path}/nowhere/node.toml: No such file or directory"
    assert ran.exception.hint.startswith("Slurm was not told: ")  # Slurm drains it by itself then


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_every_fault_is_said_and_none_in_words_of_python(tmp_path):
    (tmp_path / "node.toml").write_text(
        f'socket = "{tmp_path}/none"\nlocks = "{tmp_path}/locks"\nleast_disk = "1000000000GB"\n'
        f"run_uids = {{first = {3_000_000 + os.getpid()}, count = 1}}\n"
    )
    ran = call("prolog", tmp_path, OURS | {"SLURM_JOB_GPUS": "0"}, "--dev", str(tmp_path))
    assert "the node agent does not run" in ran.exception.message
    assert f"GPU 0 is gone: {tmp_path}/nvidia0 does not exist" in ran.output
    assert "of disk are free" in ran.output


@pytest.mark.parametrize("hook", ["prolog", "epilog"])
def test_the_printed_script_is_one_a_shell_takes(hook, tmp_path):
    ran = call(hook, tmp_path, {}, "--print-script")
    file = tmp_path / hook
    file.write_text(ran.output)
    file.chmod(0o755)
    done = subprocess.run([file], env=OURS | {"SLURM_JOB_USER": "alice"}, check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert subprocess.run(["/bin/sh", "-n", file], check=False).returncode == 0
    assert f"--home {Path(tmp_path).resolve()}" in ran.output
