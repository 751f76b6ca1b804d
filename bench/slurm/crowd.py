"""A served factory of many tenants on a cluster of many nodes, for benchmarks; all of it is gone afterwards.

The cluster is that of `tests/slurm`, tenants sign up over HTTP with keys of their own, and `AccountSync` makes
their accounts, QOS and Unix users. Runs of a load are copies of one that was really ordered, written into the
database as orders leave them there: waiting. From then on everything is the service's own doing.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/slurm"), str(ROOT / "bench")]

import cluster as clusters
from cluster_config import ClusterSpec

from kifabrik.client.runs import Runs
from kifabrik.engines.slurm.account_plan import unix_user
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.factory.allowances import Limits
from kifabrik.factory.capacity import Gpu
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.run_records import Run
from kifabrik.factory.sweep_records import Admitted
from kifabrik.runs.states import RunState
from kifabrik.signatures.keys import SigningKey
from kifabrik.values import Kind, Place, Resources, format_time, new_id, now_utc, sha256_hex, task_run
from kifabrik.wiring.factory import init_home
from kifabrik.wiring.factory_config import FILE
from kifabrik.wiring.slurm_accounts import account_sync
from parties import FactoryProcess, Party, Person
from players import LOCK, an_order

GPU_BYTES = 141 * 10**9
IN_A_BATCH = 500
SETTINGS = """
engine = "slurm"
[slurm]
conf = "{conf}"
output = "{jobs}/%j.out"
stub = {stub}
"""
SLEEPS = ["/bin/sh", "-c", "exec sleep {seconds}"]
"""A stub that starts no launcher: where what is measured is who is given what, and when."""


@dataclass
class Crowd:
    """The factory, its cluster and its tenants."""

    cluster: clusters.Cluster
    spec: ClusterSpec
    served: FactoryProcess
    parties: list[Party]

    @property
    def tenants(self) -> list[str]:
        """Tenant ids."""
        return [party.tenant for party in self.parties]

    @property
    def users(self) -> list[str]:
        """Their Unix users."""
        return [unix_user(tenant) for tenant in self.tenants]

    @property
    def commands(self) -> SlurmCommands:
        """Slurm's."""
        return SlurmCommands(self.cluster.conf, patience_s=300)

    def limit(self, limits: Limits, *parties: Party) -> None:
        """Limit tenants, all unless told which, and tell Slurm."""
        for party in parties or self.parties:
            self.served.inside.runs.fleet.set_limits(party.tenant, limits)
        self.sync()

    def sync(self) -> None:
        """Bring Slurm's accounts in step, as `kifabrik admin slurm sync --yes --make-users` does."""
        syncing = account_sync(self.served.home, self.cluster.conf)
        syncing.do(syncing.plan(make_users=True), done=lambda _step: None)

    def order(self, person: Person, **wishes) -> str:
        """Order a run over HTTP; return its id."""
        return Runs(person.connection).order(*an_order(person, **wishes), LOCK, None).run

    def add_runs(
        self, model: Run, tenants: Sequence[str], each: int, *, tasks: int = 0, alike: bool = False
    ) -> None:
        """Have runs wait that are like another one, `each` of every tenant; with `tasks`, as sweeps of so many.

        Unless they are to be alike, each may last a second longer than the one before: none asks for the same.
        """
        orders = [(tenant, new_id(Kind.RUN)) for tenant in tenants for _ in range(each // (tasks or 1))]
        for first in range(0, len(orders), IN_A_BATCH):
            with self.served.inside.store.write() as transaction:
                for number, (tenant, name) in enumerate(orders[first : first + IN_A_BATCH]):
                    lasting = model.cap_s + (0 if alike or tasks else number)
                    self._enter(transaction, replace(model, cap_s=lasting), tenant, name, tasks)

    def _enter(self, transaction, model: Run, tenant: str, name: str, tasks: int) -> None:
        digest = sha256_hex(name.encode())
        fresh = {"state": RunState.QUEUED, "finished": "", "stop": None, "revision": 1}
        fresh |= {"tenant": tenant, "order": digest, "sweep": name if tasks else ""}
        names = [task_run(name, number) for number in range(1, tasks + 1)] or [name]
        runs = [replace(model, run=one, **fresh) for one in names]
        order = Admitted(tenant, digest, name, name, tasks, 0, 0, model.created)
        self.served.inside.runs.book.enter(transaction, order, (), runs)

    def keyholders_call(self) -> None:
        """Let all tenants' keyholders have called lately, for the next two hours."""
        seen = format_time(now_utc() + timedelta(hours=2))
        with self.served.inside.store.write() as transaction:
            for tenant in self.tenants:
                transaction.accounts.set_keyholder_seen(tenant, seen)

    def states(self) -> dict[str, int]:
        """How many jobs of tenants are in which state."""
        found: dict[str, int] = {}
        for state in self.cluster.run("squeue", "--noheader", "--states=all", "--format=%T").split():
            found[state] = found.get(state, 0) + 1
        return found

    def tasks(self) -> int:
        """How many jobs wait or run, each task of an array for one."""
        said = self.cluster.run("squeue", "--noheader", "--array", "--states=PENDING,RUNNING", "--format=%T")
        return len(said.split())

    def clear(self) -> None:
        """Cancel every job and wait until the nodes are idle again."""
        self.cluster.run("scancel", "--quiet", "--me")
        for user in self.users:
            self.cluster.run("scancel", "--quiet", f"--user={user}")
        wait_for(lambda: not {"PENDING", "RUNNING", "COMPLETING"} & self.states().keys(), 600, pause=1.0)


@contextmanager
def crowd(spec: ClusterSpec, tenants: int, *, stub_s: int = 600, limits: Limits) -> Iterator[Crowd]:
    """Build all of it, and take it down again: jobs, daemons, users and folders."""
    folder = spec.folder
    shutil.rmtree(folder, ignore_errors=True)
    began, before, users = time.monotonic(), memory_used(), list[str]()
    try:
        with clusters.running(replace(spec, folder=folder / "cluster"), timeout=900) as cluster:
            say(
                f"{spec.nodes:,} nodes, {spec.nodes * spec.gpus:,} GPUs, idle after",
                f"{time.monotonic() - began:.0f} s, {memory_used() - before:,} MB",
            )
            (cluster.folder / "jobs").mkdir()
            (cluster.folder / "jobs").chmod(0o1777)
            served = serve(folder / "factory", cluster, stub_s)
            made = Crowd(cluster, spec, served, [])
            try:
                enrol_nodes(made)
                made.parties += [served.sign_up() for _ in range(tenants)]
                users += made.users
                made.limit(limits)
                made.keyholders_call()
                yield made
            finally:
                served.process.kill()
                served.process.wait()
                served.inside.store.close()
    finally:  # after their jobs, as a user whose processes live cannot be removed
        for user in users:
            subprocess.run(["userdel", user], check=False, capture_output=True)
    shutil.rmtree(folder)


def serve(home: Path, cluster: clusters.Cluster, stub_s: int) -> FactoryProcess:
    """Serve a factory whose jobs on the cluster sleep."""
    init_home(home, port=0)
    stub = [word.format(seconds=stub_s) for word in SLEEPS]
    settings = SETTINGS.format(conf=cluster.conf, jobs=cluster.folder / "jobs", stub=stub)
    (home / FILE).write_text(f'host = "127.0.0.1"\nport = 0\n{settings}')
    return FactoryProcess(home)


def enrol_nodes(made: Crowd) -> None:
    """Enrol all nodes, as their operator would."""
    spec, store = made.spec, made.served.inside.store
    gpus = tuple(Gpu(index, "H200", GPU_BYTES) for index in range(spec.gpus))
    with store.write() as transaction:
        for name in spec.node_names:
            transaction.runs.put_node(
                NodeRecord(
                    node=new_id(Kind.NODE),
                    name=name,
                    key=SigningKey.generate().public.hex,
                    place=Place("DE"),
                    cpus=spec.cpus,
                    memory_bytes=spec.memory_mb * 2**20,
                    gpus=gpus,
                    pythons=("3.11",),
                    created=format_time(now_utc()),
                )
            )


def gpus(count: int, nodes: int = 1) -> Resources:
    """What a run asks for: so many GPUs on each of its nodes, and little else."""
    return Resources(cpus=1, memory_bytes=10**8, gpu_count=count, gpu_model="H200", nodes=nodes)


def wait_for(holds, seconds: float, pause: float = 0.05) -> None:
    """Wait for something that happens elsewhere.

    Raises:
        TimeoutError: It did not.
    """
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(pause)


def memory_used() -> int:
    """Megabytes of the machine that are in use."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    values = {line[0]: int(line[1]) // 1024 for line in lines}
    return values["MemTotal:"] - values["MemAvailable:"]


def cpu_of(pid: int) -> float:
    """Seconds of CPU of a process, its threads and the commands it has run to their end (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(int(fields[number]) for number in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def cpu_of_all(pid: int) -> float:
    """The same, with all processes below it that live."""
    used = cpu_of(pid)
    for child in children_of(pid):
        with suppress(OSError):
            used += cpu_of_all(child)
    return used


def children_of(pid: int) -> list[int]:
    """Processes that the threads of one have started and that live."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in thread.read_text().split()]
    return found


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def say(what: str, value: str) -> None:
    """Print one figure."""
    print(f"{what:<72} {value:>22}", flush=True)
