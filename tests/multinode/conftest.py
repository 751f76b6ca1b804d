"""One factory with three nodes and a customer, for all tests here; they need root, and one worker plays them."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "acceptance"))  # for two_parties

from fabric import NODES, fabric
from two_parties import PATIENCE_S, Stage, two_parties

from kifabrik.sandbox.check import Verdict, check_sandbox
from kifabrik.sandbox.network import try_network
from kifabrik.values import Place
from kifabrik.wiring.factory import init_home
from kifabrik.wiring.node import init_node

HERE = Path(__file__).parent
CPUS = 4
MEMORY = 4 * 10**9


class Cluster(Stage):
    """Both parties, playing; the factory has several nodes."""

    fabric = None

    @property
    def url(self):
        return f"http://{self.fabric.factory}:{self.port}"

    def start_service(self):
        home = self.factory.home / "factory"
        if not home.exists():
            init_home(home, port=self.port)
            settings = home / "factory.toml"
            text = settings.read_text().replace("host =", "# host =")
            settings.write_text(f'host = "{self.fabric.factory}"\n{text}')
            for number in range(NODES):
                self._node(number)
        with (self.factory.home / "up.log").open("a") as log:
            self.service = subprocess.Popen(
                [sys.executable, str(HERE / "service.py"), str(home), str(self.fabric.process)],
                env=self.factory.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex((self.fabric.factory, self.port)) == 0:
                    return
            assert self.service.poll() is None, (self.factory.home / "up.log").read_text()
            time.sleep(0.1)
        raise AssertionError("the service does not answer")

    def node_home(self, number):
        return self.factory.home / "nodes" / str(number)

    def _node(self, number):
        home = self.node_home(number)
        home.parent.mkdir(exist_ok=True)
        init_node(home, place=Place("DE"))
        lines = (home / "node.toml").read_text().splitlines()
        kept = [line for line in lines if not line.startswith(("cpus", "memory", "name"))]
        said = [f'name = "node{number}"', f"cpus = {CPUS}", f"memory = {MEMORY}"]
        (home / "node.toml").write_text("\n".join([*said, *kept]) + "\n")

    def launchers_of(self, run):
        """Process ids of the launchers of a run's newest attempt, by rank."""
        attempt = self.wait_until(run, lambda view: view.attempts, "started").attempts[-1].attempt
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            file = self.factory.home / "launchers.json"
            known = json.loads(file.read_text()) if file.exists() else {}
            if attempt in known:
                return known[attempt]
            time.sleep(0.1)
        raise AssertionError("no launcher was started")

    def said_by_launchers(self):
        """What the launchers wrote for the operator."""
        return "".join(file.read_text() for file in self.factory.home.glob("nodes/*/*.log"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A factory with three nodes and a customer with one sealed dataset, `line-…`, granted for `upkeep` in DE."""
    missing = [check.sentence for check in check_sandbox() if check.verdict is Verdict.ERROR]
    if os.geteuid() != 0:
        missing.append("only root can make networks")
    missing += [lacks] if (lacks := try_network()) else []
    if missing:
        pytest.skip(f"this machine cannot hold several nodes: {missing[0]}")
    with fabric() as made:

        class Here(Cluster):
            fabric = made

        with two_parties(tmp_path_factory.mktemp("cluster"), Here) as playing:
            rows = "\n".join(f"{n},{n * 2}" for n in range(200))
            playing.seal(playing.name("line"), {f"{playing.mark}.csv": f"{playing.mark},value\n{rows}\n"})
            playing.grant(playing.name("line"), "upkeep")
            yield playing
