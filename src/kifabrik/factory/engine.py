"""The ports to whatever starts launchers on nodes: one machine's own processes, or a cluster's scheduler.

Invariants:
- an attempt's id is the name of its launcher, so submitting it again never starts a second one;
- what the engine says about a launcher decides only whether it still lives; how an attempt ended is what
  the launcher signed. Of one that is gone without a word, a cluster can say what it knows;
- all launchers are looked at in one call, also those that nobody knows any more.
"""

import base64
import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from kifabrik.factory.capacity import Demand, Placement
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.runs.states import Outcome


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
        token: The attempt's token (secret; never in arguments, environment or files); empty where its nodes
            claim it.
        placement: What it may use; empty where a cluster's scheduler decides that.
        run: Run id.
        demand: What its run needs of nodes.
        limit_s: Longest time it holds its shares, all grace included.
        slurm: What the order asks of a Slurm cluster.
        submits: Which time it is started, from 1.
        sweep: Run id of the sweep the run is a task of; empty if it is none.
        index: Number of the task, from 1; 0 if it is none.
        array: What the attempt's id was made from, with the index (`array_attempt`); empty for one by itself.
        spare_s: What of `limit_s` lies before and behind the longest time of its job.
    """

    attempt: str
    tenant: str
    token: str = field(repr=False)
    placement: Placement
    run: str
    demand: Demand
    limit_s: int
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    submits: int = 1
    sweep: str = ""
    index: int = 0
    array: str = ""
    spare_s: int = 0


def array_attempt(array: str, index: int) -> str:
    """The id of the attempt that task `index` of an array is: whoever sees the array can name its attempts.

    Args:
        array: Its name, random (`new_array`).
        index: Number of the task.
    """
    digest = hashlib.sha256(f"{array}/{index}".encode()).digest()
    return f"a-{base64.b32encode(digest[:10]).decode().lower()}"


def new_array() -> str:
    """A fresh name of an array, such as `kf-k3v6…` (80 random bits)."""
    return f"kf-{base64.b32encode(secrets.token_bytes(10)).decode().lower()}"


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


@dataclass(frozen=True)
class Fate:
    """What a cluster knows of an attempt.

    Args:
        sentence: Why it waits, or how it ended, for the customer; empty if there is nothing to say.
        outcome: How it ended where the cluster ended it; None where the launcher itself was to say.
    """

    sentence: str = ""
    outcome: Outcome | None = None


class Cluster(Engine, Protocol):
    """An engine with a queue of its own, which decides when and where an attempt starts."""

    def submit_array(self, tasks: Sequence[Task]) -> None:
        """Hand over attempts at tasks of one sweep together; all have one array and the same wishes.

        Raises:
            UnavailableError: The scheduler does not answer.
        """
        ...

    def fates(self, attempts: Collection[str], since: datetime) -> Mapping[str, Fate]:
        """What is known of these attempts, from the last `poll` where that is enough.

        Args:
            attempts: Attempt ids.
            since: When the oldest of them was handed over.

        One that is left out may not be judged now: the cluster's record of what ended does not answer.
        """
        ...

    def waiting(self) -> Mapping[str, str]:
        """Why attempts wait, as sentences for the customer: of all that the last `poll` has seen waiting."""
        ...

    def limit_power(self, share: float, reason: str) -> None:
        """Let all tenants together hold this share of the cluster at most; with 1 there is no such limit.

        Args:
            share: 0 to 1.
            reason: Why, as a sentence for those who wait for it.

        Raises:
            KifabrikError: The scheduler does not answer, or does not allow it.
        """
        ...

    def kill_all(self, attempts: Collection[str]) -> None:
        """End attempts at once; those that are gone are fine.

        Raises:
            UnavailableError: The scheduler does not answer.
        """
        ...

    def holds(self, attempt: str, job: int, user: str, node: str) -> bool:
        """Whether the scheduler has given a node to an attempt.

        Args:
            attempt: Attempt id.
            job: The scheduler's number of the job.
            user: Unix user the job belongs to.
            node: The operator's name of the node.

        Raises:
            UnavailableError: The scheduler does not answer.
        """
        ...

    def user_of(self, tenant: str) -> str:
        """The Unix user a tenant's jobs belong to."""
        ...
