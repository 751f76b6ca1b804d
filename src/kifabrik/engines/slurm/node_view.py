"""What the cluster's nodes and partitions offer, in which state nodes are and why.

Read from `scontrol --oneliner show node|partition`, whose `Key=value` words are the same from 22.05 to 25.11.

Invariants:
- a node's own words (its name, features, GPU types) are the operator's; a reason is free text and stands last;
- sizes are bytes, though Slurm counts in MiB.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.hostlists import expand
from kifabrik.errors import IntegrityError

_MIB: Final = 2**20
_WORD: Final = re.compile(r"(?:^| )([A-Za-z][A-Za-z0-9_/:]*)=")
_GRES: Final = re.compile(r"gpu(?::(?P<model>[A-Za-z][\w.-]*))?:(?P<count>\d+)(?:\([^)]*\))?")


@dataclass(frozen=True)
class SlurmNode:
    """One node.

    Args:
        name: Slurm's name of it.
        states: Base state and flags, such as `IDLE`, `DRAIN`.
        cpus: It offers to jobs.
        memory_bytes: It offers to jobs.
        gpus: Count by model; the model is empty where Slurm was not told.
        features: What `--constraint` may ask for.
        partitions: It belongs to.
        reason: Why it is out of service, in the words of whoever took it out; empty if it is not.
    """

    name: str
    states: tuple[str, ...]
    cpus: int
    memory_bytes: int
    gpus: Mapping[str, int]
    features: tuple[str, ...]
    partitions: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Partition:
    """One partition.

    Args:
        name: Its name.
        default: Whether jobs that name none go here.
        up: Whether its jobs start.
        nodes: In it.
        preemptible: Whether jobs here can be ended for those of others.
        grace_s: Between the signal and the end of a job that has to go.
    """

    name: str
    default: bool
    up: bool
    nodes: tuple[str, ...]
    preemptible: bool
    grace_s: int


class NodeView:
    """Looks at nodes and partitions, one call each."""

    def __init__(self, commands: SlurmCommands) -> None:
        self._commands = commands

    def nodes(self) -> list[SlurmNode]:
        """All nodes, by name in Slurm's order.

        Raises:
            UnavailableError: slurmctld does not answer.
        """
        return read_nodes(self._commands.run("scontrol", *node_arguments()))

    def partitions(self) -> list[Partition]:
        """All partitions.

        Raises:
            UnavailableError: slurmctld does not answer.
        """
        return read_partitions(self._commands.run("scontrol", *partition_arguments()))


def node_arguments() -> tuple[str, ...]:
    """Arguments of `scontrol`."""
    return ("--oneliner", "--all", "show", "node")


def partition_arguments() -> tuple[str, ...]:
    """Arguments of `scontrol`."""
    return ("--oneliner", "--all", "show", "partition")


def read_nodes(text: str) -> list[SlurmNode]:
    """Read what `scontrol show node` wrote.

    Raises:
        IntegrityError: It makes no sense.
    """
    return [_node(_words(line)) for line in text.splitlines() if line.startswith("NodeName=")]


def read_partitions(text: str) -> list[Partition]:
    """Read what `scontrol show partition` wrote.

    Raises:
        IntegrityError: It makes no sense.
    """
    return [_partition(_words(line)) for line in text.splitlines() if line.startswith("PartitionName=")]


def _words(line: str) -> dict[str, str]:
    """Split `A=1 B=two words C=3`; a key that comes again, as one may in a free text, does not count."""
    marks = list(_WORD.finditer(line))
    words: dict[str, str] = {}
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        if mark[1] == "Reason":
            return words | {"Reason": line[mark.end() :]}
        words.setdefault(mark[1], line[mark.end() : following.start() if following else None].strip())
    return words


def _node(words: Mapping[str, str]) -> SlurmNode:
    try:
        return SlurmNode(
            name=words["NodeName"],
            states=tuple(part.rstrip("*~#!%$@^-") for part in words["State"].split("+")) + _star(words["State"]),
            cpus=int(words.get("CPUEfctv", words["CPUTot"])),
            memory_bytes=int(words["RealMemory"]) * _MIB,
            gpus=_gpus(words.get("Gres", "")),
            features=_listed(words.get("AvailableFeatures", "")),
            partitions=_listed(words.get("Partitions", "")),
            reason=_reason(words.get("Reason", "")),
        )
    except (KeyError, ValueError) as error:
        raise IntegrityError(f"Slurm describes a node in a way kifabrik does not understand: {error}") from None


def _star(state: str) -> tuple[str, ...]:
    return ("NOT_RESPONDING",) if "*" in state else ()


def _gpus(text: str) -> dict[str, int]:
    """Read `gpu:h200:8(S:0-1),nic:2`."""
    found: dict[str, int] = {}
    for match in _GRES.finditer(text):
        model = match["model"] or ""
        found[model] = found.get(model, 0) + int(match["count"])
    return found


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part and part != "(null)")


def _reason(text: str) -> str:
    """Drop who and when, `[root@2026-11-23T12:00:00]`, and the comment that may follow."""
    return re.sub(r"\s*\[[^\[\]]*@[^\[\]]*\].*$", "", text).strip()


def _partition(words: Mapping[str, str]) -> Partition:
    try:
        return Partition(
            name=words["PartitionName"],
            default=words["Default"] == "YES",
            up=words["State"] == "UP",
            nodes=expand(words["Nodes"]),
            preemptible=words["PreemptMode"] not in ("OFF", "GANG"),
            grace_s=int(words["GraceTime"]),
        )
    except (KeyError, ValueError) as error:
        raise IntegrityError(
            f"Slurm describes a partition in a way kifabrik does not understand: {error}"
        ) from None
