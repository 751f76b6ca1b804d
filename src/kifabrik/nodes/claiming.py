"""Claims an attempt from the factory, for a job on this node."""

import time
from dataclasses import dataclass
from typing import Final

from kifabrik.client.nodes import Nodes
from kifabrik.errors import ConflictError, KifabrikError, RefusedError, UnavailableError
from kifabrik.nodes.caller import Caller
from kifabrik.runs.claims import NodeClaim, sign_claim
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_file
from kifabrik.signatures.keys import SigningKey
from kifabrik.values import format_time, now_utc

_PATIENCE_S: Final = 60.0
_PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class ClaimedAttempt:
    """What a launcher of an attempt needs.

    Args:
        tenant: Tenant id.
        token: The attempt's token.
    """

    tenant: str
    token: str


def claim_attempt(nodes: Nodes, key: SigningKey, caller: Caller, attempt: str) -> ClaimedAttempt:
    """Claim an attempt; what may pass is tried again for a while, as long as the job lives.

    Args:
        nodes: The factory.
        key: The node's.
        caller: The job's process on this node.
        attempt: Attempt id.

    Raises:
        KifabrikError: The factory refuses; or it still cannot answer, or the share is still held.
    """
    until = time.monotonic() + _PATIENCE_S
    tries = 0
    while True:
        try:
            return _claim(nodes, key, caller, attempt)
        except (ConflictError, UnavailableError, RefusedError) as error:
            # A refusal may come early: the scheduler tells a node before it tells those who ask.
            final = isinstance(error, RefusedError) and tries >= len(_PAUSES_S)
            if final or time.monotonic() > until or not caller.alive():
                raise
        time.sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
        tries += 1


def _claim(nodes: Nodes, key: SigningKey, caller: Caller, attempt: str) -> ClaimedAttempt:
    mine = Identity.generate()
    claim = NodeClaim(
        node_key=key.public.hex,
        attempt=attempt,
        rank=caller.rank,
        job=caller.job,
        user=caller.user,
        gpus=caller.gpus,
        recipient=mine.recipient.text,
        created=format_time(now_utc()),
    )
    answer = nodes.claim(sign_claim(claim, key))
    try:
        token = open_file(answer.token, [mine]).decode("ascii")
    except (KifabrikError, UnicodeDecodeError):
        raise RefusedError("the factory's answer to the claim cannot be opened") from None
    return ClaimedAttempt(answer.tenant, token)
