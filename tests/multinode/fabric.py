"""Several nodes on one machine: network namespaces that reach each other through one bridge.

Each has an address in a network made up for this process; the bridge has one too, and there the factory listens.
Every name carries this process's id, and everything made is removed again, also what a killed process left.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"kfn(\d+)(?:n\d+|b|v\d+)")
NAMESPACES, DEVICES = Path("/run/netns"), Path("/sys/class/net")
NODES = 3
FACTORY = 254


def ip(*words: str, within: str = "") -> str:
    """Run `ip`, in a namespace if one is named."""
    where = ("-n", within) if within else ()
    done = subprocess.run(["ip", *where, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Fabric:
    """The nodes' network.

    Args:
        process: Whose names these are.
    """

    process: int

    def namespace(self, node: int) -> str:
        """Name of a node's namespace."""
        return f"kfn{self.process}n{node}"

    @property
    def bridge(self) -> str:
        """The bridge all nodes hang at."""
        return f"kfn{self.process}b"

    def address(self, last: int) -> str:
        """An address in the nodes' network: node n has n + 1, the factory 254."""
        return f"10.{128 + self.process % 100}.{self.process // 100 % 256}.{last}"

    def node_address(self, node: int) -> str:
        """Address of a node."""
        return self.address(node + 1)

    @property
    def factory(self) -> str:
        """Address the factory listens at."""
        return self.address(FACTORY)

    def inside(self, node: int) -> list[str]:
        """Command words that run what follows on a node."""
        return ["nsenter", f"--net=/run/netns/{self.namespace(node)}"]

    def make(self) -> None:
        """Make bridge and nodes."""
        ip("link", "add", self.bridge, "type", "bridge")
        ip("address", "add", f"{self.factory}/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        for node in range(NODES):
            name, outer = self.namespace(node), f"kfn{self.process}v{node}"
            ip("netns", "add", name)
            ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", outer, "master", self.bridge, "up")
            ip("address", "add", f"{self.node_address(node)}/24", "dev", "eth0", within=name)
            ip("link", "set", "lo", "up", within=name)
            ip("link", "set", "eth0", "up", within=name)


def _remove(process: int) -> None:
    for name in _names(NAMESPACES, process):
        subprocess.run(["ip", "netns", "delete", name], check=False)
    for name in _names(DEVICES, process):
        subprocess.run(["ip", "link", "delete", name], check=False, stderr=subprocess.DEVNULL)


def _names(folder: Path, process: int | None = None) -> list[str]:
    """Names of ours in a folder, of one process or of any."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    matches = [match for match in map(_NAME.fullmatch, names) if match]
    return [match[0] for match in matches if process is None or int(match[1]) == process]


def _remove_left() -> None:
    """Remove what processes that are dead have left."""
    names = [*_names(NAMESPACES), *_names(DEVICES)]
    for process in {int(match[1]) for match in map(_NAME.fullmatch, names) if match}:
        if not Path(f"/proc/{process}").exists():
            _remove(process)


@contextmanager
def fabric() -> Iterator[Fabric]:
    """Nodes that last as long as the block."""
    _remove_left()
    made = Fabric(os.getpid())
    try:
        made.make()
        yield made
    finally:
        _remove(made.process)
