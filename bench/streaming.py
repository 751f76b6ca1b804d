"""Data opened while it is read, beside data in memory and beside gocryptfs, in one run.

    python bench/streaming.py [--size 768MiB] [--repeat 5] [--limit 256MiB] [--json PATH]

Two readers, a process each time: one only reads (`dd` with blocks of 1 MiB), one is the training epoch of
`epoch.py`, on a quarter of the data. Each reads three times from fresh mounts: the first epoch opens, the later
ones come from the page cache and are timed together, as the kernel marks each page as in use when it is read
for the second time. Ciphertext lies in memory (/dev/shm), ours and gocryptfs's. `opened before` counts the
opening too: what a run waits for if its data is not streamed. At the end all is read by a run that may have
less memory than that, to show what it costs in memory.
Needs root and FUSE; without gocryptfs its rows are left out.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from epoch import COMPUTE, PYTHON
from report import Bar, Picture, Target, at_least, hand_on, parser
from sealed_data import FolderOfObjects, make_files, median, median_ratio, seal, timed

from kifabrik.launcher.streaming import Faults, Streamer
from kifabrik.sandbox.hierarchies import find_hierarchies
from kifabrik.sandbox.limits import Limits, RunGroup
from kifabrik.sandbox.memory import PrivateMounts, enter_private_mounts
from kifabrik.sandbox.streamed import cannot_stream
from kifabrik.sandbox.uids import RunUid
from kifabrik.transfer.opening import unpack
from kifabrik.values import format_size, parse_size

FIRST, LATER = "first epoch", "later epochs"
LATER_EPOCHS = 2
IN_MEMORY, BEFORE = "in memory", "in memory, opened before"
STREAMED, PEER = "streamed", "gocryptfs"
READING, TRAINING = "reading", "training"
READ = 'for file in "$1"/*; do dd if="$file" of=/dev/null bs=1M status=none || exit 1; done'
TRAIN = f"{COMPUTE}\nepoch(sys.argv[1])"
PASSWORD = "isar"


def read_all(folder: Path, *join: str) -> None:
    """Read every file of a folder in a process of its own, which writes itself into the `join` files first."""
    joining = "".join(f"echo 0 >{file}; " for file in join)
    subprocess.run(["/bin/sh", "-c", joining + READ, "read", str(folder)], check=True)


def train(folder: Path) -> None:
    """Compute over every file of a folder."""
    subprocess.run([PYTHON, "-c", TRAIN, str(folder)], check=True)


READERS = {READING: read_all, TRAINING: train}
"""Each reads the folder of its name."""


class Bench:
    """The same files sealed by us and by gocryptfs, and ways to read them."""

    def __init__(self, folder: Path, size: int, mounts: PrivateMounts) -> None:
        self.folder, self.mounts = folder, mounts
        self.store = FolderOfObjects(folder / "objects")
        make_files(folder / "source" / READING, size, each=size // 8)
        make_files(folder / "source" / TRAINING, size // 4, each=size // 8)
        self.version = seal(folder / "source", self.store, folder / "spool")
        self.size = self.version.plain_size
        self.sizes = {READING: size, TRAINING: size // 4}
        self.point = folder / "point"
        self.point.mkdir()
        self.has_peer = shutil.which("gocryptfs") is not None
        if self.has_peer:
            self._fill_peer()
        shutil.rmtree(folder / "source")

    def _gocryptfs(self, *words: str) -> None:
        subprocess.run(
            ["gocryptfs", "-q", "-passfile", str(self.folder / "password"), *words],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _fill_peer(self) -> None:
        (self.folder / "password").write_text(PASSWORD)
        (self.folder / "peer").mkdir()
        self._gocryptfs("-init", "-scryptn", "10", str(self.folder / "peer"))
        self._gocryptfs(str(self.folder / "peer"), str(self.point))
        shutil.copytree(self.folder / "source", self.point / "data")
        subprocess.run(["umount", str(self.point)], check=True)

    @contextmanager
    def streamed(self):
        owner = RunUid(os.geteuid(), os.getegid(), of_its_own=False)
        folder = Streamer(self.mounts, owner, self.store, Faults(_give_up)).stream(self.version, self.point)
        try:
            yield self.point
        finally:
            folder.unmount()

    @contextmanager
    def peer(self):
        self._gocryptfs("-ro", str(self.folder / "peer"), str(self.point))
        try:
            yield self.point / "data"
        finally:
            subprocess.run(["umount", str(self.point)], check=True)

    @contextmanager
    def in_memory(self):
        memory = self.mounts.mount_memory(self.point, 2 * self.size + 2**26)
        try:
            yield memory.path
        finally:
            memory.unmount()

    def open_into(self, folder: Path) -> None:
        unpack(self.version, folder, self.store, verify=False, threads=len(os.sched_getaffinity(0)))


def _give_up(error: Exception) -> None:
    raise SystemExit(f"streaming failed: {error}")


Key = tuple[str, str, str]
"""Reader, epoch, and where the data is."""


def measure(bench: Bench, repeat: int) -> dict[Key, list[float]]:
    """Seconds of each reader, epoch and way, round by round; a first round only warms up."""
    seconds: dict[Key, list[float]] = {}
    ways = {IN_MEMORY: bench.in_memory, STREAMED: bench.streamed} | ({PEER: bench.peer} if bench.has_peer else {})
    for number in range(repeat + 1):
        for reader, read in READERS.items():
            for name, way in ways.items():
                for key, taken in _two_epochs(bench, reader, read, name, way):
                    if number:
                        seconds.setdefault(key, []).append(taken)
    return seconds


def _two_epochs(bench: Bench, reader: str, read, name: str, way) -> Iterator[tuple[Key, float]]:
    with way() as folder:
        opening = timed(lambda: bench.open_into(folder)) if name == IN_MEMORY else 0.0
        first = timed(lambda: read(folder / reader))
        if name == IN_MEMORY:
            yield (reader, FIRST, BEFORE), opening * bench.sizes[reader] / bench.size + first
        yield (reader, FIRST, name), first
        later = timed(lambda: [read(folder / reader) for _ in range(LATER_EPOCHS)])
        yield (reader, LATER, name), later / LATER_EPOCHS


def bounded(bench: Bench, limit: int) -> tuple[int, int, float]:
    """Read two epochs in a control group of so much memory: its peak, what this process grew by, GB/s."""
    group = RunGroup.create("kifabrik-bench", Limits(memory_bytes=limit, cpus=64), find_hierarchies())
    try:
        before = _resident()
        with bench.streamed() as folder:
            join = [str(file) for file in group.join_files]
            taken = timed(lambda: [read_all(folder / READING, *join) for _ in range(2)])
        grown = max(0, _resident() - before)
        return group.usage().peak_memory_bytes or 0, grown, 2 * bench.sizes[READING] / taken / 1e9
    finally:
        group.kill()
        group.remove()


def _resident() -> int:
    """Most memory this process has had so far, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def show(seconds: dict[Key, list[float]], bench: Bench, repeat: int) -> None:
    """Print the table."""
    print(f"{bench.size / 1e6:.0f} MB, medians of {repeat} interleaved rounds\n")
    print(f"{'':26}{'GB/s':>7}{'to in memory':>15}{'to opened before':>19}")
    for reader in READERS:
        for epoch in (FIRST, LATER):
            print(f"{reader}, {epoch}")
            for name in (IN_MEMORY, BEFORE, STREAMED, PEER):
                if (reader, epoch, name) in seconds:
                    beside = f"{_speed(seconds, reader, epoch, name, IN_MEMORY):.2f}"
                    before = f"{_speed(seconds, reader, epoch, name, BEFORE):.2f}" if epoch == FIRST else ""
                    rate = _rate(bench, seconds, (reader, epoch, name))
                    print(f"  {name:24}{rate:7.2f}{beside:>15}{before:>19}")


def _rate(bench: Bench, seconds: dict[Key, list[float]], key: Key) -> float:
    return bench.sizes[key[0]] / median(seconds[key]) / 1e9


def _speed(seconds: dict[Key, list[float]], reader: str, epoch: str, name: str, other: str) -> float:
    """How fast one way is, the other being 1."""
    return 1 / median_ratio(seconds[reader, epoch, name], seconds[reader, epoch, other])


def pictures(bench: Bench, seconds: dict[Key, list[float]], note: str) -> list[Picture]:
    """One for each reader."""
    kinds = {STREAMED: "ours", IN_MEMORY: "limit"}
    found = []
    for reader, targets in ((READING, _reading_targets(seconds)), (TRAINING, _training_targets(seconds))):
        bars = [
            Bar(f"{key[1]}, {key[2]}", _rate(bench, seconds, key), kinds.get(key[2], "peer"))
            for key in seconds
            if key[0] == reader and key[1:] != (LATER, IN_MEMORY)
        ]
        found.append(Picture(f"Data that does not fit into memory: {reader}", "GB/s", tuple(bars), note, targets))
    return found


def _reading_targets(seconds: dict[Key, list[float]]) -> tuple[Target, ...]:
    first = _speed(seconds, READING, FIRST, STREAMED, BEFORE)
    return (at_least("streamed, reading alone, first epoch, to opening it before", first, 0.5, "{:.2f}"),)


def _training_targets(seconds: dict[Key, list[float]]) -> tuple[Target, ...]:
    first = _speed(seconds, TRAINING, FIRST, STREAMED, IN_MEMORY)
    later = _speed(seconds, TRAINING, LATER, STREAMED, IN_MEMORY)
    return (
        at_least("streamed, training, first epoch, to data in memory", first, 0.5, "{:.2f}"),
        at_least("streamed, training, later epochs, to data in memory", later, 0.95, "{:.2f}"),
    )


def main() -> None:
    """Run from the command line."""
    made = parser(__doc__)
    made.add_argument("--size", default="768MiB", help="data, such as 768MiB")
    made.add_argument("--repeat", type=int, default=5)
    made.add_argument("--limit", default="256MiB", help="memory of the run that shows how it is bounded")
    options = made.parse_args()
    if os.geteuid() != 0 or cannot_stream():
        print(f"skipped: {cannot_stream() or 'needs root'}")
        return
    mounts = enter_private_mounts()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        bench = Bench(Path(folder), parse_size(options.size), mounts)
        seconds = measure(bench, options.repeat)
        peak, grown, rate = bounded(bench, parse_size(options.limit))
    show(seconds, bench, options.repeat)
    sizes = [format_size(size) for size in (bench.sizes[READING], parse_size(options.limit), peak, grown)]
    print(
        f"\n{sizes[0]} read twice by a run of at most {sizes[1]}: it took {sizes[2]}, the launcher {sizes[3]} more,"
    )
    print(f"at {rate:.2f} GB/s.")
    if not bench.has_peer:
        print("gocryptfs is not installed: apt-get install gocryptfs")
    note = f"{sizes[0]} read twice by a run of at most {sizes[1]} took {sizes[2]}; the launcher grew by {sizes[3]}."
    hand_on(options.json, *pictures(bench, seconds, note))


if __name__ == "__main__":
    main()
