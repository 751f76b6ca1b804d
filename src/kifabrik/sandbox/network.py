"""The network of one run: in each of its rooms a device through which its ranks reach each other, and nothing else.

A room has a network namespace of its own. The launcher makes a VXLAN device (RFC 7348) straight into it, while
the room's first process waits for the word to go; the UDP socket behind the device stays where the launcher
is. The job can neither see nor change that: it has no capability in any namespace.

Invariants:
- a room's namespace holds `lo` and this device, and no route but to the run's own addresses: neither the
  machine, nor its network, nor another run is reachable, whatever the job sends;
- frames leave only to peers that are named one by one: nothing is flooded, multicast, asked for or learnt;
- the device ends with the room; a launcher killed at any moment leaves none.
"""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.sandbox.programs import find_program

DEVICE: Final = "run0"
PORT: Final = 24_789
"""UDP port of the nodes' own network; not 4789, where a cluster's other overlays listen."""
LARGEST_MTU: Final = 65_535

_FIRST: Final = IPv4Address("10.77.0.1")
_PREFIX: Final = 16
_OVERHEAD: Final = {4: 50, 6: 70}
"""Bytes around a frame: outer IP, UDP, VXLAN and inner Ethernet headers (RFC 7348, section 5)."""
_LEAST_MTU: Final = 576
_NUMBERS: Final = (1 << 24) - 1
_PROGRAMS: Final = ("ip", "bridge", "nsenter")
_PATIENCE_S: Final = 60.0
"""Milliseconds, also for thousands of peers; on a machine that is out of breath it may take longer."""
_WITHOUT: Final = "A run on several nodes needs a launcher that is root, and iproute2."


def address_of(rank: int) -> str:
    """Address of a rank in the network of its run."""
    return str(_FIRST + rank)


def name_of(rank: int) -> str:
    """Name of a rank's room in the network of its run."""
    return f"node-{rank}"


def number_of(attempt: str) -> int:
    """Network number (VNI, 24 bits, not 0) of an attempt, the same on all its nodes.

    Two attempts with one number cannot be on one node at the same time: the second device is refused.
    """
    return int.from_bytes(hashlib.sha256(attempt.encode()).digest()[:8], "big") % _NUMBERS + 1


def require_network() -> None:
    """Check that this launcher can make networks.

    Raises:
        UnavailableError: It is not root, or a program is missing.
    """
    if os.geteuid() != 0:
        raise UnavailableError("this launcher cannot make the network of a run on several nodes", hint=_WITHOUT)
    for name in _PROGRAMS:
        find_program(name)


@dataclass(frozen=True)
class RunNetwork:
    """The network of a run, as one of its ranks sees it.

    Args:
        number: From `number_of`.
        rank: This one.
        underlays: Addresses at which the nodes reach each other, by rank; all of one IP version.
        mtu: Bytes in the largest packet that every node's network carries.

    Raises:
        UsageError: An address is none of a machine, or not like the others; a rank or number does not exist.
    """

    number: int
    rank: int
    underlays: tuple[str, ...]
    mtu: int

    def __post_init__(self) -> None:
        versions = {underlay_address(one).version for one in self.underlays}
        if len(versions) != 1:
            raise UsageError("the nodes of a run need addresses of one IP version to reach each other")
        if len(set(self.underlays)) != len(self.underlays):
            raise UsageError("two nodes of a run have one address")
        if not 0 <= self.rank < len(self.underlays) or not 1 <= self.number <= _NUMBERS:
            raise UsageError(f"there is no rank {self.rank} in network {self.number}")
        if not _LEAST_MTU <= self.inner_mtu <= LARGEST_MTU:
            raise UsageError(f"packets of {self.mtu} bytes are too small or too large for the network of a run")

    @property
    def inner_mtu(self) -> int:
        """Bytes in the largest packet between the ranks."""
        return self.mtu - _OVERHEAD[underlay_address(self.underlays[0]).version]

    @property
    def hosts(self) -> str:
        """Lines of /etc/hosts that name every rank."""
        return "".join(f"{address_of(rank)} {name_of(rank)}\n" for rank in range(len(self.underlays)))

    def attach(self, pid: int) -> None:
        """Put the device into the network namespace of a process.

        Args:
            pid: The room's first process, which waits.

        Raises:
            UnavailableError: The kernel or a program refuses; the message says why.
        """
        _run([find_program("ip"), *self._device(pid)], "")
        inside = [find_program("nsenter"), f"--net=/proc/{pid}/ns/net"]
        _run([*inside, find_program("ip"), "-batch", "-"], "\n".join(self._addresses()))
        _run([*inside, find_program("bridge"), "-batch", "-"], "\n".join(self._peers()))

    def _device(self, pid: int) -> tuple[str, ...]:
        return (
            *("link", "add", DEVICE, "netns", str(pid), "address", _mac(self.rank), "mtu", str(self.inner_mtu)),
            *("type", "vxlan", "id", str(self.number), "local", self.underlays[self.rank]),
            *("dstport", str(PORT), "nolearning"),
        )

    def _addresses(self) -> Iterator[str]:
        yield f"link set {DEVICE} addrgenmode none"
        yield f"address add {address_of(self.rank)}/{_PREFIX} dev {DEVICE}"
        yield f"link set {DEVICE} up"
        for rank in self._others():
            yield f"neighbour add {address_of(rank)} lladdr {_mac(rank)} dev {DEVICE} nud permanent"

    def _peers(self) -> Iterator[str]:
        for rank in self._others():
            yield f"fdb add {_mac(rank)} dev {DEVICE} dst {self.underlays[rank]} self permanent"

    def _others(self) -> Iterator[int]:
        return (rank for rank in range(len(self.underlays)) if rank != self.rank)


def underlay_address(text: str) -> IPv4Address | IPv6Address:
    """Read an address at which nodes reach each other.

    Raises:
        UsageError: It is not the address of one machine in a network.
    """
    try:
        found = ip_address(text)
    except ValueError:
        raise UsageError(f"not an IP address: {text!r}") from None
    if found.is_loopback or found.is_multicast or found.is_unspecified or "%" in text:
        raise UsageError(
            f"other nodes cannot reach this one at {text}",
            hint="Set `fabric` in node.toml to its address in the network of the nodes.",
        )
    return found


def try_network() -> str:
    """Make a device in a namespace that ends at once; return why it cannot be made, or nothing."""
    words = ("link", "add", DEVICE, "type", "vxlan", "id", "1", "local", "127.0.0.1", "dstport", str(PORT))
    try:
        _run([find_program("unshare"), "--net", find_program("ip"), *words, "nolearning"], "")
    except UnavailableError as error:
        return error.message
    return ""


def _mac(rank: int) -> str:
    """A locally administered address, unique within the run."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x4B, 0x46, 0, *rank.to_bytes(2, "big")))


def _run(command: list[str], batch: str) -> None:
    try:
        done = subprocess.run(
            command, input=batch, cwd="/", env={}, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        said = f"{command[0]} did not end within {_PATIENCE_S:g} s"
        raise UnavailableError(f"the network of the run could not be made: {said}", hint=_WITHOUT) from None
    if done.returncode == 0:
        return
    said = " ".join(done.stderr.split())
    if "exists" in said:
        said = "another run on this node has the same network number"
    raise UnavailableError(f"the network of the run could not be made: {said}", hint=_WITHOUT)
