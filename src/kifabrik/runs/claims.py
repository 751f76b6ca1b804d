"""A node of a cluster claims its part of an attempt: what it says, and when that is believed. Pure.

Invariants:
- a claim is signed by an enrolled node's own key, and fresh;
- the answer is sealed to a key the node made for this claim, so one that was overheard gives nothing away.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kifabrik.errors import RefusedError
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import (
    Statement,
    key_named,
    predicate,
    read_unverified,
    sign_statement,
    time_named,
    verify_statement,
)
from kifabrik.values import format_time

FRESH_FOR: Final = timedelta(seconds=120)
"""How far the clocks of a node and the factory may be apart, and how long a claim may be on its way."""


@predicate("node-claim/v1")
@dataclass(frozen=True)
class NodeClaim:
    """A node that was given to an attempt by the cluster asks for the attempt's token.

    Args:
        node_key: Ed25519 key in hex, known to the factory.
        attempt: Attempt id.
        rank: Which of the attempt's nodes it is, from 0.
        job: The scheduler's number of the job.
        user: Unix user the job's processes belong to there.
        gpus: Numbers of the GPUs it was given.
        recipient: age recipient made for this claim.
        created: Time.
    """

    node_key: str
    attempt: str
    rank: int
    job: int
    user: str
    gpus: tuple[int, ...]
    recipient: str
    created: str


def sign_claim(claim: NodeClaim, node: SigningKey) -> Envelope:
    """Sign a claim with the node's key."""
    return sign_statement(claim, {}, node)


def verify_claim(envelope: Envelope, now: datetime) -> Statement[NodeClaim]:
    """Verify that the node named in a claim has signed it just now.

    Raises:
        IntegrityError: It has not.
        RefusedError: The claim is old, or from the future.
    """
    said, _ = read_unverified(envelope, NodeClaim)
    statement = verify_statement(envelope, NodeClaim, [key_named(said.node_key)])
    if abs(now - time_named(said.created)) > FRESH_FOR:
        raise RefusedError(
            f"the node claims its attempt at {said.created}; by the factory's clock it is {format_time(now)}",
            hint="Set the clocks of node and factory; chrony does.",
        )
    return statement
