"""Two parties whose factory sends its runs to a real Slurm cluster, with an agent on each of its nodes."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import cluster as clusters
import pytest
from cluster_config import ClusterSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "acceptance"))

from two_parties import KIFABRIK, Stage, two_parties
from users import remove_user

from kifabrik.engines.slurm.account_plan import unix_user

_FIRST_UID = 20_000_000 + os.getpid() % 10_000 * 100_000
"""Nodes on one machine must not share user ids of runs, nor locks; nor must the nodes of two sessions."""

_AGENTS_AT_ONCE = 4

SETTINGS = """
engine = "slurm"
[slurm]
conf = "{conf}"
socket = "{sockets}/%n.sock"
output = "{jobs}/%j.out"
"""


@dataclass
class SlurmStage(Stage):
    """Both parties, playing on a cluster."""

    cluster: clusters.Cluster = None
    spec: ClusterSpec = None
    agents: dict = field(default_factory=dict)
    sockets: Path = None
    settings: str = ""
    """More lines of `[slurm]` in factory.toml."""

    def start_service(self):
        """Start it on the cluster; the first time, make the nodes and say which cluster it is."""
        home = self.factory.home
        self.sockets = self.cluster.folder / "agents"
        self.sockets.mkdir(exist_ok=True)
        self.sockets.chmod(0o755)
        first = not (home / "factory").exists()
        if first:
            (home / "factory").mkdir(mode=0o700)
            text = f'host = "0.0.0.0"\nport = {self.port}\n' + SETTINGS.format(
                conf=self.cluster.conf, sockets=self.sockets, jobs=self.cluster.folder / "jobs"
            )
            text += self.settings
            (home / "factory" / "factory.toml").write_text(text)
        super().start_service()
        if first:
            self.enrol([self.make_node(name) for name in self.spec.node_names])
            self.start_agents()

    def node_home(self, name):
        return self.factory.home / "nodes" / name

    def make_node(self, name, country="DE"):
        """Make a node of a cluster's node, as its operator would; return what it is enrolled by."""
        home = self.node_home(name)
        self.describe_node(name, country)
        settings = home / "node.toml"
        text = settings.read_text()
        for setting, claimed in (("cpus", self.spec.cpus), ("memory", self.spec.memory_mb * 2**20)):
            line = next(line for line in text.splitlines() if line.startswith(f"{setting} ="))
            text = text.replace(line, f"{setting} = {claimed}")
        gpus = "".join(
            f'[[gpus]]\nindex = {number}\nmodel = "H200"\nmemory = "141GB"\n' for number in range(self.spec.gpus)
        )
        number = int(name.removeprefix("n"))
        own = f'locks = "{home}/locks"\nrun_uids = {{first = {_FIRST_UID + 100 * number}, count = 100}}\n'
        settings.write_text(f'{own}socket = "{self.sockets}/%n.sock"\n{text}\n{gpus}')
        enrolment = home.parent / f"{name}.json"
        enrolment.write_text(self.describe_node(name, country))
        return enrolment

    def describe_node(self, name, country):
        """What the operator enrols of a node, which is made if it is new."""
        words = (
            "--home",
            self.node_home(name),
            "--factory",
            self.factory_url,
            "--name",
            name,
            "--country",
            country,
        )
        return self.factory.kifabrik("node", "init", *words, "--json").out

    @property
    def factory_url(self):
        """Where nodes reach the service."""
        return f"http://{self.cluster.network.address}:{self.port}"

    def enrol(self, files):
        """Enrol nodes with the factory."""
        self.factory.kifabrik("admin", "nodes", *(word for file in files for word in ("--enrol", file)))

    def start_agents(self):
        """Start the agents of all nodes, a few at a time: each takes a second of a core."""
        names = self.spec.node_names
        for first in range(0, len(names), _AGENTS_AT_ONCE):
            together = names[first : first + _AGENTS_AT_ONCE]
            for name in together:
                self.start_agent(name)
            for name in together:
                self.wait_for_agent(name)

    def start_agent(self, name):
        """Start the agent of a node."""
        with (self.node_home(name) / "agent.log").open("a") as log:
            entering = self.cluster.network.entering(int(name.removeprefix("n")))
            command = [*entering, KIFABRIK, "node", "serve", "--home", self.node_home(name)]
            self.agents[name] = subprocess.Popen(
                [str(word) for word in command],
                env=self.factory.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_for_agent(self, name, seconds=60):
        """Wait until the agent of a node listens."""
        until = time.monotonic() + seconds
        while not (self.sockets / f"{name}.sock").exists():
            assert self.agents[name].poll() is None, (self.node_home(name) / "agent.log").read_text()
            assert time.monotonic() < until, "the agent does not listen"
            time.sleep(0.05)

    def end_agents(self):
        for agent in self.agents.values():
            agent.terminate()
        for agent in self.agents.values():
            with suppress(subprocess.TimeoutExpired):
                agent.wait(15)
            agent.kill()

    def sync(self):
        """Bring Slurm's accounts in step with the factory's tenants."""
        conf = ("--slurm-conf", self.cluster.conf)
        self.factory.kifabrik("admin", "slurm", "sync", "--yes", "--make-users", *conf, "--json")

    def jobs(self):
        """The queue as it is: name and state of every job."""
        said = self.cluster.run("squeue", "--noheader", "--states=all", "--format=%j %T %i %N")
        return [line.split(" ") for line in said.splitlines()]

    def job_of(self, run):
        """Number of the Slurm job of a run's newest attempt."""
        attempt = self.sdk.session.runs.show(run).attempts[-1].attempt
        return max(int(number) for name, _, number, *_ in self.jobs() if name.startswith(attempt))


@contextmanager
def sealed_stage(name, settings="", **spec):
    """A cluster by its `spec`; a customer with a sealed dataset, granted for `upkeep`. Skips where it cannot be."""
    reason = clusters.missing()
    if reason:
        pytest.skip(reason)
    folder = Path(f"/tmp/kifabrik-{name}-{os.getpid()}")
    folder.mkdir(mode=0o755)
    spec = ClusterSpec(folder / "cluster", **spec)
    with clusters.running(spec) as cluster:
        (cluster.folder / "jobs").mkdir()
        (cluster.folder / "jobs").chmod(0o1777)
        (folder / "parties").mkdir()
        with slurm_parties(folder / "parties", cluster, spec, settings=settings) as playing:
            playing.seal(playing.name("line"), {"values.csv": "n,value\n" + "1,2\n" * 50})
            playing.grant(playing.name("line"), "upkeep")
            yield playing
    shutil.rmtree(folder)


def three_nodes(name, settings=""):
    """Three nodes with addresses of their own."""
    return sealed_stage(name, settings, nodes=3, gpus=0, node_timeout_s=20, grace_s=20, own_network=True)


@contextmanager
def slurm_parties(folder, cluster, spec, stage_type=SlurmStage, settings=""):
    """A factory on a cluster, its nodes' agents, and a customer whose account Slurm knows."""

    def make(factory, customer, port):
        return stage_type(factory, customer, port, cluster=cluster, spec=spec, settings=settings)

    with two_parties(folder, make) as stage:
        try:
            stage.sync()
            yield stage
        finally:
            for name, state, number, *_ in stage.jobs():
                if name.startswith("a-") and state in ("PENDING", "RUNNING", "COMPLETING"):
                    with suppress(RuntimeError):
                        cluster.run("scancel", "--quiet", number)
            stage.end_agents()
            for tenant in stage.factory.kifabrik("admin", "tenants", "--json").json():
                remove_user(unix_user(tenant["tenant"]))
