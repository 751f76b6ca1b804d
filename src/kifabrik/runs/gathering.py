"""How the launchers of one attempt on several nodes get together: what each leaves for the others, and when.

    every rank   JOINED ─▶ (           SHOWN ─▶)           SIGNED ─▶        READY ─▶ … ENDED
    rank 0                 (PROPOSED ─▶        ) REQUEST ─▶            KEYS ─▶

Those in brackets only where a grant asks for attested nodes.

The factory passes these notes on. It can withhold them, which ends the attempt; what they say is signed or
sealed between the nodes, and judged by them (`kifabrik.leases.joining`, `kifabrik.launcher.gang`).
"""

from dataclasses import dataclass
from enum import StrEnum

from kifabrik.errors import UsageError


class Stage(StrEnum):
    """What a note is."""

    JOINED = "joined"
    """`node-joined` statement of a rank: its node key, its recipient, what it has built."""
    PROPOSED = "proposed"
    """The request for keys without evidence, for the other nodes to make theirs for it."""
    SHOWN = "shown"
    """`node-joined` again, with evidence for what was proposed."""
    REQUEST = "request"
    """The request for keys as rank 0 has composed and signed it."""
    SIGNED = "signed"
    """The signature of a rank's node key under that request, in base64: the request is too large to repeat."""
    KEYS = "keys"
    """Rank 0 has an age body, every other rank the header that opens it."""
    READY = "ready"
    """A rank has opened code and data and can start."""
    FAULT = "fault"
    """Why the attempt cannot go on, by the first rank that says so."""
    ENDED = "ended"
    """`node-ended` statement of a rank but the first."""


@dataclass(frozen=True)
class Fault:
    """Why an attempt on several nodes cannot go on.

    Args:
        rank: Of the node where it happened.
        outcome: Exit class, a value of `kifabrik.runs.states.Outcome`.
        message: For people; says nothing of the job.
    """

    rank: int
    outcome: str
    message: str


def check_rank(rank: int, nodes: int) -> None:
    """Check that there is such a node in a run.

    Raises:
        UsageError: There is not.
    """
    if not 0 <= rank < nodes:
        raise UsageError(f"there is no node {rank} in a run on {nodes}", hint="Ranks count from 0.")
