"""Sealed data for the benchmarks of staging, streaming and epochs; run by itself it measures nothing."""

import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kifabrik.datasets.grouping import ShardSizes
from kifabrik.transfer.opening import OpenedVersion

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from sealed_folders import FolderOfObjects, seal_folder

__all__ = ["FolderOfObjects", "make_files", "median", "median_ratio", "seal", "timed"]


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
    """Seal a folder in shards of the usual sizes; return the version as a launcher with a lease has it."""
    return seal_folder(folder, store.root, spool, ShardSizes())


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
