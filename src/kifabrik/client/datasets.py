"""Dataset versions, grants and erasures."""

from kifabrik.client.connection import Connection
from kifabrik.errors import IntegrityError
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.body import Detail
from kifabrik.wire.datasets import ErasureView, VersionView
from kifabrik.wire.tenants import Logged, Signed


class Datasets:
    """Sealed datasets and what is permitted with them."""

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def register(self, manifest: Envelope, detail: Detail | None) -> Logged:
        """Register a version whose objects are all uploaded; it stands in the log afterwards.

        Raises:
            ConflictError: Somebody else registered this version first.
        """
        body = Signed(statement=manifest.to_json(), detail=detail)
        return self._http.post("/v1/datasets/versions", body, Logged)

    def versions(self) -> list[VersionView]:
        """All versions of all datasets."""
        return self._http.get_list("/v1/datasets/versions", VersionView)

    def grant(self, grant: Envelope, detail: Detail | None) -> Logged:
        """Hand in a grant signed by the tenant key."""
        return self._http.post("/v1/grants", Signed(statement=grant.to_json(), detail=detail), Logged)

    def revoke(self, revocation: Envelope) -> Logged:
        """Hand in a revocation signed by the tenant key."""
        return self._http.post("/v1/revocations", Signed(statement=revocation.to_json()), Logged)

    def erase(self, erasure: Envelope) -> Logged:
        """Hand in an erasure signed by the tenant key; the keyholder carries it out."""
        return self._http.post("/v1/erasures", Signed(statement=erasure.to_json()), Logged)

    def erasure(self, dataset: str, *, after: str = "", wait_s: float = 0) -> ErasureView:
        """How far an erasure is; waits for a certificate at most `wait_s`.

        Args:
            dataset: Dataset id.
            after: Digest of a certificate that is known: waits for another one.
            wait_s: Seconds.
        """
        known = {"after": after} if after else {}
        return self._http.get(f"/v1/erasures/{dataset}", ErasureView, wait_s=wait_s, **known)

    def statement(self, digest: str) -> Envelope:
        """Any statement of this tenant by its digest; verify it before use.

        Raises:
            IntegrityError: What the factory has under this digest is damaged, or another one.
            NotFoundError: It has none.
        """
        try:
            envelope = Envelope.from_json(self._http.get(f"/v1/statements/{digest}", Signed).statement)
        except IntegrityError as error:
            raise IntegrityError(
                f"statement {digest[:16]} is damaged at the factory: {error.message}",
                hint="Its operator must put the database back from a backup; the statement cannot be made anew.",
            ) from error
        if envelope.digest != digest:
            raise IntegrityError(f"the factory returned another statement than {digest[:16]}")
        return envelope
