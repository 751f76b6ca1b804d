"""Showing what the node is, where the keyholder asks for it: by a quote of its TPM over a cosigned tree head.

Invariants:
- a quote is made only where a grant asks for it; where the factory has not said so, the keyholder's refusal does;
- each request is quoted for anew; the bytes the TPM signs name this request's keys and nothing else's.
"""

import time
from collections.abc import Callable
from typing import Final

from kifabrik.attestation.evidence import Doubt, Evidence
from kifabrik.errors import NotFoundError, UnavailableError, UsageError
from kifabrik.launcher.node import Node
from kifabrik.launcher.node_tpm import read_key
from kifabrik.launcher.tpm import Tpm
from kifabrik.leases.attested import binding_of
from kifabrik.leases.statements import AttemptRequest, RequestingNode

_MOST_QUOTES: Final = 4
"""A keyholder that was away refuses one quote as stale; a second one means that a clock jumps."""
_NEWER_HEAD_S: Final = 30.0
_PAUSE_S: Final = 0.3


class QuoteError(UnavailableError):
    """The node's TPM gives no quote: the operator's to mend."""


class Attester:
    """Makes the evidence of one attempt's requests.

    Args:
        node: The node; without a TPM nothing is shown.
        cosigned: Fetches the newest tree head the keyholder has cosigned.
        asked: Whether it is known already that a grant asks for a quote.
    """

    def __init__(self, node: Node, cosigned: Callable[[], str], *, asked: bool = False) -> None:
        self._node = node
        self._cosigned = cosigned
        self._quotes = 0
        self._asked = asked and bool(node.tpm)
        self._head = ""

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
            self._head = self._newer_head()
            self._quotes += 1
            binding = binding_of(request, node).digest(self._head)
            quote = Tpm(self._node.tpm).quote(read_key(self._node.home).handle, binding)
        except (UsageError, UnavailableError, NotFoundError) as error:
            raise QuoteError(f"The node cannot show what it is: {error.message}", hint=error.hint) from None
        return Evidence(self._head, (quote,)).to_text()

    def _newer_head(self) -> str:
        """Return the newest cosigned head: another than the last one that was quoted over, if one comes in time."""
        until = time.monotonic() + _NEWER_HEAD_S
        while True:
            head = self._cosigned()
            if head != self._head or time.monotonic() > until:
                return head
            time.sleep(_PAUSE_S)
