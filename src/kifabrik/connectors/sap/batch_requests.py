"""Several requests in one round trip, where the service truly takes them: found by trying.

Invariants:
- what cannot be had together is asked for one by one, as if there were no `$batch`;
- a change set is sent once: whether it arrived is never guessed.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from kifabrik.connectors.sap.asking import Answer, Caller, fault_of
from kifabrik.connectors.sap.batch_bodies import Asking, BatchFormat, content_id, decode, encode
from kifabrik.connectors.sap.model import Version
from kifabrik.connectors.sap.tokens import Guarded
from kifabrik.errors import ConflictError, IntegrityError, KifabrikError, SignInError

MOST_TOGETHER: Final = 50
"""Requests in one batch; CAP and SAP Gateway take more, but not much more."""
_OK: Final = 200
_BAD: Final = 400
_DEPENDENT: Final = 424
"""A request that was not done because another of its change set failed."""
_TRIED: Final[Mapping[Version, tuple[BatchFormat, ...]]] = {
    Version.V4: (BatchFormat.JSON, BatchFormat.MULTIPART),
    Version.V2: (BatchFormat.MULTIPART,),
}
_ACCEPT: Final = {BatchFormat.JSON: "application/json", BatchFormat.MULTIPART: "multipart/mixed"}


class ChangeSetError(Exception):
    """A change set was refused, whole.

    Args:
        error: Why.
        number: Of the request it is about, from 0; -1 if the service does not say.
    """

    def __init__(self, error: KifabrikError, number: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.number = number


class Batches:
    """Sends several requests at once to one service.

    Args:
        caller: Signed in.
        version: Of the protocol.
        guarded: With a token, where one is wanted.
    """

    def __init__(self, caller: Caller, version: Version, guarded: Guarded | None = None) -> None:
        self._caller = caller
        self._version = version
        self._guarded = guarded or Guarded(caller, eager=False)
        self.format: BatchFormat | None = None
        """What the service takes; None until it was tried."""

    def find(self, link: str) -> BatchFormat:
        """Find what the service takes, by reading something twice in one round trip.

        Args:
            link: Of what may be read, relative to the service.
        """
        if self.format is None:
            self.read([Asking("GET", link, {"accept": "application/json"})] * 2)
        return self.format or BatchFormat.NONE

    def read(self, asked: Sequence[Asking]) -> list[Answer | None]:
        """Read several things; None for those that have to be asked for by themselves.

        Raises:
            SignInError: The service does not let us in.
        """
        for kind in _TRIED[self._version] if self.format is None else (self.format,):
            found = self._read(kind, asked) if kind is not BatchFormat.NONE else None
            if found is not None:
                self.format = kind
                return found
        self.format = BatchFormat.NONE
        return [None] * len(asked)

    def _read(self, kind: BatchFormat, asked: Sequence[Asking]) -> list[Answer | None] | None:
        try:
            answered = decode(asked, self._send(kind, asked, together=False))
        except SignInError:
            raise
        except KifabrikError:
            return None
        found: list[Answer | None] = [None] * len(asked)
        for one in answered:
            if 0 <= one.number < len(asked) and one.answer.status == _OK:
                found[one.number] = one.answer
        return found if any(found) else None

    def write(self, asked: Sequence[Asking]) -> None:
        """Send a change set: all of it is done, or nothing.

        Raises:
            ChangeSetError: The service refuses it, and nothing of it is done.
            KifabrikError: The batch itself cannot be sent; whether it arrived is not known.
            IntegrityError: The service has not done it as a whole, or does not say what it did.
        """
        if self.format not in _ACCEPT:
            raise ConflictError("this service takes no change sets")
        answered = decode(asked, self._send(self.format, asked, together=True))
        bad = [one for one in answered if one.answer.status >= _BAD]
        if bad:
            first = next((one for one in bad if one.answer.status != _DEPENDENT), bad[0])
            said = content_id(first.answer)
            raise ChangeSetError(fault_of(first.answer), said if said >= 0 else first.number)
        if len(answered) != len(asked):
            raise IntegrityError(
                f"the service answers {len(answered)} of {len(asked)} requests of a change set",
                hint="Compare again to see what is written.",
            )

    def _send(self, kind: BatchFormat, asked: Sequence[Asking], *, together: bool) -> Answer:
        relative = [Asking(one.method, self._relative(one.link), one.headers, one.body) for one in asked]
        content_type, body = encode(kind, relative, together=together)
        head = {"content-type": content_type, "accept": _ACCEPT[kind]}
        if self._version is Version.V4:
            head["odata-version"] = "4.01" if kind is BatchFormat.JSON else "4.0"
        if not together:
            head["prefer"] = "odata.continue-on-error"
        return self._guarded.send("POST", "$batch", body, head, again=False)

    def _relative(self, link: str) -> str:
        """The link as it stands below the service; never out of it."""
        return self._caller.address(link).removeprefix(f"{self._caller.service}/")
