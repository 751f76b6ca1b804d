"""A factory with a node of its own whose launchers play scripts; used by the tests of runs."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import players
from kifabrik.wiring.factory import init_home
from kifabrik.wiring.node import init_node, read_key
from parties import FactoryProcess

PYTHON = "3.11"
NODE = """
node = "{node}"
name = "box"
cpus = {cpus}
memory = 1000000000
pythons = ["3.11"]
launcher = {launcher}
objects = ""
[place]
country = "DE"
"""


class RunFactory(FactoryProcess):
    """A factory process with a node."""

    def __init__(self, home: Path, cpus: int = 2) -> None:
        init_home(home, port=0)
        self.node_home = home / "node"
        config = init_node(self.node_home, place=init_home(home).at)
        launcher = [sys.executable, "-P", players.__file__, str(self.node_home)]
        text = NODE.format(node=config.node, cpus=cpus, launcher=json.dumps(launcher))
        (self.node_home / "node.toml").write_text(text)
        (self.node_home / "scripts").mkdir()
        self.script(players.DONE)
        super().__init__(home)

    @property
    def node_key(self):
        """The node's key."""
        return read_key(self.node_home)

    def script(self, steps: list[str], run: str = "default", attempt: int | None = None) -> None:
        """Tell launchers what to play: all of them, or that of one attempt."""
        name = run if attempt is None else f"{run}-{attempt}"
        (self.node_home / "scripts" / f"{name}.json").write_text(json.dumps(steps))

    def launcher_pid(self, attempt: str) -> int:
        """The process of an attempt's launcher."""
        note = self.node_home / "launchers" / f"{attempt}.json"
        return int(json.loads(note.read_text())["pid"])


@pytest.fixture(scope="module")
def run_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFactory]:
    """A factory that runs for all tests of a module."""
    running = RunFactory(tmp_path_factory.mktemp("runs") / "factory")
    yield running
    running.close()


@pytest.fixture
def own_run_factory(tmp_path: Path) -> Iterator[RunFactory]:
    """A factory of the test's own, to be killed and started again."""
    running = RunFactory(tmp_path / "factory")
    yield running
    running.close()
