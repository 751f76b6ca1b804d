"""Sealing and opening beside the `age` tool, `pyrage` and the bare cipher, in one run.

    python bench/seals.py [--size 512MiB] [--repeat 7] [--json PATH]

Every row is timed once a round, round after round, so whatever else the machine does falls on all of
them alike; the table shows medians and, for each row, its ratio to the bare cipher (the same 64 KiB
chunks, memory to memory, one thread) and to the `age` tool. All files lie in memory (/dev/shm). What the
processor could do at best is asked of `openssl speed`.
"""

import hashlib
import io
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from report import Bar, Picture, Target, at_least, hand_on, parser

from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import BodyReader, copy_opened, open_body_into, open_header
from kifabrik.seals.sealing import BodyWriter, make_header, new_file_key, seal_bytes
from kifabrik.seals.stream import PLAIN_CHUNK, SEALED_CHUNK, chunk_nonce, sealed_size
from kifabrik.values import parse_size

PIECE = 1 << 20
RANDOM_READ = 150_000
RANDOM_READS = 400
BARE = "bare ChaCha20-Poly1305"
OURS_OPEN, OURS_OPEN_2 = "kifabrik, memory to memory, 1 thread", "kifabrik, memory to memory, 2 threads"
OURS_SEAL, OURS_SEAL_2 = "kifabrik, stream, SHA-256, 1 thread", "kifabrik, stream, SHA-256, 2 threads"
OURS_SEAL_TWO = "kifabrik, two bodies at once, SHA-256"


class Null(io.RawIOBase):
    """A sink that forgets."""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        return len(data)


class Bench:
    """Inputs in memory and one method for each row."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        block = random.Random(1).randbytes(1 << 20)
        self.plain = bytearray((block * (size // len(block) + 1))[:size])
        self.plain_path, self.body_path, self.file_path = (folder / n for n in ("plain", "body", "file.age"))
        self.plain_path.write_bytes(self.plain)
        self.identity = Identity.generate()
        (folder / "key").write_text(self.identity.text + "\n")
        key = new_file_key()
        self.header = make_header(key, [self.identity.recipient])
        self.file_key = open_header(self.header, [self.identity])
        with self.body_path.open("wb") as sink, BodyWriter(sink, key) as writer:
            writer.write(self.plain)
        self.body = self.body_path.read_bytes()
        self.file_path.write_bytes(self.header + self.body)
        self.room = memoryview(bytearray(size))
        self.chunks = memoryview(bytearray(-(-size // PLAIN_CHUNK) * SEALED_CHUNK))
        self.cipher = ChaCha20Poly1305(os.urandom(32))
        self.raw_seal()

    def raw_seal(self) -> None:
        plain, sealed, encrypt_into = memoryview(self.plain), self.chunks, self.cipher.encrypt_into
        for i in range(self.size // PLAIN_CHUNK):
            encrypt_into(
                chunk_nonce(i, last=False),
                plain[i * PLAIN_CHUNK : (i + 1) * PLAIN_CHUNK],
                None,
                sealed[i * SEALED_CHUNK : (i + 1) * SEALED_CHUNK],
            )

    def raw_open(self) -> None:
        plain, sealed, decrypt_into = self.room, self.chunks, self.cipher.decrypt_into
        for i in range(self.size // PLAIN_CHUNK):
            decrypt_into(
                chunk_nonce(i, last=False),
                sealed[i * SEALED_CHUNK : (i + 1) * SEALED_CHUNK],
                None,
                plain[i * PLAIN_CHUNK : (i + 1) * PLAIN_CHUNK],
            )

    def raw_hash(self) -> None:
        view = memoryview(self.plain)
        digest = hashlib.sha256()
        for start in range(0, self.size, PIECE):
            digest.update(view[start : start + PIECE])

    def open_memory(self, threads: int) -> None:
        open_body_into(self.body_path, None, self.file_key, self.room, threads=threads)

    def open_in_memory(self, threads: int) -> None:
        open_body_into(self.body, None, self.file_key, self.room, threads=threads)

    def open_file(self, threads: int) -> None:
        target = os.open(self.folder / "opened", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        open_body_into(self.body_path, None, self.file_key, target, threads=threads)
        os.close(target)

    def open_stream(self, threads: int) -> None:
        with self.body_path.open("rb", buffering=0) as source:
            copy_opened(source, Null(), self.file_key, threads=threads)

    def seal_stream(self, threads: int) -> None:
        buffer = memoryview(bytearray(PIECE))
        sink = Null()
        with (
            self.plain_path.open("rb", buffering=0) as source,
            BodyWriter(sink, new_file_key(), threads=threads) as writer,
        ):
            while count := source.readinto(buffer):
                writer.write(buffer[:count])

    def seal_two(self) -> None:
        """Seal two bodies of half the size, a thread each."""
        view, half = memoryview(self.plain), self.size // 2

        def seal(start: int) -> None:
            with BodyWriter(Null(), new_file_key()) as writer:
                for at in range(start, start + half, PIECE):
                    writer.write(view[at : at + PIECE])

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(seal, (0, half)))

    def seal_memory(self) -> None:
        view = memoryview(self.plain)
        for start in range(0, self.size, PIECE):
            seal_bytes(view[start : start + PIECE], self.file_key)

    def raw_seal_and_hash(self) -> None:
        self.raw_seal()
        self.raw_hash()

    def age_open(self) -> None:
        self._age("-d", "-i", str(self.folder / "key"), "-o", "/dev/null", str(self.file_path))

    def age_seal(self) -> None:
        self._age("-r", self.identity.recipient.text, "-o", "/dev/null", str(self.plain_path))

    def pyrage_open(self) -> None:
        with self.file_path.open("rb") as source:
            pyrage.decrypt_io(source, Null(), [pyrage.x25519.Identity.from_str(self.identity.text)])

    def pyrage_seal(self) -> None:
        recipient = pyrage.x25519.Recipient.from_str(self.identity.recipient.text)
        with self.plain_path.open("rb") as source:
            pyrage.encrypt_io(source, Null(), [recipient])

    def random_reads(self) -> None:
        with BodyReader(self.body_path, None, self.file_key) as reader:
            draw = random.Random(2)
            for _ in range(RANDOM_READS):
                reader.read_at(draw.randrange(self.size - RANDOM_READ), RANDOM_READ)

    def plain_write(self) -> None:
        with (self.folder / "opened").open("wb", buffering=0) as target:
            for start in range(0, self.size, PIECE):
                target.write(memoryview(self.plain)[start : start + PIECE])

    def _age(self, *arguments: str) -> None:
        subprocess.run(["age", *arguments], check=True)


def rows(bench: Bench) -> list[tuple[str, str, int, Callable[[], None]]]:
    """Name, direction, plaintext bytes and what is timed."""
    size = bench.size
    table = [
        (BARE, "open", size, bench.raw_open),
        (OURS_OPEN, "open", size, lambda: bench.open_in_memory(1)),
        (OURS_OPEN_2, "open", size, lambda: bench.open_in_memory(2)),
        ("kifabrik, file to memory, 1 thread", "open", size, lambda: bench.open_memory(1)),
        ("kifabrik, file to memory, 2 threads", "open", size, lambda: bench.open_memory(2)),
        ("kifabrik, stream, 1 thread", "open", size, lambda: bench.open_stream(1)),
        ("kifabrik, stream, 2 threads", "open", size, lambda: bench.open_stream(2)),
        ("kifabrik, file to new tmpfs file, 1 thread", "open", size, lambda: bench.open_file(1)),
        ("kifabrik, file to new tmpfs file, 2 threads", "open", size, lambda: bench.open_file(2)),
        (f"kifabrik, random reads of {RANDOM_READ} B", "open", RANDOM_READ * RANDOM_READS, bench.random_reads),
        ("pyrage", "open", size, bench.pyrage_open),
        (BARE, "seal", size, bench.raw_seal),
        (f"{BARE}, then SHA-256", "seal", size, bench.raw_seal_and_hash),
        ("kifabrik, bodies of 1 MiB, no digest", "seal", size, bench.seal_memory),
        (OURS_SEAL, "seal", size, lambda: bench.seal_stream(1)),
        (OURS_SEAL_2, "seal", size, lambda: bench.seal_stream(2)),
        (OURS_SEAL_TWO, "seal", size, bench.seal_two),
        ("pyrage", "seal", size, bench.pyrage_seal),
        ("SHA-256 alone", "for scale", size, bench.raw_hash),
        ("plain write to new tmpfs file", "for scale", size, bench.plain_write),
    ]
    if shutil.which("age"):
        table.append(("age", "open", size, bench.age_open))
        table.append(("age", "seal", size, bench.age_seal))
    return table


def measure(bench: Bench, repeat: int) -> list[dict[str, object]]:
    """Time every row once a round; return medians in GB/s of plaintext and their ratios."""
    table = rows(bench)
    seconds: list[list[float]] = [[] for _ in table]
    for _ in range(repeat):
        for times, (_, _, _, work) in zip(seconds, table, strict=True):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    results = [
        {"name": name, "direction": direction, "gb_per_s": size / statistics.median(times) / 1e9}
        for times, (name, direction, size, _) in zip(seconds, table, strict=True)
    ]
    for result in results:
        for peer in (BARE, "age"):
            found = [r for r in results if (r["name"], r["direction"]) == (peer, result["direction"])]
            result[f"to {peer}"] = result["gb_per_s"] / found[0]["gb_per_s"] if found else None
    return sorted(results, key=lambda r: ("open", "seal", "for scale").index(r["direction"]))


def show(results: list[dict[str, object]], size: int, repeat: int) -> None:
    """Print the table."""
    print(f"{size / 1e6:.0f} MB of plaintext, medians of {repeat} interleaved rounds\n")
    print(f"{'':46}{'GB/s':>7}{'to bare cipher':>17}{'to age':>9}")
    direction = ""
    for result in results:
        if result["direction"] != direction:
            direction = result["direction"]
            print(direction)
        ratios = (result[f"to {BARE}"], result["to age"])
        bare, age = (f"{ratio:.2f}" if ratio else "" for ratio in ratios)
        print(f"  {result['name']:44}{result['gb_per_s']:7.2f}{bare:>17}{age:>9}")


def fastest(name: str) -> float:
    """What OpenSSL's own benchmark says this processor does on one core, in GB/s of 64 KiB blocks."""
    command = ["openssl", "speed", "-seconds", "2", "-bytes", "65536", "-evp", name]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(said.split()[-1].removesuffix("k")) * 1e3 / 1e9


def pictures(results: list[dict[str, object]], limits: dict[str, float], size: int, repeat: int) -> list[Picture]:
    """One picture for each direction."""
    drawn = []
    targets = {"open": open_targets(results), "seal": seal_targets(results)}
    for direction, title in (("open", "Opening a sealed shard"), ("seal", "Sealing a shard")):
        rows = [one for one in results if one["direction"] == direction]
        bars = [
            Bar(
                str(one["name"]),
                float(one["gb_per_s"]),
                "ours" if str(one["name"]).startswith("kifabrik") else "peer",
            )
            for one in rows
        ]
        if direction == "seal":
            bars.append(Bar("SHA-256, one core (openssl speed)", limits["sha256"], "limit"))
        bars.append(Bar("the cipher, one core (openssl speed)", limits["chacha20-poly1305"], "limit"))
        drawn.append(
            Picture(
                title,
                "GB/s of plaintext",
                tuple(bars),
                f"{size / 1e6:.0f} MB, medians of {repeat} rounds in turn; all files in memory. "
                + ("" if direction == "open" else "Ours also computes the SHA-256 the factory stores a shard by."),
                targets[direction],
            )
        )
    return drawn


def open_targets(results: list[dict[str, object]]) -> tuple[Target, ...]:
    """What was promised of opening."""
    one, two = (found(results, "open", name) for name in (OURS_OPEN, OURS_OPEN_2))
    made = [at_least("opening, one core, to the bare cipher", one[f"to {BARE}"], 0.8, "{:.2f}")]
    if one["to age"]:
        made.append(at_least("opening, one core, to `age`", one["to age"], 3.0, "{:.2f}"))
        made.append(at_least("opening, two cores, to `age`", two["to age"], 3.0, "{:.2f}"))
    made.append(at_least("opening, the second core's gain", two["gb_per_s"] / one["gb_per_s"], 1.6, "{:.2f}"))
    return tuple(made)


def seal_targets(results: list[dict[str, object]]) -> tuple[Target, ...]:
    """What was promised of sealing; the digest is part of it."""
    one, two = (found(results, "seal", name) for name in (OURS_SEAL, OURS_SEAL_TWO))
    made = [at_least("sealing with SHA-256, one core, to the bare cipher", one[f"to {BARE}"], 0.8, "{:.2f}")]
    if one["to age"]:
        made.append(at_least("sealing with SHA-256, one core, to `age`", one["to age"], 3.0, "{:.2f}"))
    made.append(at_least("sealing, the second core's gain", two["gb_per_s"] / one["gb_per_s"], 1.6, "{:.2f}"))
    return tuple(made)


def found(results: list[dict[str, object]], direction: str, name: str) -> dict[str, object]:
    """Return one row."""
    return next(one for one in results if (one["direction"], one["name"]) == (direction, name))


def main() -> None:
    """Run from the command line."""
    made = parser(__doc__)
    made.add_argument("--size", default="512MiB", help="plaintext, such as 512MiB")
    made.add_argument("--repeat", type=int, default=7)
    options = made.parse_args()
    size = max(2, parse_size(options.size) // PLAIN_CHUNK // 2 * 2) * PLAIN_CHUNK
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        bench = Bench(Path(folder), size)
        assert bench.body_path.stat().st_size == sealed_size(size)
        results = measure(bench, options.repeat)
    limits = {name: fastest(name) for name in ("chacha20-poly1305", "sha256")}
    show(results, size, options.repeat)
    for name, speed in limits.items():
        print(f"  {f'openssl speed {name}, one core':44}{speed:7.2f}")
    hand_on(options.json, *pictures(results, limits, size, options.repeat))


if __name__ == "__main__":
    main()
