"""Asking for keys, and answering: the keyholder's mailbox."""

from collections.abc import Mapping

from kifabrik.client.connection import Connection
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.body import Detail
from kifabrik.wire.leases import Asking, Cosignature, Decision, KeysWanted, LeaseView, Mail
from kifabrik.wire.tenants import Logged, Signed


class Leases:
    """Requests for keys, of attempts and of member devices (the token says which)."""

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def request(self, request: Envelope) -> Logged:
        """Ask for keys; the request stands in the log afterwards."""
        return self._http.post("/v1/leases", KeysWanted(statement=request.to_json()), Logged)

    def answer(self, request: str, *, wait_s: float = 0) -> LeaseView:
        """The answer to a request, waiting for it at most `wait_s`."""
        return self._http.get(f"/v1/leases/{request}", LeaseView, wait_s=wait_s)


class Mailbox:
    """What only the keyholder's token may do."""

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def mail(self, *, after: int, wait_s: float) -> list[Mail]:
        """Messages with numbers above `after`, waiting for one at most `wait_s`."""
        return self._http.get_list("/v1/keyholder/mail", Mail, wait_s=wait_s, after=after)

    def decide(self, statement: Envelope, headers: Mapping[str, bytes], detail: Detail | None) -> Logged:
        """Deliver a lease or a refusal."""
        body = Decision(statement=statement.to_json(), headers=dict(headers), detail=detail)
        return self._http.post("/v1/keyholder/decisions", body, Logged)

    def asking(self, request: str) -> None:
        """Say that a person must decide."""
        self._http.send("/v1/keyholder/asking", Asking(request=request))

    def cosign(self, note: str) -> None:
        """Deliver a cosigned tree head."""
        self._http.send("/v1/keyholder/cosignatures", Cosignature(note=note))

    def certify(self, certificate: Envelope) -> Logged:
        """Deliver an erasure certificate."""
        return self._http.post("/v1/keyholder/certificates", Signed(statement=certificate.to_json()), Logged)
