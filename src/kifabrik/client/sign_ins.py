"""A code for a browser, for a challenge this device signs."""

from kifabrik.client.connection import Connection
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.sign_ins import Challenge, SignInCode
from kifabrik.wire.tenants import Signed


class SignIns:
    """What `kifabrik open` asks for.

    Args:
        connection: With a device's token.
    """

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def challenge(self) -> str:
        """Something to sign."""
        return self._http.post("/v1/sign-ins/challenges", None, Challenge).challenge

    def prove(self, proof: Envelope) -> str:
        """Exchange a signed challenge for a code."""
        return self._http.post("/v1/sign-ins", Signed(statement=proof.to_json()), SignInCode).code
