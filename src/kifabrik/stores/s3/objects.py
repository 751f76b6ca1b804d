"""Objects in a bucket.

Invariants:
- nothing is written under an object's key but the bytes its digest names: small and middling ones in one request
  that the store itself refuses for any others, larger ones in parts of which each is bound so, and which are put
  together only if all of them, as they were sent, have the digest;
- a local file goes only after the store has said that it keeps its bytes;
- deleted is deleted: every version and marker of a key goes, and the store is asked whether any is left.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from kifabrik.errors import IntegrityError, KifabrikError, NotFoundError, UnavailableError
from kifabrik.stores.damage import cut_off
from kifabrik.stores.s3.failures import (
    MISSING,
    StoreAwayError,
    StoreRefusesError,
    code_of,
    s3_errors,
    translated,
)
from kifabrik.stores.s3.lines import Lines
from kifabrik.stores.s3.place import S3Place

_logger = logging.getLogger(__name__)
_PIECE: Final = 4 * 2**20
_WHOLE: Final = 2**30
"""Up to here an object is stored by one request; S3 takes 5 GiB so, and a broken line costs all of it."""
_PART: Final = 64 * 2**20
_MOST_PARTS: Final = 10_000
"""Amazon S3 User Guide, multipart upload limits."""
_TRIES: Final = 3
_FIRST_PAUSE_S: Final = 0.3
_AWAY_S: Final = 3.0
"""For so long after the store could not be reached nobody waits for it again."""
_TURN_S: Final = 20.0
_ROUNDS: Final = 4
"""Times a key is looked at for versions that are left; somebody may store it again meanwhile."""


class S3Objects:
    """Implements `kifabrik.factory.ports.ObjectStore`.

    Args:
        place: The bucket.
        whole: Most bytes of an object that is stored by one request.
        part: Bytes of each part of a larger one; 5 MiB at least.
    """

    def __init__(self, place: S3Place, *, whole: int = _WHOLE, part: int = _PART) -> None:
        self.place = place
        with s3_errors(place, told=True):
            self.lines = Lines(place)
        self._whole, self._part = whole, part
        self._lock = threading.Lock()
        self._adopting: dict[str, threading.Lock] = {}
        self._away: tuple[float, StoreAwayError] | None = None
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the store cannot be used at present, for people who wait for it; empty if it can."""
        return self._trouble

    def look(self) -> None:
        """See whether the store answers, and remember it for `trouble`."""
        try:
            with self._asking():
                self.lines.client.list_objects_v2(Bucket=self.place.bucket, MaxKeys=1)
        except KifabrikError as error:
            self._trouble = error.message

    def close(self) -> None:
        """Hang up."""
        self.lines.close()

    def adopt(self, file: Path, key: str) -> None:
        """Store a finished local file under a key, then remove it; one that is there already is as good.

        Raises: see `store`.
        """
        self.store(file, key)
        file.unlink(missing_ok=True)

    def store(self, file: Path, key: str) -> None:
        """Store a copy of a local file under a key, which ends with the digest of the file.

        Raises:
            CapacityError: There is no room.
            UnavailableError: The store cannot be reached, or somebody else is storing this object.
            IntegrityError: The file is no longer what it was.
        """
        with self._turn(key):
            try:
                body = file.open("rb")
            except FileNotFoundError:
                raise UnavailableError("somebody else has just stored this object", hint="Ask again.") from None
            with body:
                size = file.stat().st_size
                if size <= self._whole:
                    self._patiently(lambda: self._put(key, size, body))
                else:
                    self._put_parts(key, size, body)

    def size(self, key: str) -> int | None:
        """Bytes of an object, or None if there is none."""
        with self._watched():
            try:
                found = self.lines.client.head_object(Bucket=self.place.bucket, Key=self.place.key(key))
            except ClientError as error:
                if code_of(error) not in MISSING:
                    raise
                self._missing_bucket()
                return None
        return int(found["ContentLength"])

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes `[start, end)` in pieces of 4 MiB; a line that breaks is taken up where it broke.

        Raises:
            NotFoundError: There is no such object.
            IntegrityError: It ends before `end`: something has cut it off since it was stored.
        """
        if end is not None and end <= start:
            return iter(())
        first = self._open(key, start, end)
        return iter(()) if first is None else self._pieces(key, first, start, end)

    def delete(self, key: str) -> None:
        """Delete every version of an object; one that is missing is fine.

        Raises:
            UnavailableError: The store cannot be reached, refuses, or keeps a version.
        """
        for _ in range(_ROUNDS):
            with self._watched():
                left = list(self._versions(key))
                for version in left:
                    self.lines.client.delete_object(
                        Bucket=self.place.bucket, Key=self.place.key(key), VersionId=version
                    )
            if not left:
                return
        raise StoreRefusesError(
            "the factory's object store keeps an object that was deleted",
            hint="Its operator has to look: does the bucket hold objects for a time (object lock)?",
        )

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield every key with the object's size, as pages of a thousand come in."""
        within = {"Prefix": f"{self.place.prefix}/"} if self.place.prefix else {}
        with self._watched():
            pages = self.lines.client.get_paginator("list_objects_v2").paginate(Bucket=self.place.bucket, **within)
            for page in pages:
                for one in page.get("Contents", ()):
                    yield self.place.ours(str(one["Key"])), int(one["Size"])

    def unfinished(self, before: datetime) -> Iterator[tuple[str, str]]:
        """Yield key and number of each upload in parts that was begun before a moment and never finished."""
        within = {"Prefix": f"{self.place.prefix}/"} if self.place.prefix else {}
        with self._watched():
            listed = self.lines.client.get_paginator("list_multipart_uploads")
            for page in listed.paginate(Bucket=self.place.bucket, **within):
                for one in page.get("Uploads", ()):
                    if one["Initiated"] < before:
                        yield self.place.ours(str(one["Key"])), str(one["UploadId"])

    def give_up_unfinished(self, before: datetime) -> int:
        """Abort uploads in parts that were begun before a moment; how many."""
        found = list(self.unfinished(before))
        for key, upload in found:
            self._abort(key, upload)
        return len(found)

    # --- storing ---

    @contextmanager
    def _turn(self, key: str) -> Iterator[None]:
        """Let one thread store a key at a time: the second finds it done, and sends nothing."""
        with self._lock:
            lock = self._adopting.setdefault(key, threading.Lock())
        if not lock.acquire(timeout=_TURN_S):
            raise UnavailableError("this object is being stored", hint="Ask again in a moment.")
        try:
            yield
        finally:
            lock.release()
            with self._lock:
                if not lock.locked():
                    self._adopting.pop(key, None)

    def _put(self, key: str, size: int, body: BinaryIO) -> None:
        body.seek(0)
        try:
            self.lines.put(self.place.key(key), _digest_of(key), size, body if size else b"")
        except ClientError as error:
            if code_of(error) in ("XAmzContentSHA256Mismatch", "BadDigest"):
                raise IntegrityError(
                    f"the bytes of object {_digest_of(key)[:16]} have changed on the disk"
                ) from None
            raise

    def _put_parts(self, key: str, size: int, body: BinaryIO) -> None:
        client, at = self.lines.client, {"Bucket": self.place.bucket, "Key": self.place.key(key)}
        part = max(self._part, -(-size // _MOST_PARTS))
        with self._watched():
            upload = client.create_multipart_upload(**at)["UploadId"]
        whole, parts = hashlib.sha256(), []
        try:
            for number in range(1, -(-size // part) + 1):
                data = body.read(part)
                whole.update(data)
                with self._watched():
                    kept = client.upload_part(**at, UploadId=upload, PartNumber=number, Body=data)
                parts.append({"PartNumber": number, "ETag": kept["ETag"]})
            _check(whole.hexdigest(), key)
            with self._watched():
                client.complete_multipart_upload(**at, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(KifabrikError):  # what cannot be aborted now is found by its age
                self._abort(key, upload)
            raise

    def _abort(self, key: str, upload: str) -> None:
        with self._watched():
            try:
                self.lines.client.abort_multipart_upload(
                    Bucket=self.place.bucket, Key=self.place.key(key), UploadId=upload
                )
            except ClientError as error:
                if code_of(error) not in {*MISSING, "NoSuchUpload"}:
                    raise

    def _patiently(self, action: Any) -> None:
        """Do something that may be done again, a few times; botocore does so for its own requests."""
        self._refuse_if_away()
        pause = _FIRST_PAUSE_S
        for turn in range(_TRIES):
            try:
                with self._asking():
                    action()
            except StoreAwayError:
                if turn == _TRIES - 1:
                    raise
                time.sleep(pause)
                pause *= 3
            else:
                return

    # --- reading ---

    def _open(self, key: str, start: int, end: int | None) -> Any:
        """Open an object for reading; None where nothing of it lies in the range."""
        asked = f"bytes={start}-{'' if end is None else end - 1}"
        with self._watched():
            try:
                answer = self.lines.client.get_object(
                    Bucket=self.place.bucket,
                    Key=self.place.key(key),
                    **({} if start == 0 and end is None else {"Range": asked}),
                )
                size = int(answer.get("ContentRange", "/0").rpartition("/")[2])
                if end is not None and end > size:
                    answer["Body"].close()
                    raise cut_off(key, size)
                return answer["Body"]
            except ClientError as error:
                if code_of(error) in ("416", "InvalidRange"):
                    if end is not None:
                        raise cut_off(key, self.size(key) or 0) from None
                    return None
                if code_of(error) not in MISSING:
                    raise
        raise NotFoundError("there is no such object")

    def _pieces(self, key: str, body: Any, at: int, end: int | None) -> Iterator[bytes]:
        turn = 0
        while True:
            try:
                with closing(body):
                    while piece := body.read(_PIECE):
                        at, turn = at + len(piece), 0
                        yield piece
            except (BotoCoreError, HTTPError, OSError) as error:
                turn += 1
                if turn == _TRIES:
                    raise self._noted(translated(error, self.place, known_away=self._away is not None)) from error
                time.sleep(_FIRST_PAUSE_S * turn)
            else:
                return
            if at == end:
                return
            try:
                body = self._open(key, at, end)
            except NotFoundError:
                raise UnavailableError("an object was deleted while it was read") from None
            if body is None:
                return

    # --- the rest ---

    def _versions(self, key: str) -> Iterator[str]:
        full = self.place.key(key)
        listed = self.lines.client.get_paginator("list_object_versions")
        for page in listed.paginate(Bucket=self.place.bucket, Prefix=full):
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                if one["Key"] == full:
                    yield str(one["VersionId"])

    def _missing_bucket(self) -> None:
        """An answer to HEAD has no body: whether the object or the bucket is missing has to be asked."""
        self.lines.client.list_objects_v2(Bucket=self.place.bucket, MaxKeys=1)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Translate errors; while the store is away nobody else waits for it."""
        self._refuse_if_away()
        with self._asking():
            yield

    def _refuse_if_away(self) -> None:
        away = self._away
        if away is not None and time.monotonic() < away[0]:
            raise StoreAwayError(away[1].message, hint=away[1].hint)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Translate errors, and remember whether the store answers; its operator is told of either once."""
        try:
            with s3_errors(self.place, known_away=self._away is not None):
                yield
        except StoreAwayError as error:
            raise self._noted(error) from error
        if self._away is not None:
            _logger.warning("objects: %s answers again", self.place.named)
        self._away, self._trouble = None, ""

    def _noted(self, error: KifabrikError) -> KifabrikError:
        if isinstance(error, StoreAwayError):
            self._away, self._trouble = (time.monotonic() + _AWAY_S, error), error.message
        return error


def _check(found: str, key: str) -> None:
    if found != _digest_of(key):
        raise IntegrityError(f"the bytes of object {_digest_of(key)[:16]} have changed on the disk")


def _digest_of(key: str) -> str:
    return key.rpartition("/")[2]


UNFINISHED_FOR: Final = timedelta(days=1)
"""How old an upload in parts must be before it counts as given up."""
