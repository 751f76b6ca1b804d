"""A network of a test cluster's own: a bridge, and below it a namespace with an address for each node.

Invariants:
- making the bridge is what claims a network: the kernel lets no two have one name, so clusters do not meet;
- only the network is a node's own. Files, control groups and process numbers are the machine's, as they are
  for nodes that are told apart by ports;
- nothing here reaches beyond the machine: no address is translated, no packet is forwarded.

Source: ip-netns(8), ip-link(8), veth(4), nsenter(1).
"""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAMESPACES: Final = Path("/run/netns")
MOST_NODES: Final = 240
"""Addresses of one network, less a few at its start."""
_FIRST: Final = 10


@dataclass(frozen=True)
class Network:
    """Bridge and namespaces of one cluster.

    Args:
        number: Third part of its addresses, 1 to 254; 0 for none, where every node is this machine.
        nodes: How many.
    """

    number: int = 0
    nodes: int = 0

    @property
    def bridge(self) -> str:
        """Its name, which also starts those of the namespaces."""
        return f"kfslurm{self.number}"

    @property
    def address(self) -> str:
        """Of this machine, as the nodes reach it."""
        return f"10.213.{self.number}.1" if self.number else "127.0.0.1"

    @property
    def node_addresses(self) -> str:
        """Of all nodes, as slurm.conf writes them."""
        if not self.number:
            return "127.0.0.1"
        if self.nodes == 1:
            return self.address_of(1)
        return f"10.213.{self.number}.[{_FIRST + 1}-{_FIRST + self.nodes}]"

    def address_of(self, node: int) -> str:
        """Of a node, by its number from 1 on."""
        return f"10.213.{self.number}.{_FIRST + node}" if self.number else "127.0.0.1"

    def namespace(self, node: int) -> str:
        """Name of a node's namespace, as `ip netns` lists it."""
        return f"{self.bridge}-n{node}"

    def entering(self, node: int) -> tuple[str, ...]:
        """What stands before a command that runs in a node's namespace.

        `ip netns exec` would mount /sys anew, and hide the control groups that lie below it.
        """
        return ("nsenter", f"--net={NAMESPACES / self.namespace(node)}", "--") if self.number else ()

    def build(self) -> None:
        """Make the namespaces; the bridge is there from `claim` on."""
        for node in range(1, self.nodes + 1):
            name, port = self.namespace(node), f"kfs{self.number}n{node}"
            _ip(f"netns add {name}\nlink add {port} type veth peer name eth0 netns {name}\n"
                f"link set {port} master {self.bridge} up\n")  # fmt: skip
            _ip(f"addr add {self.address_of(node)}/24 dev eth0\nlink set lo up\nlink set eth0 up\n"
                f"route add default via {self.address}\n", "-n", name)  # fmt: skip

    def remove(self) -> None:
        """End what still runs in the namespaces, and remove them and the bridge; missing ones do not matter."""
        for node in range(1, self.nodes + 1):
            name = self.namespace(node)
            for pid in _say("netns", "pids", name).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _say("link", "delete", f"kfs{self.number}n{node}")
            _say("netns", "delete", name)
        if self.number:
            _say("link", "delete", self.bridge)


def claim(nodes: int) -> Network:
    """Find a network nobody uses, and make its bridge.

    Raises:
        RuntimeError: There is none, or more nodes than a network has addresses.
    """
    if nodes > MOST_NODES:
        raise RuntimeError(f"at most {MOST_NODES} nodes can have a network of their own, not {nodes}")
    for number in range(1, 255):
        network = Network(number, nodes)
        made = subprocess.run(
            ["ip", "link", "add", network.bridge, "type", "bridge"], check=False, capture_output=True, text=True
        )
        if made.returncode == 0:
            _ip(f"addr add {network.address}/24 dev {network.bridge}\nlink set {network.bridge} up\n")
            return network
        if "File exists" not in made.stderr:
            raise RuntimeError(f"no bridge can be made here: {made.stderr.strip()}")
    raise RuntimeError("all networks 10.213.1.0/24 to 10.213.254.0/24 are taken")


def _ip(commands: str, *options: str) -> None:
    subprocess.run(["ip", *options, "-batch", "-"], input=commands, text=True, check=True, capture_output=True)


def _say(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True).stdout
