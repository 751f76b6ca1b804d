"""The port to whatever starts launchers on nodes: one machine's own processes, or a cluster's scheduler.

Invariants:
- an attempt's id is the name of its launcher, so submitting it again never starts a second one;
- what the engine says about a launcher decides only whether it still lives; how an attempt ended is what
  the launcher signed, or that it is gone;
- all launchers are looked at in one call, also those that nobody knows any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from kifabrik.factory.capacity import Placement


class Life(StrEnum):
    """Whether a launcher still lives."""

    ALIVE = "alive"
    GONE = "gone"


@dataclass(frozen=True)
class Task:
    """What a launcher is started with.

    Args:
        attempt: Attempt id.
        tenant: Tenant id.
        token: The attempt's token (secret; never in arguments, environment or files).
        placement: What it may use.
    """

    attempt: str
    tenant: str
    token: str = field(repr=False)
    placement: Placement


class Engine(Protocol):
    """Starts, watches and kills launchers."""

    def serves(self, node: str) -> bool:
        """Whether launchers can be started on this node."""
        ...

    def submit(self, task: Task) -> None:
        """Start the launcher of an attempt unless it is alive.

        Raises:
            UnavailableError: It could not be started now.
        """
        ...

    def poll(self) -> Mapping[str, Life]:
        """Every attempt the engine has a launcher for or has a trace of."""
        ...

    def kill(self, attempt: str) -> None:
        """End a launcher and everything below it at once; one that is gone is fine."""
        ...

    def forget(self, attempt: str) -> None:
        """Drop the trace of a launcher that is gone."""
        ...
