"""Showing what the node is, where the keyholder asks for it: by a quote of its TPM over a cosigned tree head.

Invariants:
- a quote is made only where a grant asks for it; where the factory has not said so, the keyholder's refusal does;
- each request is quoted for anew; the bytes the TPM signs name this request's keys and nothing else's;
- a quote is made over a head that covers all that stood in the log when it was asked for: the run's order, and a
  request that was refused before. The keyholder believes no older one, and cosigns a moment after an entry comes.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

from kifabrik.attestation.evidence import Doubt, Evidence
from kifabrik.errors import IntegrityError, NotFoundError, UnavailableError, UsageError
from kifabrik.launcher.node import Node
from kifabrik.launcher.node_tpm import read_key
from kifabrik.launcher.tpm import Tpm
from kifabrik.leases.attested import binding_of
from kifabrik.leases.statements import AttemptRequest, RequestingNode
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.notes import Note

_MOST_QUOTES: Final = 4
"""A keyholder that was away refuses one quote as stale; a second one means that a clock jumps."""
_HEAD_PATIENCE_S: Final = 3600.0
"""For a keyholder that is away; then the quote is made over what there is, and the keyholder will say so."""
_PAUSE_S: Final = 0.3


class Heads(Protocol):
    """Where tree heads of the tenant's log come from."""

    def checkpoint(self) -> str:
        """The newest signed head."""

    def cosigned(self) -> str:
        """The newest head the keyholder has cosigned."""


class QuoteError(UnavailableError):
    """The node's TPM gives no quote: the operator's to mend."""


class Attester:
    """Makes the evidence of one attempt's requests.

    Args:
        node: The node; without a TPM nothing is shown.
        heads: The tenant's log.
        asked: Whether it is known already that a grant asks for a quote.
        given_up: Whether the run was stopped meanwhile.
    """

    def __init__(
        self, node: Node, heads: Heads, *, asked: bool = False, given_up: Callable[[], bool] = lambda: False
    ) -> None:
        self._node = node
        self._heads = heads
        self._quotes = 0
        self._asked = asked and bool(node.tpm)
        self._given_up = given_up

    def asks_again(self, reason: str) -> bool:
        """Whether a refused request is worth a further one: with a quote, or with a fresher one.

        Args:
            reason: The refusal's word.
        """
        first = reason == Doubt.NOT_ATTESTED and not self._asked
        again = bool(self._node.tpm) and (first or (reason == Doubt.STALE and self._quotes < _MOST_QUOTES))
        self._asked = self._asked or again
        return again

    def show(self, request: AttemptRequest, node: RequestingNode) -> str:
        """Return the evidence for a request, or nothing while nobody has asked for any.

        Raises:
            QuoteError: The TPM cannot be reached, or has no attestation key.
        """
        if not self._asked:
            return ""
        try:
            head = self._covering_head()
            self._quotes += 1
            binding = binding_of(request, node).digest(head)
            quote = Tpm(self._node.tpm).quote(read_key(self._node.home).handle, binding)
        except (UsageError, UnavailableError, NotFoundError) as error:
            raise QuoteError(f"The node cannot show what it is: {error.message}", hint=error.hint) from None
        return Evidence(head, (quote,)).to_text()

    def _covering_head(self) -> str:
        """Return a cosigned head that covers the log as it is now, or the newest if none comes in time."""
        size = _size_of(self._heads.checkpoint())
        until = time.monotonic() + _HEAD_PATIENCE_S
        while True:
            head = self._heads.cosigned()
            if _size_of(head) >= size or self._given_up() or time.monotonic() > until:
                return head
            time.sleep(_PAUSE_S)


def _size_of(head: str) -> int:
    """Number of entries a head covers, as the factory says; what counts is verified by the keyholder.

    Raises:
        UnavailableError: It is no tree head.
    """
    try:
        return TreeHead.parse(Note.parse(head).text).size
    except (IntegrityError, UsageError) as error:
        raise UnavailableError(f"the factory sent something else than a tree head: {error.message}") from None
