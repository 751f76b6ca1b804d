"""Running programs as Slurm's are run, with programs of this machine in their place."""

import os
import pwd
import subprocess
import sys
import time

import pytest

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.failures import failure
from kifabrik.engines.slurm.hostlists import expand
from kifabrik.engines.slurm.version import SlurmVersion
from kifabrik.errors import (
    CapacityError,
    IntegrityError,
    KifabrikError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as another user")


def test_an_argument_is_an_argument_and_no_shell_reads_it():
    assert SlurmCommands().run("printf", "%s|", "a b", "$(id)", "; true", "*") == "a b|$(id)|; true|*|"


def test_a_program_gets_an_environment_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET", "x")
    said = SlurmCommands(tmp_path / "slurm.conf").run("env")
    assert "SECRET" not in said
    assert f"SLURM_CONF={tmp_path}/slurm.conf" in said
    assert "TZ=UTC" in said


@as_root
def test_as_another_user_nothing_of_the_services_groups_is_left():
    program = """
import os, sys
os.setgroups([0, 4])
from kifabrik.engines.slurm.commands import SlurmCommands
print(SlurmCommands().run("id", "-G"), SlurmCommands().run("id", "-G", user="daemon"), end="")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    own, theirs = done.stdout.split("\n")[:2]
    assert "4" in own.split()
    assert theirs.split() == [str(pwd.getpwnam("daemon").pw_gid)]


@as_root
def test_as_another_user_files_of_the_service_cannot_be_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    assert SlurmCommands().run("cat", str(secret)) == "x"
    with pytest.raises(KifabrikError, match="Permission denied"):
        SlurmCommands().run("cat", str(secret), user="daemon")


def test_users_that_do_not_exist_are_named():
    with pytest.raises(NotFoundError, match="kf-nobody-at-all"):
        SlurmCommands().run("id", user="kf-nobody-at-all")


def test_a_program_that_does_not_end_is_given_up():
    start = time.monotonic()
    with pytest.raises(UnavailableError, match=r"within 0\.2 s"):
        SlurmCommands().run("sleep", "60", patience_s=0.2)
    assert time.monotonic() - start < 50


def test_a_missing_program_and_a_zero_byte_are_errors_of_ours():
    with pytest.raises(UnavailableError, match="not on this machine"):
        SlurmCommands().run("squeue-that-is-not-there")
    with pytest.raises(UsageError, match="zero byte"):
        SlurmCommands().run("echo", "a\0b")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", UnavailableError),
        ("sbatch: error: Munge encode failed: Failed to access /run/munge/munge.socket.2", UnavailableError),
        ("sbatch: error: Invalid account or account/partition combination specified", RefusedError),
        ("sbatch: error: invalid partition specified: x", UsageError),
        ("sbatch: error: Requested node configuration is not available", CapacityError),
        ("sbatch: error: QOSMaxSubmit\nsbatch: error: Job violates accounting/QOS policy", CapacityError),
        ("slurm_kill_job2() failed Invalid job id specified", NotFoundError),
        ("sinfo: fatal: Could not establish a configuration source", UnavailableError),
        ("something new", KifabrikError),
    ],
)  # fmt: skip
def test_complaints_become_errors_that_keep_slurms_words(said, error):
    found = failure("sbatch", 1, said)
    assert type(found) is error
    assert said.splitlines()[-1].rpartition(": ")[2][:40] in found.message


@pytest.mark.parametrize(
    ("text", "version"),
    [("slurm-wlm 22.05.8", (22, 5, 8)), ("slurm 25.11.0-0rc1", (25, 11, 0)), ("slurm 24.05", (24, 5, 0))],
)
def test_versions(text, version):
    found = SlurmVersion.from_text(text)
    assert (found.year, found.month, found.micro) == version


def test_something_else_is_not_slurm():
    with pytest.raises(UnavailableError):
        SlurmVersion.from_text("git version 2.39")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ("n1",)),
        ("n[1-3,7],gpu[009-010]b,login", ("n1", "n2", "n3", "n7", "gpu009b", "gpu010b", "login")),
        ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
        ("", ()),
        ("None assigned", ()),
        ("(null)", ()),
    ],
)
def test_hostlists(text, names):
    assert expand(text) == names


@pytest.mark.parametrize("text", ["n[1-", "n[a-b]", "n[1-9999999]", "n 1", "n[]", ",", "n;id", "n[0-999][0-999]"])
def test_what_is_no_hostlist_is_refused(text):
    with pytest.raises(IntegrityError):
        expand(text)
