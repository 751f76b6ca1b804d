"""The tenant's transparency log, as c2sp.org/tlog-tiles serves it (with a token)."""

from kifabrik.client.connection import Connection


class Log:
    """Reads tree heads, tiles and sealed details."""

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def checkpoint(self) -> str:
        """The newest tree head, signed by the log, and cosigned where the keyholder has done so."""
        return self._http.get_bytes("/v1/log/checkpoint").decode(errors="replace")

    def cosigned(self) -> str:
        """The newest tree head that carries the keyholder's cosignature."""
        return self._http.get_bytes("/v1/log/cosigned").decode(errors="replace")

    def tile(self, path: str) -> bytes:
        """One tile, by its tlog-tiles path such as `tile/0/000` or `tile/entries/000.p/3`."""
        return self._http.get_bytes(f"/v1/log/{path}")

    def detail(self, sha256: str) -> bytes:
        """The sealed names of an entry; NotFoundError where they were deleted."""
        return self._http.get_bytes(f"/v1/log/details/{sha256}")
