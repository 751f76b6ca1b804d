"""Staging beside what bounds it: opening alone and a plain write into memory, in one run.

    python bench/staging.py [--size 1GiB] [--repeat 7] [--threads 2] [--json PATH]

Sealed files lie on a disk or in memory, as `--folder` says. Warm means that their ciphertext is in the page
cache and that the machine has touched the memory before; cold, that the ciphertext is read from the disk
again. Rows are timed once a round, round after round; the table shows medians. Needs root.
"""

import os
import shutil
import tempfile
from pathlib import Path

from report import Bar, Picture, at_least, hand_on, parser
from sealed_data import FolderOfObjects, make_files, median, median_ratio, seal, timed

from kifabrik.sandbox.memory import MemoryFolder, enter_private_mounts
from kifabrik.seals.opening import open_body_into
from kifabrik.transfer.opening import unpack
from kifabrik.values import parse_size

OPENING, WRITING = "opening alone", "plain write into memory"
WARM, COLD = "staging, warm", "staging, cold"
PIECE = 1 << 20
SMALL = 200


class Bench:
    """Sealed data, memory to open it into, and one method for each row."""

    def __init__(self, folder: Path, size: int, threads: int, memory: MemoryFolder) -> None:
        self.threads, self.memory = threads, memory
        self.store = FolderOfObjects(folder / "objects")
        make_files(folder / "source", size, each=size // 4, small=SMALL)
        self.version = seal(folder / "source", self.store, folder / "spool")
        shutil.rmtree(folder / "source")
        self.size = self.version.plain_size
        self.bodies = [
            (self.store.path(body.sha256), key)
            for body, key in zip(self.version.manifest.shards, self.version.file_keys, strict=True)
        ]
        self.room = memoryview(bytearray(max(shard.plain_size for shard in self.version.contents.shards)))
        self.piece = os.urandom(PIECE)

    def clear(self) -> None:
        for path in self.memory.path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def forget_ciphertext(self) -> None:
        for path, _ in self.bodies:
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def stage(self) -> None:
        target = self.memory.path / "data"
        target.mkdir()
        unpack(self.version, target, self.store, verify=False, threads=self.threads)

    def open_only(self) -> None:
        for path, key in self.bodies:
            open_body_into(path, None, key, self.room, threads=self.threads)

    def write_only(self) -> None:
        with (self.memory.path / "plain").open("wb", buffering=0) as file:
            for _ in range(0, self.size, PIECE):
                file.write(self.piece)


def measure(bench: Bench, repeat: int) -> dict[str, list[float]]:
    """Seconds of each row and round."""
    rows = {
        OPENING: bench.open_only,
        WRITING: bench.write_only,
        WARM: bench.stage,
        COLD: bench.stage,
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for number in range(repeat + 1):
        for name, work in rows.items():
            bench.clear()
            if name == COLD:
                bench.forget_ciphertext()
            taken = timed(work)
            if number:  # the first round touches the memory for the first time
                seconds[name].append(taken)
    return seconds


def main() -> None:
    """Run from the command line."""
    made = parser(__doc__)
    made.add_argument("--size", default="1GiB", help="plaintext, such as 1GiB")
    made.add_argument("--repeat", type=int, default=7)
    made.add_argument("--threads", type=int, default=min(8, len(os.sched_getaffinity(0))))
    made.add_argument("--folder", help="where the ciphertext lies; a folder of this disk by default")
    options = made.parse_args()
    if os.geteuid() != 0:
        print("skipped: needs root, to mount memory")
        return
    mounts = enter_private_mounts()
    size = parse_size(options.size)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, tempfile.TemporaryDirectory() as point:
        memory = mounts.mount_memory(Path(point), 2 * size + 2**28)
        try:
            bench = Bench(Path(folder), size, options.threads, memory)
            seconds = measure(bench, options.repeat)
        finally:
            memory.unmount()
    rates = {name: bench.size / median(taken) / 1e9 for name, taken in seconds.items()}
    slower = [max(both) for both in zip(seconds[OPENING], seconds[WRITING], strict=True)]
    ratios = {name: 1 / median_ratio(seconds[name], slower) for name in (WARM, COLD)}
    huge = "huge pages" if memory.huge_pages else "no huge pages"
    print(f"{bench.size / 1e6:.0f} MB in {len(bench.bodies)} shards, {options.threads} threads, {huge}, ", end="")
    print(f"medians of {options.repeat} interleaved rounds\n")
    print(f"{'':28}{'GB/s':>7}{'to the smaller bound':>23}")
    for name, rate in rates.items():
        print(f"  {name:26}{rate:7.2f}{f'{ratios[name]:.2f}' if name in ratios else '':>23}")
    bars = tuple(Bar(name, rate, "ours" if name in ratios else "limit") for name, rate in rates.items())
    target = at_least("staging, warm, to the smaller of opening and writing", ratios[WARM], 0.8, "{:.2f}")
    note = f"Warm: the ciphertext is in the page cache. {huge.capitalize()}."
    hand_on(options.json, Picture("Opening a dataset into memory", "GB/s", bars, note, (target,)))


if __name__ == "__main__":
    main()
