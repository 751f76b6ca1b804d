"""Requests a service guards against forgery: it gives a token when asked, and wants it with each of them.

Source: SAP Gateway Foundation, "Cross-Site Request Forgery Protection" (`X-CSRF-Token: Fetch`). The cookies that
go with the token are kept by the connection.
"""

from collections.abc import Mapping
from typing import Final

import httpx

from kifabrik.connectors.sap.asking import Answer, Caller
from kifabrik.errors import ConflictError, RefusedError

_TOKEN: Final = "x-csrf-token"  # noqa: S105 - the name of a header


class Guarded:
    """Sends with a token, which is fetched when the service first wants one.

    Args:
        caller: Signed in.
        eager: Whether to fetch it before anything is sent, as for writes; otherwise once something is refused.
    """

    def __init__(self, caller: Caller, *, eager: bool) -> None:
        self._caller = caller
        self._token = self._fetch() if eager else ""

    def send(self, method: str, link: str, body: bytes, headers: Mapping[str, str], *, again: bool) -> Answer:
        """Send a request; a refusal is answered with a fresh token, once.

        Raises:
            KifabrikError: As for `Caller.send`.
        """
        try:
            return self._send(method, link, body, headers, again=again)
        except RefusedError:
            # The session the token belongs to may have ended.
            fresh = self._fetch()
            if not fresh or fresh == self._token:
                raise
            self._token = fresh
        return self._send(method, link, body, headers, again=again)

    def _send(self, method: str, link: str, body: bytes, headers: Mapping[str, str], *, again: bool) -> Answer:
        head = {**headers, **({_TOKEN: self._token} if self._token else {})}
        return self._caller.send(method, link, headers=head, body=body, again=again)

    def _fetch(self) -> str:
        """Ask for a token; '' if the service wants none."""
        try:
            answer = self._caller.get("", {_TOKEN: "Fetch", "accept": "application/json"})
        except (RefusedError, ConflictError):
            return ""
        token = answer.headers.get(_TOKEN, "")
        return token if answer.status == httpx.codes.OK and token.lower() != "required" else ""
