"""The governor's permit on a real Slurm: jobs beyond it wait, and say for what."""

import subprocess

import pytest

from kifabrik.engines.slurm.account_plan import ORGANIZATION, PARENT
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.power import limit_power


@pytest.fixture
def parent(cluster):
    """The account above those of all tenants."""
    manage = ("sacctmgr", "-iQ")
    cluster.run(*manage, "add", "account", PARENT, f"Organization={ORGANIZATION}", f"Description={ORGANIZATION}")
    cluster.run(*manage, "add", "user", "root", f"Account={PARENT}")
    yield PARENT
    for what in (("user", "where", "Name=root", f"Account={PARENT}"), ("account", "where", f"Name={PARENT}")):
        subprocess.run([*manage, "remove", *what], check=False, capture_output=True, env=cluster.env)


def grp_tres(cluster):
    words = ("-nP", "show", "associations", f"account={PARENT}", "format=User,GrpTRES")
    rows = [line.split("|") for line in cluster.run("sacctmgr", *words).splitlines()]
    return next(limit for user, limit in rows if not user)


def state_of(cluster, job):
    return cluster.run("squeue", "--noheader", f"--jobs={job}", "--format=%T %r").strip()


def test_gpus_beyond_the_permit_are_not_given_and_all_are_when_it_ends(cluster, parent, eventually):
    commands = SlurmCommands(cluster.conf)
    assert limit_power(commands, 0.26) == "gres/gpu=8"
    assert grp_tres(cluster) == "gres/gpu=8"
    words = (
        "--parsable",
        f"--account={parent}",
        "--nodes=1",
        "--gres=gpu:6",
        "--output=/dev/null",
        "--wrap=sleep 600",
    )
    first, second = (cluster.run("sbatch", *words).strip() for _ in range(2))
    try:
        eventually(lambda: state_of(cluster, first).startswith("RUNNING"))
        eventually(lambda: state_of(cluster, second) == "PENDING AssocGrpGRES")
        assert limit_power(commands, 1.0) == "gres/gpu=-1"
        assert grp_tres(cluster) == ""
        eventually(lambda: state_of(cluster, second).startswith("RUNNING"))
    finally:
        cluster.run("scancel", first, second)
