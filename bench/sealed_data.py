"""Sealed data for the benchmarks of staging, streaming and epochs; run by itself it measures nothing."""

import hashlib
import random
import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from kifabrik.datasets.packing import plan_shards
from kifabrik.seals.identities import Identity
from kifabrik.transfer.opening import OpenedVersion, open_contents
from kifabrik.transfer.sealing import Sealer, VersionHead

TENANT, DATASET = "t-" + "a" * 32, "d-" + "b" * 16


class FolderOfObjects:
    """Ciphertext in a folder laid out as the factory's, read as a launcher on the same machine does."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        return self.root / digest[:2] / digest

    def missing(self, digests):
        return {digest for digest in digests if not self.path(digest).exists()}

    def upload(self, source, digest, size, progress):
        self.path(digest).parent.mkdir(parents=True, exist_ok=True)
        with self.path(digest).open("wb") as file:
            shutil.copyfileobj(source, file, 2**20)
        progress(size)

    def upload_bytes(self, data):
        digest = hashlib.sha256(data).hexdigest()
        self.path(digest).parent.mkdir(parents=True, exist_ok=True)
        self.path(digest).write_bytes(data)
        return digest

    def fetch(self, digest, limit):
        return self.path(digest).read_bytes()[: limit + 1]

    @contextmanager
    def open(self, digest, _size):
        with self.path(digest).open("rb", buffering=0) as file:
            yield file

    def at_any_position(self, digest, _size):
        return self.path(digest)


def make_files(folder: Path, size: int, *, each: int, small: int = 0) -> None:
    """Make files of `each` bytes up to `size` in all, and `small` files of 10 kB; bytes do not compress."""
    folder.mkdir(parents=True)
    block = random.Random(1).randbytes(2**20)
    for number in range(max(1, size // each)):
        with (folder / f"part-{number:04}.bin").open("wb") as file:
            for piece in range(0, each, len(block)):
                file.write((number * 1000 + piece).to_bytes(8, "little") + block[8 : min(len(block), each - piece)])
    for number in range(small):
        (folder / f"small-{number:05}.bin").write_bytes(block[number : number + 10_000])


def seal(folder: Path, store: FolderOfObjects, spool: Path) -> OpenedVersion:
    """Seal a folder; return the version as a launcher with a lease has it."""
    identity = Identity.generate()
    with plan_shards(folder, previous=()) as plan:
        sealed = Sealer(VersionHead(TENANT, DATASET, 1, "", identity.recipient), store, spool).seal(plan)
    return open_contents(sealed.manifest, store.fetch(sealed.manifest.headers, 2**30), [identity], store)


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(seconds: list[float]) -> float:
    """The median, or nothing if there is nothing."""
    return statistics.median(seconds) if seconds else float("nan")


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """How many times as long ours took: the median over the rounds, so that what slows a round cancels out."""
    return median([one / other for one, other in zip(ours, theirs, strict=True)])
