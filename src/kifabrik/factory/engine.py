"""The port to whatever starts launchers on nodes: one machine's own processes, or a cluster's scheduler.

Invariants:
- an attempt's id is the name of its launcher, so submitting it again never starts a second one;
- what the engine says about a launcher decides only whether it still lives; how an attempt ended is what
  the launcher signed, or that it is gone;
- all launchers are looked at in one call, also those that nobody knows any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

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
        sweep: Run id of the sweep the run is a task of; empty if it is none.
        index: Number of the task, from 1; 0 if it is none.
    """

    attempt: str
    tenant: str
    token: str = field(repr=False)
    placement: Placement
    sweep: str = ""
    index: int = 0


@runtime_checkable
class ArrayEngine(Protocol):
    """What an engine can do besides that starts many launchers as one: a cluster's array of jobs."""

    def submit_array(self, tasks: Sequence[Task]) -> None:
        """Start the launchers of attempts at tasks of one sweep, each unless it is alive.

        Raises:
            UnavailableError: Not all could be started now; submitting them again starts the others.
        """
        ...


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
