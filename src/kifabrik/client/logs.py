"""The tenant's transparency log, as c2sp.org/tlog-tiles serves it (with a token)."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from kifabrik.client.connection import Connection


@dataclass(frozen=True)
class News:
    """A log as it is now, and what has been added; nothing of it is checked.

    Args:
        checkpoint: The newest tree head, signed by the log.
        entries: Bytes of the new entries up to it; none if they are too many for one answer.
        statements: Those the entries name, as DSSE JSON, if they were asked for.
    """

    checkpoint: str
    entries: Sequence[bytes]
    statements: Sequence[str]

    @classmethod
    def from_json(cls, body: Any) -> Self:
        """Read what the service sends.

        Raises:
            KeyError: A field is missing.
            TypeError: It is something else.
            ValueError: An entry is not base64.
        """
        checkpoint, statements = body["checkpoint"], body["statements"]
        if not isinstance(checkpoint, str) or not all(isinstance(text, str) for text in statements):
            raise TypeError
        return cls(checkpoint, [base64.b64decode(one, validate=True) for one in body["entries"]], list(statements))


class Log:
    """Reads tree heads, tiles and sealed details."""

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def checkpoint(self) -> str:
        """The newest tree head, signed by the log, and cosigned where the keyholder has done so."""
        return self._http.get_bytes("/v1/log/checkpoint").decode(errors="replace")

    def since(self, size: int, *, statements: bool = False) -> News:
        """The newest tree head and the entries from `size` on that it covers, in one call."""
        return self._http.get_json(f"/v1/log/since/{size}", News.from_json, statements=str(statements).lower())

    def cosigned(self) -> str:
        """The newest tree head that carries the keyholder's cosignature."""
        return self._http.get_bytes("/v1/log/cosigned").decode(errors="replace")

    def tile(self, path: str) -> bytes:
        """One tile, by its tlog-tiles path such as `tile/0/000` or `tile/entries/000.p/3`."""
        return self._http.get_bytes(f"/v1/log/{path}")

    def detail(self, sha256: str) -> bytes:
        """The sealed names of an entry; NotFoundError where they were deleted."""
        return self._http.get_bytes(f"/v1/log/details/{sha256}")
