"""A planned folder, or what is made in memory, becomes a sealed, uploaded version."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, Protocol

from kifabrik.client.objects import SMALL
from kifabrik.datasets.contents import Contents, ShardContents
from kifabrik.datasets.encoding import encode_contents
from kifabrik.datasets.index import IndexWriter, ShardRecord, StoredShard
from kifabrik.datasets.manifest import BodyRef, Manifest
from kifabrik.datasets.writing import Sink
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import BodyWriter, make_header, new_file_key, seal_bytes
from kifabrik.transfer.objects import ObjectSink, Progress, silent
from kifabrik.values import format_time, now_utc, sha256_hex

_AHEAD: Final = 2
"""Sealed shards that may wait for upload: sealing and uploading overlap, and the spool stays small."""
_SEAL_THREADS: Final = 2
_TOGETHER: Final = 32
"""Small bodies in one call."""
_ASK_AGAIN_S: Final = 12 * 3600.0
"""Factories keep what is on no record for days only, and for as long again from each time it is asked for."""


class Sealable(Protocol):
    """One shard to be."""

    @property
    def plain_size(self) -> int:
        """Bytes of plaintext, as far as they are known."""

    @property
    def reused(self) -> ShardRecord | None:
        """The sealed shard to take over instead."""

    def write_to(self, sink: Sink) -> ShardContents:
        """Write the plaintext."""

    def record(self, shard: ShardContents, stored: StoredShard) -> ShardRecord:
        """Return what to note when it is sealed."""


class SealPlan(Protocol):
    """What a version is made of: a planned folder (`Plan`), or what is made in memory (`Made`)."""

    @property
    def reused(self) -> Sequence[ShardRecord]:
        """Sealed shards to take over as they are."""

    @property
    def shards(self) -> Iterable[Sealable]:
        """All of them, gone through once: one is asked for when the one before it is sealed and noted."""

    @property
    def plain_size(self) -> int:
        """Bytes of plaintext, as far as they are known."""


@dataclass(frozen=True)
class VersionHead:
    """What the caller decides about a version before it is sealed.

    Args:
        tenant: Tenant id.
        owner: Dataset id or a part of a run.
        version: From 1.
        previous: Digest of the statement before, or empty.
        recipient: The owner's age recipient; the first every header is sealed to.
        also: Further recipients, such as the tenant's recovery recipient.
        name: Goes into the sealed contents.
        description: Likewise.
    """

    tenant: str
    owner: str
    version: int
    previous: str
    recipient: Recipient
    also: Sequence[Recipient] = ()
    name: str = "data"
    description: str = ""

    @property
    def bound(self) -> str:
        """The owner, where its headers must name it: the order identity opens the code of all runs."""
        return self.owner if self.owner.endswith("/code") else ""

    @property
    def recipients(self) -> list[Recipient]:
        """Everybody each header is sealed to."""
        return [self.recipient, *self.also]


@dataclass(frozen=True)
class SealedVersion:
    """A version whose objects are all in the store, ready to be signed and registered."""

    manifest: Manifest
    contents: Contents


class Sealer:
    """Seals the shards of one version and uploads them.

    Args:
        head: What the version is.
        store: Where ciphertext goes.
        spool: A folder for ciphertext that waits for upload; what lies there is used again.
        on_sealed: Told the bytes of plaintext that were sealed.
        ask_again_s: Seconds after which the store is asked for what it has got, so that it keeps it.
    """

    def __init__(
        self,
        head: VersionHead,
        store: ObjectSink,
        spool: Path,
        *,
        on_sealed: Progress = silent,
        ask_again_s: float = _ASK_AGAIN_S,
    ) -> None:
        self._ask_again_s = ask_again_s
        self._head = head
        self._store = store
        self._spool = spool
        self._on_sealed = on_sealed
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)

    def seal(self, plan: SealPlan, index: IndexWriter | None = None) -> SealedVersion:
        """Seal and upload everything the store lacks.

        Args:
            plan: What to seal; shards marked as reused are taken over as they are.
            index: Notes every sealed shard, so that an interruption loses none.

        Raises:
            ConflictError: A file changed while it was read.
            CapacityError: The disk or the tenant's quota is full.
            UnavailableError: The store could not be reached.
        """
        lacking = self._store.missing(record.stored.body.sha256 for record in plan.reused)
        records = []
        small: list[BodyRef] = []
        asked = time.monotonic()
        with self._uploads() as upload:
            for shard in plan.shards:
                record = self._record(shard, lacking)
                if index is not None:
                    index.append(record)
                if self._waiting(record.stored.body).exists():
                    if record.stored.body.size <= SMALL:
                        small.append(record.stored.body)
                    else:
                        upload(record.stored.body)
                records.append(record)
                if time.monotonic() - asked > self._ask_again_s:
                    asked = time.monotonic()
                    self._store.missing(one.stored.body.sha256 for one in records)
            contents = Contents(self._head.name, self._head.description, tuple(r.shard for r in records))
            manifest = self._finish(contents, records, small)
        return SealedVersion(manifest, contents)

    def _record(self, shard: Sealable, lacking: set[str]) -> ShardRecord:
        if shard.reused is not None:
            body = shard.reused.stored.body
            if body.sha256 not in lacking or waits_whole(self._spool, body):
                self._on_sealed(shard.plain_size)
                return shard.reused
        return self._seal_shard(shard)

    def _seal_shard(self, shard: Sealable) -> ShardRecord:
        file_key = new_file_key()

        file = NamedTemporaryFile(dir=self._spool, prefix="sealing-", delete=False)  # noqa: SIM115 - closed below
        path = Path(file.name)
        try:
            # Closing the file writes its last bytes, so it can fail as any write can.
            with file, BodyWriter(file, file_key, threads=_SEAL_THREADS) as body:  # type: ignore[arg-type]

                def sink(block: bytes | memoryview) -> None:
                    body.write(block)
                    self._on_sealed(len(block))

                contents = shard.write_to(sink)
        except BaseException as error:
            path.unlink()
            if isinstance(error, OSError):
                error.filename = error.filename or str(self._spool)  # which of the disks is full
            raise
        reference = BodyRef(body.sha256, body.size)
        path.replace(self._waiting(reference))
        return shard.record(contents, StoredShard(reference, self._header(file_key)))

    def _header(self, file_key: bytes) -> bytes:
        return make_header(file_key, self._head.recipients, owner=self._head.bound)

    def _waiting(self, body: BodyRef) -> Path:
        return _waiting(self._spool, body)

    @contextmanager
    def _uploads(self) -> Iterator[Callable[[BodyRef], None]]:
        """Upload beside sealing, at most `_AHEAD` shards behind; errors surface at the next call."""
        running: list[Future[None]] = []

        def submit(body: BodyRef) -> None:
            while len(running) >= _AHEAD:
                running.pop(0).result()
            running.append(pool.submit(self._upload, body))

        with ThreadPoolExecutor(1, "upload") as pool:
            try:
                yield submit
                for upload in running:
                    upload.result()
            finally:
                for upload in running:
                    upload.cancel()

    def _upload(self, body: BodyRef) -> None:
        path = self._waiting(body)
        with path.open("rb") as file:
            self._store.upload(file, body.sha256, body.size, silent)
        path.unlink()

    def _upload_last(self, bodies: Sequence[BodyRef], others: Sequence[bytes]) -> None:
        """Upload what is small together, so that it waits for the store's disk once."""
        for data in others:
            if len(data) > SMALL:
                self._store.upload_bytes(data)
        small = [data for data in others if len(data) <= SMALL]
        for at in range(0, len(bodies), _TOGETHER):
            part = bodies[at : at + _TOGETHER]
            self._store.upload_small([*(self._waiting(body).read_bytes() for body in part), *small])
            small = []
            for body in part:
                self._waiting(body).unlink()
        if small:
            self._store.upload_small(small)

    def _finish(self, contents: Contents, records: Sequence[ShardRecord], bodies: Sequence[BodyRef]) -> Manifest:
        file_key = new_file_key()
        sealed = seal_bytes(encode_contents(contents), file_key)
        own_header = self._header(file_key)
        headers = b"".join([own_header, *(record.stored.header for record in records)])
        self._upload_last(bodies, (sealed, headers))
        return Manifest(
            tenant=self._head.tenant,
            owner=self._head.owner,
            version=self._head.version,
            previous=self._head.previous,
            recipient=self._head.recipient.text,
            headers=sha256_hex(headers),
            headers_size=len(headers),
            sealed_manifest=BodyRef(sha256_hex(sealed), len(sealed)),
            shards=tuple(record.stored.body for record in records),
            created=format_time(now_utc()),
        )


def waits_whole(spool: Path, body: BodyRef) -> bool:
    """Whether a body an interrupted sealing left in its spool is whole: a power cut may have torn it."""
    path = _waiting(spool, body)
    try:
        with path.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest() == body.sha256
    except FileNotFoundError:
        return False
    if not whole:
        path.unlink()
    return whole


def _waiting(spool: Path, body: BodyRef) -> Path:
    return spool / f"{body.sha256}.body"
