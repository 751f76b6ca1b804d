"""Memory stays the same however large the body is, measured in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import io, resource, sys
from pathlib import Path
from kifabrik.seals.opening import BodyReader, copy_opened
from kifabrik.seals.sealing import BodyWriter

path, size, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
key, block = bytes(16), bytes(1 << 20)

class Count(io.RawIOBase):
    total = 0
    def writable(self):
        return True
    def write(self, data):
        self.total += len(data)
        return len(data)

with path.open("wb") as sink, BodyWriter(sink, key, threads=threads) as writer:
    for _ in range(size):
        writer.write(block)
sink = Count()
with path.open("rb") as source:
    copy_opened(source, sink, key, threads=threads)
assert sink.total == size << 20
room = bytearray(150_000)
with BodyReader(path, None, key) as reader:
    for offset in range(0, reader.size, 1_500_000):
        reader.read_into_at(offset, room)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kib(path: Path, mebibytes: int, threads: int) -> int:
    command = [sys.executable, "-c", PROGRAM, str(path), str(mebibytes), str(threads)]
    return int(subprocess.run(command, check=True, capture_output=True, timeout=100).stdout)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_body_of_half_a_gigabyte_needs_no_more_memory_than_a_small_one(tmp_path: Path, threads: int) -> None:
    small = peak_kib(tmp_path / "body", 8, threads)
    large = peak_kib(tmp_path / "body", 512, threads)
    assert large < small + 8 * 1024
