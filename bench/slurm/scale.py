"""How large a cluster one machine can play, and what a look at it costs.

    python bench/slurm/scale.py [NODES]      root; 1,250 nodes of 8 GPUs unless told otherwise; about two minutes

Prints, each measured once: start of the cluster and its memory, a gang over all GPUs from sbatch to running, 10,000
waiting jobs as one array, one look of the factory at all of them, single submissions beside bare sbatch.
"""

import resource
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "slurm"))

import cluster as clusters
from cluster_config import ClusterSpec

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.job_facts import JobKey
from kifabrik.engines.slurm.queue_view import QueueView
from kifabrik.engines.slurm.script import Submission, arguments
from kifabrik.engines.slurm.states import Phase
from kifabrik.engines.slurm.submission import Submitter
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.values import Resources

USER = "daemon"
SLEEP = "#!/bin/sh\nsleep 600\n"
ONE_GPU = Resources(cpus=1, memory_bytes=10**8, gpu_count=1)
LATER = "now+1hours"
SINGLES = 200


def memory_used() -> int:
    """Megabytes of the machine that are in use."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    values = {line[0]: int(line[1]) // 1024 for line in lines}
    return values["MemTotal:"] - values["MemAvailable:"]


def cpu() -> float:
    """Seconds of CPU of this process and the commands it ran."""
    own, commands = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + commands.ru_utime + commands.ru_stime


def timed(label, work, times=1):
    """Run once and say what each of `times` things took."""
    wall, used = time.monotonic(), cpu()
    result = work()
    wall, used = (time.monotonic() - wall) / times, (cpu() - used) / times
    print(f"  {label:<44} {wall * 1000:9.1f} ms wall {used * 1000:8.1f} ms CPU", flush=True)
    return result


def measure(cluster, nodes: int) -> None:
    commands = SlurmCommands(cluster.conf, patience_s=300)
    commands.run("sacctmgr", "-iQ", "add", "account", "bench", "Description=bench", "Organization=bench")
    commands.run("sacctmgr", "-iQ", "add", "user", USER, "Account=bench")
    view = QueueView(commands)
    submitter = Submitter(commands, view)

    def gang():
        wish = Submission("gang", Resources(cpus=4, memory_bytes=10**8, gpu_count=8, nodes=nodes), 600)
        job = submitter.submit(wish, SLEEP, USER)
        while view.look([], [USER]).jobs[JobKey(job)].phase is not Phase.RUNNING:
            time.sleep(0.05)
        return job

    job = timed(f"a gang of {nodes * 8:,} GPUs, sbatch to running", gang)
    submitter.cancel(job)
    time.sleep(10)
    later = SlurmOptions(array="0-9999", begin=LATER)
    timed("10,000 runs as one array, submitted", lambda: submitter.submit(
        Submission("array", ONE_GPU, 3600, later), SLEEP, USER))  # fmt: skip
    for _ in range(3):
        timed("one look at 10,000 waiting runs", lambda: view.look([], [USER]))
    wishes = [Submission(f"single-{n}", ONE_GPU, 3600, SlurmOptions(begin=LATER)) for n in range(2 * SINGLES)]

    def bare():
        for wish in wishes[SINGLES:]:
            cluster.run("sbatch", *arguments(wish), user=USER, stdin=SLEEP)

    timed("one single run, bare sbatch", bare, SINGLES)
    timed("one single run, through the factory's engine",
          lambda: [submitter.submit(wish, SLEEP, USER) for wish in wishes[:SINGLES]], SINGLES)  # fmt: skip


def main() -> None:
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 1250
    folder = Path("/tmp/kifabrik-slurm-bench")
    before, start = memory_used(), time.monotonic()
    with clusters.running(ClusterSpec(folder, nodes=nodes), timeout=900) as cluster:
        took, used = time.monotonic() - start, memory_used() - before
        print(f"{nodes:,} nodes, {nodes * 8:,} GPUs: idle after {took:.0f} s, {used:,} MB", flush=True)
        measure(cluster, nodes)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
