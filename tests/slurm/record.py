"""Records what a real Slurm writes about jobs in every condition, for the tests that read it without a Slurm.

    python tests/slurm/record.py       (root; about three minutes)

Writes tests/unit/engines/recorded/slurm-VERSION-*.txt|json. Job names say what condition they are in.
"""

import platform
import re
import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import cluster as clusters  # noqa: E402
from cluster_config import ClusterSpec  # noqa: E402

from kifabrik.engines.slurm import node_view, queue_text  # noqa: E402
from kifabrik.engines.slurm.commands import SlurmCommands  # noqa: E402

TARGET = HERE.parent / "unit" / "engines" / "recorded"
FOLDER = Path("/tmp/kifabrik-slurm-record")
USER = "daemon"
EPILOG = """#!/bin/sh
[ "$SLURM_JOB_PARTITION" != slow ] || sleep 60
"""


def main() -> None:
    """Build a cluster, bring jobs into every condition, record."""
    FOLDER.mkdir(exist_ok=True)
    epilog = Path("/tmp/kifabrik-slurm-record-epilog")
    epilog.write_text(EPILOG)
    epilog.chmod(0o755)
    extra = (
        "PartitionName=slow Nodes=n6 State=UP PreemptMode=OFF PriorityTier=10\n"
        "PartitionName=down Nodes=n1 State=DOWN PreemptMode=OFF\n"
        "PartitionName=short Nodes=n1 MaxTime=5 State=UP PreemptMode=OFF PriorityTier=10\n"
    )
    spec = ClusterSpec(FOLDER, nodes=6, grace_s=1, epilog=str(epilog), extra_partitions=extra)
    with clusters.running(spec) as cluster:
        _accounts(cluster)
        _jobs(cluster)
        _write(cluster)
    shutil.rmtree(FOLDER)
    epilog.unlink()


def _accounts(cluster: clusters.Cluster) -> None:
    cluster.run("sacctmgr", "-i", "add", "account", "acme", "Description=recorded", "Organization=test")
    cluster.run("sacctmgr", "-i", "add", "account", "small", "Description=recorded", "Organization=test",
                "GrpTRES=gres/gpu=1", "GrpJobs=1")  # fmt: skip
    cluster.run("sacctmgr", "-i", "add", "qos", "two-gpus", "GrpTRES=gres/gpu=2")
    cluster.run("sacctmgr", "-i", "add", "user", USER, "Account=acme")
    cluster.run("sacctmgr", "-i", "add", "user", USER, "Account=small")
    cluster.run("sacctmgr", "-i", "modify", "user", USER, "set", "QOS+=two-gpus")
    cluster.run("scontrol", "create", "reservation", "ReservationName=later", f"Users={USER}", "Nodes=n4",
                "StartTime=now+2hours", "Duration=60")  # fmt: skip


def _jobs(cluster: clusters.Cluster) -> None:
    def submit(name: str, script: str = "sleep 900", *options: str) -> str:
        arguments = ["--parsable", "--chdir=/", "--output=/dev/null", "--mem=50M", f"--job-name={name}", *options]
        return cluster.run("sbatch", *arguments, user=USER, stdin=f"#!/bin/sh\n{script}\n").strip()

    # Ended ones first. The shortest time limit is a minute.
    submit("timeout", "sleep 900", "--time=1", "--nodelist=n6")
    submit("completed", "true")
    submit("failed-3", "exit 3")
    submit("failed-signal", "kill -SEGV $$")
    submit("out-of-memory", "python3 -c 'bytearray(300_000_000)'", "--nodelist=n6")
    submit("bad|name, with \x1f and\n1\x1fa line of its own", "true")
    submit("array-ended", "exit $SLURM_ARRAY_TASK_ID", "--array=0-1")
    cancelled = submit("cancelled")
    node_fail = submit("node-fail", "sleep 900", "--nodelist=n5", "--no-requeue")
    node_requeue = submit("node-requeued", "sleep 900", "--nodelist=n5", "--requeue", "--gpus-per-node=1")
    _wait(cluster, cancelled, "RUNNING")
    cluster.run("scancel", cancelled)
    _wait(cluster, node_fail, "RUNNING")
    _wait(cluster, node_requeue, "RUNNING")
    cluster.run("scontrol", "update", "NodeName=n5", "State=DOWN", "Reason=fan | broken, see ticket 12")
    preempted = submit("preempted-requeued", "sleep 900", "--partition=scavenge", "--nodelist=n3", "--exclusive")
    _wait(cluster, preempted, "RUNNING")
    submit("running-preemptor", "sleep 900", "--nodelist=n3", "--exclusive", "--time=60")
    cluster.run("scontrol", "update", "NodeName=n4", "State=DRAIN", "Reason=GPU 3 has ECC errors")
    gone = submit("requeued-by-hand", "sleep 900", "--nodelist=n6")
    _wait(cluster, gone, "RUNNING")
    cluster.run("scontrol", "requeuehold", gone)
    time.sleep(75)  # the time limit of `timeout`
    # What runs and what waits.
    submit("running-gpus", "sleep 900", "--gpus-per-node=h200:4", "--nodelist=n1", "--time=60")
    several = submit("running-several-nodes", "sleep 900", "--nodes=2", "--nodelist=n1,n2", "--time=60")
    submit("array", "sleep 900", "--array=1-9:2%2", "--nodelist=n6", "--time=60")
    cluster.run("sbatch", "--parsable", "--chdir=/", "--output=/dev/null", "--job-name=het", "--mem=50M",
                "--ntasks=1", ":", "--mem=60M", "--ntasks=2", "--wrap=sleep 900", user=USER)  # fmt: skip
    submit("completing", "true", "--partition=slow", "--nodelist=n6", "--time=5")
    submit("waits-licences", "sleep 900", "--licenses=solver:2", "--nodelist=n2", "--time=30")
    submit("waits-licences", "sleep 900", "--licenses=solver:1", "--nodelist=n2", "--time=30")
    for _ in range(2):
        submit("waits-qos-gpus", "sleep 900", "--qos=two-gpus", "--gpus-per-node=2", "--nodelist=n2", "--time=30")
        submit("waits-account-jobs", "sleep 900", "--account=small", "--nodelist=n2", "--time=30")
    submit("waits-account-gpus", "sleep 900", "--account=small", "--gpus-per-node=2", "--nodelist=n2", "--time=30")
    time.sleep(3)
    submit("waits-resources", "sleep 900", "--gpus-per-node=8", "--nodes=5", "--time=60")
    submit("waits-priority", "sleep 900", "--gpus-per-node=8", "--nodes=5", "--time=60", "--nice=100")
    submit("waits-dependency", "true", f"--dependency=afterok:{several}")
    submit("waits-never", "true", f"--dependency=afterok:{cancelled}", "--kill-on-invalid-dep=no")
    submit("waits-begin", "true", "--begin=now+1hour")
    submit("waits-held-user", "true", "--hold")
    held = submit("waits-held-admin", "true", "--begin=now+1hour")
    cluster.run("scontrol", "hold", held)
    submit("waits-reservation", "true", "--reservation=later")
    submit("waits-partition-down", "true", "--partition=down")
    submit("waits-partition-time", "true", "--partition=short", "--time=60")
    submit("waits-drained-node", "true", "--nodelist=n4")
    time.sleep(8)


def _wait(cluster: clusters.Cluster, number: str, state: str) -> None:
    ask = ("squeue", "--noheader", "--states=all", f"--jobs={number}", "--format=%T")
    clusters._until(
        lambda: cluster.run(*ask).strip() == state,
        60,
        f"{number} is not {state}",
        pause=0.2,
    )  # fmt: skip


def _write(cluster: clusters.Cluster) -> None:
    commands = SlurmCommands(cluster.conf)
    start = "--starttime=now-1hour"
    said = {
        "squeue.txt": commands.run("squeue", *queue_text.queue_arguments()),
        "squeue.json": commands.run("squeue", "--json", "--states=all", "--all"),
        "sacct.txt": commands.run("sacct", *queue_text.accounting_arguments(), "--allusers", start),
        "sacct.json": commands.run("sacct", "--json", "--allocations", "--allusers", start),
        "nodes.txt": commands.run("scontrol", *node_view.node_arguments()),
        "config.txt": commands.run("scontrol", "show", "config"),
        "config-accounting.txt": commands.run("sacctmgr", "show", "config"),
        "partitions.txt": commands.run("scontrol", *node_view.partition_arguments()),
    }
    TARGET.mkdir(exist_ok=True)
    for name, text in said.items():
        # The machine's own name and the scratch folder are nobody's business and change with every recording.
        clean = text.replace(str(FOLDER), "/cluster").replace(_kernel(), "6.1.0")
        clean = re.sub(rf"\b{re.escape(platform.node())}\b", "host", clean)
        (TARGET / f"slurm-{commands.version}-{name}").write_text(clean)


def _kernel() -> str:
    uname = platform.uname()
    return f"{uname.release} {uname.version}"


if __name__ == "__main__":
    main()
