"""Packing and unpacking a folder of many small files beside `tar` and Python's `tarfile`, in one run.

    python bench/packing.py [--files 100000] [--repeat 3] [--json PATH]

Every row is timed once a round, round after round, so whatever else the machine does falls on all of
them alike; the table shows medians and each row's ratio to GNU tar (more than 1: faster than tar). Ours
hashes every file and every shard on the way; tar and tarfile hash nothing. The files, 0.5 to 8 kB each,
lie in memory (/dev/shm) and are unpacked there.
"""

import random
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from report import Bar, Picture, hand_on, parser

from kifabrik.datasets.contents import Contents, contents_digest
from kifabrik.datasets.encoding import decode_contents, encode_contents
from kifabrik.datasets.folders import open_folder
from kifabrik.datasets.index import Index, IndexWriter, StoredShard
from kifabrik.datasets.manifest import BodyRef
from kifabrik.datasets.packing import plan_shards
from kifabrik.datasets.unpacking import ShardUnpacker
from kifabrik.seals.sealing import BodyWriter, new_file_key
from kifabrik.values import sha256_hex

FILES_PER_FOLDER = 1000
PIECE = 1 << 20
Row = tuple[str, str, Callable[[], float]]


def make_files(root: Path, count: int) -> int:
    """Write the files; return their bytes."""
    dice, total = random.Random(1), 0
    for number in range(count):
        place = root / f"class_{number // FILES_PER_FOLDER:03}" / f"image_{number:06}.png"
        if number % FILES_PER_FOLDER == 0:
            place.parent.mkdir(parents=True)
        total += place.write_bytes(dice.randbytes(dice.randrange(500, 8000)))
    return total


class Bench:
    """A folder, its shards in memory, and one method for each row; each returns seconds."""

    def __init__(self, folder: Path, count: int) -> None:
        self.source, self.target, self.spool = (folder / name for name in ("source", "target", "spool"))
        self.index = folder / "index"
        self.size = make_files(self.source, count)
        time.sleep(2.1)  # so that the files' states settle and the index may believe them
        self.plaintexts: list[bytes] = []
        with plan_shards(self.source) as plan, IndexWriter(self.index, owner="d-x", recipient="age1x") as index:
            for number, shard in enumerate(plan.shards):
                blocks: list[bytes] = []
                contents = shard.write_to(lambda block, blocks=blocks: blocks.append(bytes(block)))
                body = BodyRef(sha256_hex(b"%d" % number), 1)
                index.append(shard.record(contents, StoredShard(body, b"header")))
                self.plaintexts.append(b"".join(blocks))
        self.contents = Contents("bench", "", tuple(r.shard for r in Index.load(self.index).records))
        self.encoded = encode_contents(self.contents)
        self.archive = folder / "all.tar"
        subprocess.run(["tar", "-cf", self.archive, "-C", self.source, "."], check=True)

    def gnu_pack(self) -> float:
        # not to /dev/null itself: tar would notice and read nothing
        return timed(lambda: subprocess.run(f"tar -c -C {self.source} . | cat >/dev/null", shell=True, check=True))

    def tarfile_pack(self) -> float:
        def work() -> None:
            with Path("/dev/null").open("wb") as sink, tarfile.open(fileobj=sink, mode="w|") as archive:
                archive.add(self.source, ".")

        return timed(work)

    def pack(self) -> float:
        def work() -> None:
            with plan_shards(self.source) as plan:
                for shard in plan.shards:
                    shard.write_to(len)

        return timed(work)

    def pack_and_seal(self) -> float:
        def work() -> None:
            with plan_shards(self.source) as plan:
                for shard in plan.shards:
                    with self.spool.open("wb") as sink, BodyWriter(sink, new_file_key()) as body:
                        shard.write_to(body.write)

        return timed(work)

    def pack_unchanged(self) -> float:
        def work() -> None:
            with plan_shards(self.source, previous=[Index.load(self.index)]) as plan:
                assert all(shard.reused for shard in plan.shards)

        return timed(work)

    def fresh_target(self) -> Path:
        shutil.rmtree(self.target, ignore_errors=True)
        self.target.mkdir()
        return self.target

    def gnu_unpack(self) -> float:
        target = self.fresh_target()
        return timed(lambda: subprocess.run(["tar", "-xf", self.archive, "-C", target], check=True))

    def tarfile_unpack(self) -> float:
        target = self.fresh_target()

        def work() -> None:
            with tarfile.open(self.archive) as archive:
                archive.extractall(target, filter="data")

        return timed(work)

    def unpack(self, *, verify: bool) -> float:
        folder = open_folder(self.fresh_target())

        def work() -> None:
            for shard, plaintext in zip(self.contents.shards, self.plaintexts, strict=True):
                view = memoryview(plaintext)
                with ShardUnpacker(folder, shard, verify=verify) as unpacker:
                    for start in range(0, len(view), PIECE):
                        unpacker.feed(view[start : start + PIECE])

        seconds = timed(work)
        folder.close()
        return seconds

    def rows(self) -> list[Row]:
        """Direction, name and what is timed."""
        return [
            ("pack", "GNU tar", self.gnu_pack),
            ("pack", "Python's tarfile", self.tarfile_pack),
            ("pack", "kifabrik: plan and write, all hashed", self.pack),
            ("pack", "kifabrik: plan, write and seal to a file", self.pack_and_seal),
            ("pack", "kifabrik: next version, nothing changed", self.pack_unchanged),
            ("unpack", "GNU tar", self.gnu_unpack),
            ("unpack", "Python's tarfile, filter='data'", self.tarfile_unpack),
            ("unpack", "kifabrik", lambda: self.unpack(verify=False)),
            ("unpack", "kifabrik, files hashed again", lambda: self.unpack(verify=True)),
            ("contents", "encode", lambda: timed(lambda: encode_contents(self.contents))),
            ("contents", "decode and check", lambda: timed(lambda: decode_contents(self.encoded))),
            ("contents", "digest of the tree", lambda: timed(lambda: contents_digest(self.contents))),
        ]


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(rows: list[Row], repeat: int) -> list[dict[str, object]]:
    """Time every row once a round; return medians in seconds and their ratios to GNU tar."""
    seconds: list[list[float]] = [[] for _ in rows]
    for _ in range(repeat):
        for times, (_, _, work) in zip(seconds, rows, strict=True):
            times.append(work())
    medians = [statistics.median(times) for times in seconds]
    tar = {way: median for (way, name, _), median in zip(rows, medians, strict=True) if name == "GNU tar"}
    return [
        {"direction": way, "name": name, "seconds": median, "to tar": tar[way] / median if way in tar else None}
        for (way, name, _), median in zip(rows, medians, strict=True)
    ]


def show(results: list[dict[str, object]]) -> None:
    """Print the table."""
    print(f"{'':52}{'seconds':>8}{'to tar':>8}")
    for result in results:
        ratio = f"{result['to tar']:.2f}" if result["to tar"] else ""
        print(f"{result['direction']:10}{result['name']:42}{result['seconds']:8.2f}{ratio:>8}")


def main() -> None:
    """Run from the command line."""
    made = parser(__doc__)
    made.add_argument("--files", type=int, default=100_000)
    made.add_argument("--repeat", type=int, default=3)
    options = made.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        bench = Bench(Path(folder), options.files)
        results = measure(bench.rows(), options.repeat)
        print(
            f"{options.files} files, {bench.size / 1e6:.0f} MB, {len(bench.plaintexts)} shards, "
            f"{len(bench.encoded) / 1e6:.1f} MB of contents; medians of {options.repeat} interleaved rounds\n"
        )
        show(results)
    hand_on(options.json, picture(results, options.files, bench.size, options.repeat))


def picture(results: list[dict[str, object]], files: int, size: int, repeat: int) -> Picture:
    """Packing and unpacking; encoding of contents has no peer and stays out."""
    rows = [one for one in results if one["direction"] in ("pack", "unpack")]
    bars = tuple(
        Bar(
            f"{one['direction']}: {one['name']}".replace("kifabrik: ", "kifabrik, "),
            float(one["seconds"]),
            kind(one),
        )
        for one in rows
    )
    return Picture(
        f"{files:,} small files packed and unpacked",
        "seconds",
        bars,
        f"{size / 1e6:.0f} MB, medians of {repeat} rounds in turn, in memory. "
        "Ours hashes every file and every shard; the others hash nothing.",
    )


def kind(row: dict[str, object]) -> str:
    """Whose row it is."""
    return "ours" if str(row["name"]).startswith("kifabrik") else "peer"


if __name__ == "__main__":
    main()
