"""Signed requests to a bucket for whoever the factory allows, after the store was seen to hold them to it."""

import hashlib
import secrets
import threading
import time
from typing import Final

from botocore.exceptions import ClientError

from kifabrik.errors import KifabrikError
from kifabrik.factory.ways import Way
from kifabrik.stores.s3.failures import s3_errors
from kifabrik.stores.s3.objects import S3Objects

WAY_IN_S: Final = 60
"""A way in is asked for right before it is used; only its beginning must lie within."""
WAY_OUT_S: Final = 300
_MOST: Final = 5 * 2**30
"""Most bytes of one PUT (Amazon S3 User Guide)."""
_TRIAL: Final = ".trial/00"
_AGAIN_S: Final = 60.0
_NOT_HERE: Final = "/nowhere/at/all"


class S3Ways:
    """Implements `kifabrik.factory.ways.Signer`.

    Args:
        files: The bucket.
    """

    def __init__(self, files: S3Objects) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._strict: bool | None = None
        self._tried = -_AGAIN_S

    def way_in(self, key: str, digest: str, size: int) -> Way | None:
        """Return a way for the bytes of one digest to a key; None where the store would take others."""
        if size > _MOST or not self.strict():
            return None
        with s3_errors(self._files.place):
            url, headers = self._files.lines.bound_put(
                self._files.place.key(key), digest, size, WAY_IN_S, outside=True
            )
        return Way(url, headers, WAY_IN_S)

    def way_out(self, key: str) -> Way | None:
        """Return a way to an object's bytes."""
        with s3_errors(self._files.place):
            return Way(self._files.lines.get_url(self._files.place.key(key), WAY_OUT_S), {}, WAY_OUT_S)

    def strict(self) -> bool:
        """Whether the store refuses other bytes than were signed for; tried out once, when it is first asked."""
        with self._lock:
            if self._strict is None and time.monotonic() >= self._tried + _AGAIN_S:
                self._tried = time.monotonic()
                try:
                    self._strict = self._try_out()
                except KifabrikError:
                    return False  # away: tried again in a minute
            return bool(self._strict)

    def _try_out(self) -> bool:
        """Play somebody who wants to store what was not signed for."""
        body, other = secrets.token_bytes(64), secrets.token_bytes(64)
        digest = hashlib.sha256(body).hexdigest()
        key = f"{_TRIAL}/{digest}"
        try:
            taken = self._takes(key, digest, other) or self._takes(key, digest, body, copy=True)
            return not taken and self._takes(key, digest, body)
        finally:
            self._files.delete(key)

    def _takes(self, key: str, digest: str, body: bytes, *, copy: bool = False) -> bool:
        """Whether a request that was signed for one digest is answered as if all were well."""
        place, lines = self._files.place, self._files.lines
        added = {"x-amz-copy-source": _NOT_HERE} if copy else {}
        with s3_errors(place):
            try:
                lines.put(place.key(key), digest, len(body), body, added)
            except ClientError as error:
                status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
                # A copy that is only not found was understood as one: the header was believed unsigned.
                if copy and status == 404:  # noqa: PLR2004 - not found
                    return True
                if status >= 500 and status != 501:  # noqa: PLR2004 - 501: not implemented
                    raise
                return False
        return True
