from pathlib import Path

import pytest

from kifabrik.engines.slurm.account_plan import unix_user
from kifabrik.errors import UsageError
from kifabrik.upkeep.job import HookJob

USER = "kf-p6n5ttka3uva4rbk"
SAID = {
    "SLURM_JOB_ID": "17",
    "SLURM_JOB_UID": "1234",
    "SLURM_JOB_USER": USER,
    "SLURMD_NODENAME": "n3",
    "SLURM_JOB_GPUS": "5,0",
    "SLURM_CONF": "/etc/slurm/slurm.conf",
}


def test_what_slurm_says_is_read():
    job = HookJob.from_environment(SAID)
    assert job == HookJob(17, 1234, USER, "n3", (0, 5), conf=Path("/etc/slurm/slurm.conf"))
    assert job.ours


def test_a_tenants_user_is_ours_and_others_are_not():
    assert unix_user("t-p6n5ttka3uva4rbkzrapqhsnefaob6bg") == USER
    for other in ("alice", "kf-alice", "kf-P6N5TTKA3UVA4RBK", f"{USER}x", "", f"{USER}\n"):
        assert not HookJob.from_environment(SAID | {"SLURM_JOB_USER": other}).ours


def test_root_is_never_taken_for_a_tenant():
    assert not HookJob.from_environment(SAID | {"SLURM_JOB_UID": "0"}).ours


def test_a_job_that_slurm_has_requeued_says_so():
    assert HookJob.from_environment(SAID).restarts == 0
    assert HookJob.from_environment(SAID | {"SLURM_JOB_RESTART_COUNT": "2"}).restarts == 2


def test_a_job_without_gpus_has_none():
    without = {name: value for name, value in SAID.items() if name != "SLURM_JOB_GPUS"}
    assert HookJob.from_environment(without).gpus == ()


@pytest.mark.parametrize("listed", ["MIG-3f2a", "0-3", "0,", "0;1", "٣"])
def test_gpus_nobody_can_read_are_not_taken_for_none(listed):
    job = HookJob.from_environment(SAID | {"SLURM_JOB_GPUS": listed})
    assert (job.gpus, job.unreadable) == ((), listed)


@pytest.mark.parametrize("name", ["SLURM_JOB_ID", "SLURM_JOB_UID", "SLURMD_NODENAME"])
def test_whoever_calls_without_slurm_is_told_so(name):
    with pytest.raises(UsageError, match="Slurm did not say for which job"):
        HookJob.from_environment({key: value for key, value in SAID.items() if key != name})
