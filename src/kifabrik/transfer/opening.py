"""A sealed version becomes a folder, with headers a lease has wrapped for us."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from kifabrik.datasets.contents import Contents, ShardContents
from kifabrik.datasets.encoding import MOST_ENCODED_BYTES, decode_contents
from kifabrik.datasets.folders import open_folder
from kifabrik.datasets.manifest import BodyRef, Manifest
from kifabrik.datasets.unpacking import ShardUnpacker
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.seals.header import split_headers
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import copy_opened, open_bytes, open_header
from kifabrik.seals.stream import BATCH, SEALED_CHUNK
from kifabrik.transfer.objects import ObjectSource, Progress, silent

_SEALED_OVERHEAD: Final = 2**20
_PUT_BACK: Final = "Its operator names what is missing with: kifabrik admin check --deep, and can put it back."
_MANY: Final = 4
"""Shards for each thread, from which on the last ones no longer leave threads idle for long."""


class DamagedShardError(IntegrityError):
    """A shard is not what was sealed. The message names no file: whoever keeps the ciphertext may read it."""

    @classmethod
    def of(cls, digest: str, error: IntegrityError) -> "DamagedShardError":
        """Name the shard in what was found wrong with it; the hint may quote names of files."""
        return cls(f"shard {digest[:16]} is damaged", hint=f"{error.message}. {error.hint}".strip())


class MissingShardError(NotFoundError):
    """A shard is not in the store. The message names no file, as that of `DamagedShardError`."""


@dataclass(frozen=True)
class OpenedVersion:
    """A version whose sealed part has been read: what is in it, and the key of each body."""

    manifest: Manifest
    contents: Contents
    file_keys: tuple[bytes, ...]

    @property
    def plain_size(self) -> int:
        """Bytes of all shards in plaintext."""
        return sum(shard.plain_size for shard in self.contents.shards)


def open_contents(
    manifest: Manifest, headers: bytes, identities: Sequence[Identity], store: ObjectSource
) -> OpenedVersion:
    """Read what a version contains.

    Args:
        manifest: Verified before.
        headers: Concatenated age headers that one of the identities opens.
        identities: Usually one: the attempt's or the device's.
        store: Where the bodies are.

    Raises:
        IntegrityError: Headers, contents and manifest do not fit together.
        NotFoundError: The contents are not in the store.
    """
    parts = split_headers(headers)
    if len(parts) != len(manifest.shards) + 1:
        raise IntegrityError(f"{len(parts)} headers came for {len(manifest.shards) + 1} sealed bodies")
    own_key, *shard_keys = (open_header(part, identities) for part in parts)
    sealed = manifest.sealed_manifest
    try:
        body = store.fetch(sealed.sha256, min(sealed.size, MOST_ENCODED_BYTES + _SEALED_OVERHEAD))
    except NotFoundError as error:
        missing = f"the list of files of {manifest.owner} ({sealed.sha256[:16]}) is missing in the store"
        raise NotFoundError(missing, hint=_PUT_BACK) from error
    contents = decode_contents(open_bytes(body, own_key))
    if len(contents.shards) != len(manifest.shards):
        raise IntegrityError("the sealed contents describe another number of shards than the manifest")
    return OpenedVersion(manifest, contents, tuple(shard_keys))


def unpack(
    version: OpenedVersion,
    folder: Path,
    store: ObjectSource,
    *,
    verify: bool,
    threads: int = 1,
    progress: Progress = silent,
) -> None:
    """Open every shard into a folder that exists and is empty.

    Args:
        version: From `open_contents`.
        folder: Where the files go.
        store: Where the bodies are.
        verify: Whether to compare each file's digest with the contents as well.
        threads: That open at once.
        progress: Told the bytes of plaintext that were written.

    Raises:
        DamagedShardError: A body does not verify, or is not what the contents say.
        MissingShardError: A body is not in the store.
        CapacityError: The file system is full.
    """
    # Many shards are opened side by side, each by one thread; of a few large ones each by all threads.
    lanes = threads if len(version.manifest.shards) < _MANY * threads else 1
    root = open_folder(folder)
    try:

        def one(shard: ShardContents, body: BodyRef, file_key: bytes) -> None:
            try:
                with (
                    store.open(body.sha256, body.size) as source,
                    ShardUnpacker(root, shard, verify=verify) as unpacker,
                ):
                    sink = cast("BinaryIO", unpacker)
                    copy_opened(source, sink, file_key, threads=_useful(lanes, body.size), progress=progress)
            except IntegrityError as error:
                raise DamagedShardError.of(body.sha256, error) from error
            except NotFoundError as error:
                missing = f"shard {body.sha256[:16]} is missing in the store"
                raise MissingShardError(missing, hint=_PUT_BACK) from error

        jobs = list(zip(version.contents.shards, version.manifest.shards, version.file_keys, strict=True))
        if len(jobs) == 1:
            one(*jobs[0])
            return
        with ThreadPoolExecutor(threads, "open") as pool:
            opened = [pool.submit(one, *job) for job in jobs]
            try:
                for future in opened:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        root.close()


def _useful(threads: int, size: int) -> int:
    """How many of so many threads find something to do in a body; starting one costs what opening 300 kB does."""
    return max(1, min(threads, size // (BATCH * SEALED_CHUNK)))
