"""Prolog and epilog, called by a real slurmd: what jobs leave is cleared, and a node that is not fit is drained."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import cluster as clusters
import pytest
from cluster_config import ClusterSpec
from users import add_user, remove_user

import leavings
import plain_gpu
from conftest import USERS
from kifabrik.upkeep.scripts import Hook, script
from plain_gpu import PlainGpu

NODES = ("n1", "n2")
FIRST_UID = 2_000_000 + os.getpid() % 100_000 * 100
DISPATCHER = '#!/bin/sh\nexec "{folder}/$SLURMD_NODENAME/{hook}"\n'
KIFABRIK = str(Path(sys.executable).with_name("kifabrik"))
OURS = USERS[0].replace("tenant", "hooked")
"""Not one of the users of the session's own cluster: it is removed with this module's."""
CLUSTER = Path(f"/tmp/kifabrik-slurm-hooked-{os.getpid()}")
ALL_PAGES = list(range(16))


class Node:
    """One node: its home, GPUs of ordinary memory, and what belongs to its runs."""

    def __init__(self, folder, number, dev):
        self.name, self.home = f"n{number}", folder / f"n{number}"
        self.first_uid = FIRST_UID + 10 * number
        self.gpu = PlainGpu(self.home / "gpu", minors=(0, 1), pages=len(ALL_PAGES)).build()
        command = [KIFABRIK, "node", "init", "--home", str(self.home), "--name", self.name, "--factory"]
        # Nobody is asked: of the agent only its answer matters here.
        subprocess.run([*command, "https://factory.invalid"], check=True, capture_output=True)
        self.settings = (self.home / "node.toml").read_text()
        self.set(scrub="ours")
        for hook in Hook:
            text = script(hook, self.home, "--dev", str(dev), "--driver", str(self.gpu.driver))
            text = text.replace("exec ", f"export LD_LIBRARY_PATH={self.gpu.folder}\nexec ")
            (self.home / hook).write_text(text)
            (self.home / hook).chmod(0o755)

    def set(self, scrub):
        (self.home / "node.toml").write_text(
            f'scrub = "{scrub}"\nlocks = "{self.home}/locks"\nleast_disk = "1MB"\nleast_memory = "1MB"\n'
            f'socket = "{self.home}/agent.sock"\n'
            f"run_uids = {{first = {self.first_uid}, count = 10}}\n{self.settings}"
        )


@pytest.fixture(scope="module")
def hooks():
    """The nodes, in a folder of homes and scripts that slurm.conf can name before the cluster has one."""
    reason = clusters.missing() or plain_gpu.missing()
    if reason:
        pytest.skip(reason)
    folder = Path(f"/tmp/kifabrik-slurm-hooks-{os.getpid()}")
    folder.mkdir()
    for hook in Hook:
        (folder / hook).write_text(DISPATCHER.format(folder=folder, hook=hook))
        (folder / hook).chmod(0o755)
    yield {f"n{number}": Node(folder, number, CLUSTER / "dev") for number in (1, 2)}
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def hooked(hooks):
    """Two nodes of two GPUs each, with prolog, epilog and an agent."""
    folder, homes = CLUSTER, hooks["n1"].home.parent
    spec = ClusterSpec(
        folder, nodes=2, gpus=2, own_network=True, prolog=str(homes / "prolog"), epilog=str(homes / "epilog"),
        beside={"agent": (KIFABRIK, "node", "serve", "--home", f"{homes}/{{node}}")},
    )  # fmt: skip
    with clusters.running(spec) as found:
        (folder / "jobs").mkdir()
        (folder / "jobs").chmod(0o1777)
        for user in (OURS, "daemon"):
            if user == OURS:
                add_user(user)
            found.run("sacctmgr", "-i", "add", "account", f"of-{user}", "Description=x", "Organization=x")
            found.run("sacctmgr", "-i", "add", "user", user, f"Account=of-{user}")
        yield found
    remove_user(OURS)
    shutil.rmtree(folder)


@pytest.fixture
def nodes(hooked, hooks, eventually):
    """The nodes, all fit at the beginning of each test."""
    yield hooks
    hooked.run("scancel", "--quiet", "--state=PENDING")
    hooked.run("scancel", "--quiet", "--state=RUNNING", "--signal=KILL", "--full")
    eventually(lambda: not hooked.run("squeue", "--noheader").strip())
    for name, node in hooks.items():
        node.gpu.fail()
        node.set(scrub="ours")
        shutil.rmtree(node.home / "locks", ignore_errors=True)
        if state(hooked, name) != "idle":
            hooked.run("scontrol", "update", f"NodeName={name}", "State=RESUME")
    eventually(lambda: {state(hooked, name) for name in NODES} == {"idle"})


@pytest.fixture
def uid(hooked):
    """The tenant's user."""
    return pwd.getpwnam(OURS).pw_uid


def state(cluster, name):
    return cluster.run("sinfo", "--noheader", f"--nodes={name}", "--partition=main", "--format=%T").strip()


def reason(cluster, name):
    return cluster.run("sinfo", "--noheader", "--list-reasons", f"--nodes={name}", "--format=%200E").strip()


def submit(cluster, body, *options, user=OURS):
    return cluster.run("sbatch", "--parsable", "--chdir=/", f"--output={cluster.folder}/jobs/%A.out", "--mem=30M",
                       *options, user=user, stdin=f"#!/bin/sh\n{body}\n").strip()  # fmt: skip


def ended(cluster, number):
    """Whether a job is over, its epilog included."""
    return not cluster.run("squeue", "--noheader", f"--jobs={number}", "--states=R,PD,CG,CF,S").strip()


def where(cluster, number):
    return cluster.run("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={number}",
                       "--format=NodeList,State").strip()  # fmt: skip


def running(cluster, number):
    return cluster.run("squeue", "--noheader", f"--jobs={number}", "--states=R", "--format=%N").strip()


def test_the_gpus_of_a_job_are_overwritten_and_the_node_stays(hooked, nodes, eventually):
    for node in nodes.values():
        node.gpu.use(0), node.gpu.use(1)
    number = submit(hooked, "echo $SLURM_JOB_GPUS", "--nodelist=n1", "--gpus-per-node=h200:1")
    eventually(lambda: ended(hooked, number))
    given = int((hooked.folder / "jobs" / f"{number}.out").read_text())
    assert nodes["n1"].gpu.holds(given) == []
    assert nodes["n1"].gpu.holds(1 - given) == nodes["n2"].gpu.holds(given) == ALL_PAGES
    assert [(state(hooked, name), reason(hooked, name)) for name in NODES] == [("idle", "")] * 2


def test_what_a_job_and_its_run_leave_is_gone_after_it(hooked, nodes, uid, eventually):
    number = submit(hooked, "sleep 600", "--nodelist=n1")
    eventually(lambda: running(hooked, number))
    node = nodes["n1"]
    of_the_run = leavings.stubborn_process(node.first_uid)
    of_the_user = leavings.stubborn_process(uid, {"SLURM_JOB_ID": number})
    leavings.sysv_objects(uid)
    leavings.queue(uid, f"left-{number}")
    files = [
        leavings.file_of(uid, Path(f"{folder}/kf-left-{number}")) for folder in ("/tmp", "/var/tmp", "/dev/shm")
    ]
    files.append(leavings.file_of(node.first_uid, Path(f"/tmp/kf-run-{number}")))
    attempt = node.home / "runs" / "attempt"
    attempt.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "kifabrik", attempt], check=True)
    try:
        hooked.run("scancel", number)
        eventually(lambda: ended(hooked, number))
        assert [leavings.lives(pid) for pid in (of_the_run, of_the_user)] == [False, False]
        assert [file for file in files if file.exists()] == []
        assert leavings.sysv_of(uid) == []
        assert not attempt.is_mount()
        assert not attempt.exists()
        assert (state(hooked, "n1"), reason(hooked, "n1")) == ("idle", "")
    finally:
        leavings.end(of_the_run), leavings.end(of_the_user)
        subprocess.run(["umount", attempt], check=False, capture_output=True)


def test_what_belongs_to_another_job_of_the_same_user_stays_until_that_ends(hooked, nodes, uid, eventually):
    first = submit(hooked, "sleep 600", "--nodelist=n1")
    second = submit(hooked, "sleep 600", "--nodelist=n1")
    eventually(lambda: running(hooked, first) and running(hooked, second))
    file = leavings.file_of(uid, Path(f"/tmp/kf-shared-{second}"))
    mine = leavings.stubborn_process(uid, {"SLURM_JOB_ID": first})
    others = leavings.stubborn_process(uid, {"SLURM_JOB_ID": second})
    try:
        hooked.run("scancel", first)
        eventually(lambda: ended(hooked, first))
        assert (leavings.lives(mine), leavings.lives(others), file.exists()) == (False, True, True)
        assert running(hooked, second)
        hooked.run("scancel", second)
        eventually(lambda: ended(hooked, second))
        assert (leavings.lives(others), file.exists()) == (False, False)
    finally:
        leavings.end(mine), leavings.end(others)
        file.unlink(missing_ok=True)


def test_a_gpu_that_cannot_be_scrubbed_takes_the_node_out_and_the_next_job_goes_elsewhere(
    hooked, nodes, eventually
):
    nodes["n1"].gpu.fail("memset")
    nodes["n1"].gpu.use(0), nodes["n1"].gpu.use(1)
    number = submit(hooked, "true", "--nodelist=n1", "--gpus-per-node=h200:2")
    eventually(lambda: ended(hooked, number))
    assert reason(hooked, "n1").startswith("kifabrik: GPU 0 is not scrubbed: memory at ")
    assert state(hooked, "n1") == "drained"
    after = submit(hooked, "true", "--gpus-per-node=h200:1")
    eventually(lambda: ended(hooked, after))
    assert where(hooked, after) == "n2|COMPLETED"
    assert (state(hooked, "n2"), reason(hooked, "n2")) == ("idle", "")


def test_what_cannot_be_removed_takes_the_node_out_and_is_named(hooked, nodes, uid, eventually):
    file = leavings.file_of(uid, Path(f"/tmp/kf-stuck-{os.getpid()}"))
    if subprocess.run(["chattr", "+i", file], check=False, capture_output=True).returncode:
        pytest.skip("this filesystem has no immutable files")
    try:
        number = submit(hooked, "true", "--nodelist=n1")
        eventually(lambda: ended(hooked, number))
        assert reason(hooked, "n1") == (
            f"kifabrik: file {file} of user {OURS} cannot be removed: Operation not permitted"
        )
    finally:
        subprocess.run(["chattr", "-i", file], check=True)
        file.unlink()


def test_a_node_without_its_agent_is_taken_out_and_the_job_runs_on_another(hooked, nodes, eventually):
    hooked.kill("n1.agent")
    try:
        number = submit(hooked, "true", "--exclude=n2")
        eventually(lambda: reason(hooked, "n1"))
        assert reason(hooked, "n1").startswith("kifabrik: the node agent does not run (")
        eventually(lambda: hooked.run("squeue", "--noheader", f"--jobs={number}", "--states=PD").strip())
        # Slurm lets a job whose prolog failed wait for two minutes, so that no credential of it is used twice.
        hooked.run("scontrol", "update", f"JobId={number}", "ExcNodeList=", "StartTime=now")
        eventually(lambda: ended(hooked, number))
        assert where(hooked, number) == "n2|COMPLETED"
        assert state(hooked, "n2") == "idle"
    finally:
        hooked.start("n1.agent")


def test_of_an_array_only_the_task_whose_node_is_not_fit_may_be_requeued(hooked, nodes, eventually):
    hooked.kill("n1.agent")
    try:
        # One task can run at a time. It has a number of its own; the last would have that of the whole array.
        number = submit(hooked, "true", "--exclude=n2", "--array=1-3%1", "--no-requeue")
        show = ("scontrol", "--oneliner", "show", "job", number)
        eventually(lambda: hooked.run(*show).count("Requeue=1") == 1)
        lines = {line.split("ArrayTaskId=")[1].split()[0]: line for line in hooked.run(*show).splitlines()}
        assert "Requeue=1" in lines["1"]
        assert all("Requeue=0" in line for task, line in lines.items() if task != "1")
        eventually(lambda: "JobState=PENDING" in hooked.run("scontrol", "--oneliner", "show", "job", f"{number}_1"))
    finally:
        hooked.run("scancel", number)
        hooked.start("n1.agent")


def test_leftovers_found_before_a_job_are_cleared_and_the_job_runs(hooked, nodes, eventually):
    left = leavings.stubborn_process(nodes["n1"].first_uid + 3)
    try:
        number = submit(hooked, "true", "--nodelist=n1")
        eventually(lambda: ended(hooked, number))
        assert where(hooked, number) == "n1|COMPLETED"
        assert not leavings.lives(left)
        assert reason(hooked, "n1") == ""
    finally:
        leavings.end(left)


def test_a_gpu_a_killed_run_has_had_is_scrubbed_before_the_next_job(hooked, nodes, eventually):
    """Where an epilog was cut short, such as by a node that lost its power."""
    node = nodes["n1"]
    (node.home / "locks" / "gpus").mkdir(parents=True)
    for minor in (0, 1):
        (node.home / "locks" / "gpus" / f"{minor}.used").touch()
        node.gpu.use(minor)
    number = submit(hooked, "sleep 600", "--nodelist=n1", "--gpus-per-node=h200:2")
    eventually(lambda: running(hooked, number))
    eventually(lambda: node.gpu.holds(0) == node.gpu.holds(1) == [])


@pytest.mark.parametrize("scrub", ["ours", "all"])
def test_jobs_of_others_are_let_through_and_nothing_of_theirs_is_touched(hooked, nodes, scrub, eventually):
    hooked.kill("n1.agent")
    daemon = pwd.getpwnam("daemon").pw_uid
    file = leavings.file_of(daemon, Path(f"/tmp/kf-foreign-{os.getpid()}"))
    process = leavings.stubborn_process(daemon)
    node = nodes["n1"]
    node.set(scrub=scrub)
    node.gpu.use(0), node.gpu.use(1)
    try:
        number = submit(hooked, "true", "--nodelist=n1", "--gpus-per-node=h200:2", user="daemon")
        eventually(lambda: ended(hooked, number))
        assert where(hooked, number) == "n1|COMPLETED"
        assert (file.exists(), leavings.lives(process)) == (True, True)
        assert node.gpu.holds(0) == node.gpu.holds(1) == ([] if scrub == "all" else ALL_PAGES)
        assert (state(hooked, "n1"), reason(hooked, "n1")) == ("idle", "")
    finally:
        leavings.end(process)
        file.unlink()
        hooked.start("n1.agent")
