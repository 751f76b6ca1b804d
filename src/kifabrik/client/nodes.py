"""What only a node may do, by what it signs."""

from kifabrik.client.connection import Connection
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.nodes import ClaimAnswer
from kifabrik.wire.tenants import Signed


class Nodes:
    """The factory as seen from a node; without a token."""

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def claim(self, claim: Envelope) -> ClaimAnswer:
        """Ask for the token of an attempt the cluster has given this node."""
        return self._http.post("/v1/nodes/claims", Signed(statement=claim.to_json()), ClaimAnswer)
