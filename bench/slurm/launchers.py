"""All launchers of a gang started at once on one machine: how long, how much memory, and what stops it.

    python bench/slurm/launchers.py [--most 64] [--rounds 2] [--json PATH]     root; ten minutes for 64

Each rank is real: a node of the cluster with a network and an agent of its own, a launcher that claims its part,
gets its keys from the customer's keyholder, builds its room, and starts a shell that says what time it is and
sleeps. Data is one small file. Beside it, each time, the same shell by `srun` in a bare job of as many nodes: what
Slurm alone needs. On a cluster every launcher has its node's cores; here all ranks share this machine's, so what a
rank costs (CPU, memory) says more than seconds, and what the service and the keyholder spend on it says how many
ranks one of them can serve.
"""

import json
import os
import re
import shutil
import statistics
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from crowd import ClusterSpec, children_of, clusters, cpu_of, cpu_of_all, memory_used, say, wait_for
from report import Bar, Picture, hand_on, parser
from slurm_stage import SlurmStage, slurm_parties

from kifabrik.customer.follow import read_log
from kifabrik.customer.sdk import RunFuture
from kifabrik.values import Place
from kifabrik.wiring.node import init_node, read_key

FOLDER = Path("/tmp/kifabrik-slurm-launchers")
SAYS = "echo first $(date +%s.%N)"
LAUNCHER, STUB = b"kifabrik.engines.local.template", b"/nodes/enter.py"
LIMIT_S = 420
"""So long all ranks of a gang may take to start."""
LEAST_FREE_MB = 2_500
"""Of the machine's memory; larger gangs are then not tried."""
EXTRA = "JobAcctGatherFrequency=task=0\n"
"""Else each step would look at every process of the machine every five seconds."""


class QuickStage(SlurmStage):
    """A stage whose nodes are made without two commands each."""

    def describe_node(self, name, country):
        """Make a node as `kifabrik node init --json` does, in this process."""
        home = self.node_home(name)
        config = init_node(home, place=Place(country), name=name, factory=self.factory_url)
        return json.dumps(asdict(config.record(read_key(home))))


@dataclass(frozen=True)
class Start:
    """What a gang's start took.

    Args:
        ranks: How many.
        running: Seconds from the order to the last rank's program, by its own clock.
        opened: Seconds until the last rank's line was opened at the customer's.
        bare: Seconds from `sbatch` of a bare job of as many nodes to its last rank's line.
        launcher_mb: Memory of one launcher, what it shares with others counted in parts (PSS).
        rank_mb: Memory of all of a rank: launcher, stub, room, Slurm's step.
        node_ms: Milliseconds of CPU on one rank's node: agent, launcher, stub, room.
        service_ms: Milliseconds of CPU that the service spends on one rank.
        keyholder_ms: The same of the keyholder.
    """

    ranks: int
    running: float
    opened: float
    bare: float
    launcher_mb: float
    rank_mb: float
    node_ms: float
    service_ms: float
    keyholder_ms: float


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--most", type=int, default=64, help="ranks of the largest gang, and nodes")
    made.add_argument("--rounds", type=int, default=2, help="gangs of each size; the fastest counts")
    wishes = made.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    spec = ClusterSpec(FOLDER / "cluster", nodes=wishes.most, gpus=0, own_network=True, extra=EXTRA)
    try:
        with clusters.running(spec, timeout=600) as cluster:
            (cluster.folder / "jobs").mkdir()
            (cluster.folder / "jobs").chmod(0o1777)
            (FOLDER / "parties").mkdir()
            used, began = memory_used(), time.monotonic()
            with slurm_parties(FOLDER / "parties", cluster, spec, QuickStage) as stage:
                took, more = time.monotonic() - began, memory_used() - used
                say(f"service, keyholder and {spec.nodes} agents", f"{took:.0f} s, {more:,} MB")
                agents = [agent.pid for agent in stage.agents.values()]
                say("  an agent, with its template (PSS)", f"{family_mb(agents) / len(agents):.0f} MB")
                starts = larger_and_larger(stage, wishes.most, wishes.rounds)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    hand_on(wishes.json, *pictures(starts))


def larger_and_larger(stage: SlurmStage, most: int, rounds: int) -> list[Start]:
    """Start gangs of 1, 2, 4 … nodes until one does not start; the first of each size warms its nodes."""
    stage.seal(stage.name("line"), {"values.csv": "n,value\n" + "1,2\n" * 50})
    stage.grant(stage.name("line"), "upkeep")
    starts: list[Start] = []
    columns = ("ranks", "program", "opened", "bare", "launcher", "a rank", "node", "service", "keyholder")
    print("".join(f"{name:>10}" for name in columns))
    print("".join(f"{unit:>10}" for unit in ("", "s", "s", "s", "MB", "MB", "CPU ms", "CPU ms", "CPU ms")))
    ranks = 1
    while ranks <= most:
        found: list[Start] = []
        for turn in range(rounds + 1):
            free = free_mb()
            if free < LEAST_FREE_MB + (starts[-1].rank_mb * ranks if starts else 0):
                print(f"{ranks} ranks are not tried: {free:,} MB are free")
                return starts
            try:
                start = one_gang(stage, ranks)
            except StartError as error:
                print(f"{ranks} ranks did not start: {error}")
                return starts
            found += [start] if turn else []
        best = min(found, key=lambda one: one.running)
        starts.append(best)
        values = [getattr(best, field.name) for field in fields(Start)]
        print(
            "".join(f"{value:>10}" if isinstance(value, int) else f"{value:>10.2f}" for value in values), flush=True
        )
        ranks *= 2
    return starts


class StartError(Exception):
    """A gang did not start."""


def one_gang(stage: SlurmStage, ranks: int) -> Start:
    """Order a gang, wait for every rank's line, look at its processes, stop it."""
    bare = by_srun(stage, ranks)
    spent = cpu_of_all(stage.service.pid), cpu_of(stage.keyholder.pid), spent_by_agents(stage)
    wishes = {"cpu": 1, "memory": "100MB", "nodes": ranks}
    job = stage.job(
        FOLDER / f"job-{ranks}", "", run=f"{SAYS}; exec sleep 900", resources=wishes, max_duration="20m"
    )
    began = time.time()
    run = stage.sdk.submit(job)
    try:
        said, opened = first_lines(stage, run, ranks, began)
        pids = processes_of(stage.job_of(run.run))
        launchers = [pid for pid, words in pids.items() if LAUNCHER in words]
        return Start(
            ranks=ranks,
            running=max(said) - began,
            opened=opened - began,
            bare=bare,
            launcher_mb=statistics.fmean(map(pss_mb, launchers)),
            rank_mb=sum(map(pss_mb, pids)) / ranks,
            node_ms=(sum(map(cpu_of, pids)) + spent_by_agents(stage) - spent[2]) / ranks * 1e3,
            service_ms=(cpu_of_all(stage.service.pid) - spent[0]) / ranks * 1e3,
            keyholder_ms=(cpu_of(stage.keyholder.pid) - spent[1]) / ranks * 1e3,
        )
    finally:
        run.cancel()
        stage.end(run)
        wait_for(lambda: not active(stage), 180, pause=0.5)


def first_lines(stage: SlurmStage, run: RunFuture, ranks: int, began: float) -> tuple[list[float], float]:
    """Follow the run's log to the last rank's line; return what time they say, and when that was opened here."""
    waker = threading.Timer(LIMIT_S, run.cancel)
    waker.start()
    said: list[float] = []
    try:
        for line in read_log(stage.sdk.session, run.run, follow=True):
            if line.text.startswith("first "):
                said.append(float(line.text.split()[1]))
                if len(said) == ranks:
                    return said, time.time()
    finally:
        waker.cancel()
    view = run.view()
    raise StartError(
        f"{len(said)} of them had after {time.time() - began:.0f} s; {view.reason or view.attempts[-1].outcome}"
    )


def by_srun(stage: SlurmStage, ranks: int) -> float:
    """Seconds from `sbatch` to the last line of as many ranks, started by `srun` as launchers are."""
    cluster = stage.cluster
    folder = cluster.folder / "jobs" / f"bare-{ranks}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    script = f"#!/bin/sh\nexec srun --output={folder}/%t /bin/sh -c '{SAYS}; exec sleep 900'\n"
    words = ("--parsable", f"--nodes={ranks}", f"--ntasks={ranks}", "--mem=100M", "--chdir=/", "--output=/dev/null")
    began = time.time()
    number = cluster.run("sbatch", *words, stdin=script).strip()
    said: list[str] = []

    def all_said() -> bool:
        said[:] = [text for file in folder.iterdir() if (text := file.read_text()).endswith("\n")]
        return len(said) == ranks

    try:
        wait_for(all_said, LIMIT_S)
    finally:
        cluster.run("scancel", number)
        wait_for(lambda: not active(stage), 180, pause=0.5)
    return max(float(text.split()[1]) for text in said) - began


def active(stage: SlurmStage) -> list[list[str]]:
    """Jobs that wait, run or are being cleared away."""
    return [job for job in stage.jobs() if job[1] in ("PENDING", "RUNNING", "COMPLETING")]


def processes_of(number: int) -> dict[int, bytes]:
    """Processes in the control groups of a Slurm job on any node, with their arguments."""
    inside = re.compile(rf"/job_{number}(/|$)", re.MULTILINE)
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if inside.search((process / "cgroup").read_text()):
                found[int(process.name)] = (process / "cmdline").read_bytes()
    return found


def pss_mb(pid: int) -> float:
    """Memory of a process, each shared page counted by its part (proc(5), smaps_rollup); 0 once it has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("\nPss:")[1].split()[0]) / 1000
    return 0.0


def spent_by_agents(stage: SlurmStage) -> float:
    """Seconds of CPU of all agents and their templates."""
    return sum(cpu_of(pid) for agent in stage.agents.values() for pid in (agent.pid, *children_of(agent.pid)))


def family_mb(parents: list[int]) -> float:
    """Memory of processes and their children."""
    return sum(pss_mb(pid) for parent in parents for pid in (parent, *children_of(parent)))


def free_mb() -> int:
    """Megabytes of the machine that can still be given away."""
    text = Path("/proc/meminfo").read_text()
    return int(text.split("MemAvailable:")[1].split()[0]) // 1024


def pictures(starts: list[Start]) -> list[Picture]:
    """Seconds by size, beside Slurm alone; memory."""
    cores = os.cpu_count()
    return [
        Picture(
            "All ranks of a gang started at once on one machine",
            "seconds",
            tuple(
                bar
                for one in starts
                for bar in (
                    Bar(f"{one.ranks} ranks: bare srun", one.bare),
                    Bar(f"{one.ranks} ranks: sealed, order to last program", one.running, "ours"),
                )
            ),
            f"All nodes share {cores} cores; on a cluster each launcher has its own node's.",
        ),
        Picture(
            "What one rank takes",
            "MB",
            tuple(
                bar
                for one in starts
                for bar in (
                    Bar(f"{one.ranks} ranks: launcher", one.launcher_mb, "ours"),
                    Bar(f"{one.ranks} ranks: with stub, room and step", one.rank_mb, "ours"),
                )
            ),
            "Shared pages are counted in parts: each launcher shares with its own agent's template alone.",
            less_is_better=True,
        ),
    ]


if __name__ == "__main__":
    main()
