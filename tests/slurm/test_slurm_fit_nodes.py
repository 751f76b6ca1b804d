"""Sealed runs on a cluster with prolog and epilog: nodes stay fit, and one that is not is passed over."""

import os
import shutil
import signal
from pathlib import Path

import cluster as clusters
import pytest
from cluster_config import ClusterSpec
from slurm_stage import slurm_parties
from waiting import eventually

from kifabrik.runs.states import RunState
from kifabrik.upkeep.scripts import Hook, script
from living_trees import folders_below

FIRST_UID = 2_500_000 + os.getpid() % 100_000 * 100
FOREVER = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
DISPATCHER = '#!/bin/sh\n[ ! -x "{folder}/$SLURMD_NODENAME-{hook}" ] || exec "{folder}/$SLURMD_NODENAME-{hook}"\n'


@pytest.fixture(scope="module")
def stage():
    """Two nodes with the hooks, each with user ids and locks of its own; a customer with a sealed dataset."""
    reason = clusters.missing()
    if reason:
        pytest.skip(reason)
    folder = Path(f"/tmp/kifabrik-fit-{os.getpid()}")
    folder.mkdir(mode=0o755)
    for hook in Hook:
        (folder / hook).write_text(DISPATCHER.format(folder=folder, hook=hook))
        (folder / hook).chmod(0o755)
    spec = ClusterSpec(
        folder / "cluster", nodes=2, gpus=0, own_network=True, prolog=str(folder / "prolog"),
        epilog=str(folder / "epilog"),
    )  # fmt: skip
    with clusters.running(spec) as cluster:
        (cluster.folder / "jobs").mkdir()
        (cluster.folder / "jobs").chmod(0o1777)
        (folder / "parties").mkdir()
        with slurm_parties(folder / "parties", cluster, spec) as playing:
            for number, name in enumerate(spec.node_names):
                _care(playing, name, FIRST_UID + 10 * number)
                for hook in Hook:
                    file = folder / f"{name}-{hook}"
                    file.write_text(script(hook, playing.node_home(name)))
                    file.chmod(0o755)
            playing.seal(playing.name("line"), {"values.csv": "n,value\n" + "1,2\n" * 50})
            playing.grant(playing.name("line"), "upkeep")
            yield playing
    shutil.rmtree(folder)


def _care(stage, name, first_uid):
    """Give a node user ids that no other session has, and little to ask for; start its agent anew."""
    settings = stage.node_home(name) / "node.toml"
    others = [line for line in settings.read_text().splitlines() if not line.startswith("run_uids =")]
    own = [f"run_uids = {{first = {first_uid}, count = 10}}", 'least_disk = "1MB"', 'least_memory = "1MB"']
    settings.write_text("\n".join([*own, *others]) + "\n")
    stage.agents[name].terminate()
    stage.agents[name].wait()
    stage.start_agent(name)
    stage.wait_for_agent(name)


def state(stage, name):
    return stage.cluster.run("sinfo", "--noheader", f"--nodes={name}", "--partition=main", "--format=%T|%E").strip()


def node_of(stage, run):
    number = str(stage.job_of(run.run))
    return next(nodes for _, _, found, nodes in stage.jobs() if found == number)


def launcher_of(stage, run):
    name = f"/job_{stage.job_of(run.run)}/"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = name in (process / "cgroup").read_text()
            if inside and b"engines.local.template" in (process / "cmdline").read_bytes():
                return int(process.name)
        except OSError:
            continue
    raise AssertionError


def left_of(stage, name):
    """What is on the machine of a node's runs: folders and control groups."""
    home = stage.node_home(name)
    number = int(name.removeprefix("n")) - 1
    uids = range(FIRST_UID + 10 * number, FIRST_UID + 10 * number + 10)
    groups = [
        path for path in folders_below(Path("/sys/fs/cgroup")) if path.name in map("kifabrik-{}".format, uids)
    ]
    return [*(home / "runs").glob("a-*"), *groups]


def test_a_run_with_hooks_succeeds_and_its_node_stays_fit(stage, tmp_path):
    code = "from pathlib import Path\nPath('/out/model').mkdir()\nPath('/out/model/file').write_text('made')"
    run = stage.order(tmp_path / "job", code, outputs={"model": "/out/model"})
    run.result(timeout=120).pull("model", tmp_path / "pulled")
    assert (tmp_path / "pulled" / "file").read_text() == "made"
    eventually(lambda: {state(stage, name) for name in stage.spec.node_names} == {"idle|none"})
    assert [left_of(stage, name) for name in stage.spec.node_names] == [[], []]


def test_what_a_killed_launcher_leaves_is_gone_and_its_node_stays_fit(stage, tmp_path):
    run = stage.order(tmp_path / "job", FOREVER)
    stage.wait_for_line(run.run, "begun")
    node = node_of(stage, run)
    assert left_of(stage, node)
    stage.agents[node].send_signal(signal.SIGSTOP)  # so that it is not the agent who clears up
    try:
        os.kill(launcher_of(stage, run), signal.SIGKILL)
        stage.cluster.run("scancel", "--signal=KILL", "--full", str(stage.job_of(run.run)))
        eventually(lambda: state(stage, node) == "idle|none")
        assert left_of(stage, node) == []
    finally:
        stage.agents[node].send_signal(signal.SIGCONT)
    stage.end(run)


def test_a_run_on_a_node_that_is_not_fit_goes_to_another_within_the_same_attempt(stage, tmp_path):
    """Slurm cancels what it may not requeue: that would look as if somebody had stopped the run."""
    for agent in stage.agents.values():
        agent.send_signal(signal.SIGSTOP)
    stage.cluster.run("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=not now")
    try:
        run = stage.order(tmp_path / "job", FOREVER)
        eventually(lambda: "kifabrik: the node agent does not answer within 20 s" in state(stage, "n1"))
        stage.agents["n2"].send_signal(signal.SIGCONT)
        job = str(stage.job_of(run.run))
        eventually(lambda: [job, "PENDING"] in [[number, its] for _, its, number, *_ in stage.jobs()])
        stage.cluster.run("scontrol", "update", "NodeName=n2", "State=RESUME")
        # Slurm would let it wait for two minutes, so that no credential of it is used twice.
        stage.cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now")
        stage.wait_for_line(run.run, "begun")
        view = stage.sdk.session.runs.show(run.run)
        assert (len(view.attempts), node_of(stage, run)) == (1, "n2")
        assert "Requeue=0 Restarts=1" in stage.cluster.run("scontrol", "show", "job", job)
        assert state(stage, "n1").startswith("drained|kifabrik: ")
        run.cancel()
        assert stage.end(run).state is RunState.STOPPED
    finally:
        stage.agents["n1"].send_signal(signal.SIGCONT)
        stage.cluster.run("scontrol", "update", "NodeName=n1", "State=RESUME")
