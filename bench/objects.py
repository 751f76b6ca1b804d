"""Objects to the factory's store and back: folder, bucket through the service, bucket directly, bare client.

    python bench/objects.py [--size 1GiB] [--repeat 3] [--json PATH]

Random bodies of 64 MiB stand for ciphertext; two threads send them as `seal` does, and fetch them as a launcher
does. The bucket is that of a Ceph of its own on this machine (one OSD in memory), so gateway, OSD, service and
client share its cores. The bare client is botocore's `put_object` and `get_object` on the same bucket in the same
run: what this machine and this gateway allow. Beside the rate stands what processor time of the *service* a GB
costs, which is what decides how many nodes it can serve.
Needs Ceph: apt-get install ceph-mon ceph-osd radosgw ceph-common.
"""

import hashlib
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from report import Bar, Picture, hand_on, parser

from kifabrik.values import parse_size

_TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(_TESTS), str(_TESTS / "services")]

from ceph import missing_programs, running

from kifabrik.client.direct import Direct
from kifabrik.client.objects import Objects
from parties import FactoryProcess

BODY = 64 * 2**20
THREADS = 2
FOLDER, THROUGH, DIRECTLY, BARE = (
    "folder, through the service",
    "S3, through the service",
    "S3, directly",
    "bare client",
)


@dataclass
class Way:
    """One way to move objects.

    Args:
        put: Sends a body of this digest.
        get: Fetches one, and returns how many bytes came.
        pid: The service's process, if it has a part in it.
    """

    put: Callable[[str, bytes], None]
    get: Callable[[str], int]
    pid: int = 0
    up: list[float] = field(default_factory=list)
    down: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds."""
    if not pid:
        return 0.0
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def measure(way: Way, bodies: dict[str, bytes]) -> None:
    """Send everything, fetch everything."""
    total = sum(map(len, bodies.values()))
    before, began = cpu_s(way.pid), time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(way.put, bodies, bodies.values()))
        sent = time.perf_counter()
        assert sum(pool.map(way.get, bodies)) == total
    way.up.append(total / 1e9 / (sent - began))
    way.down.append(total / 1e9 / (time.perf_counter() - sent))
    way.cost.append((cpu_s(way.pid) - before) / (2 * total / 1e9))


def through(person, pid: int, direct: Direct | None) -> Way:
    """A member's client, past the service or through it."""
    store = Objects(person.connection, direct)

    def put(digest: str, body: bytes) -> None:
        store.upload(io.BytesIO(body), digest, len(body))

    return Way(put, lambda digest: sum(map(len, store.pieces(digest))), pid)


def bare(ceph, bucket: str) -> Way:
    """botocore's own client."""

    def get(digest: str) -> int:
        body = ceph.client.get_object(Bucket=bucket, Key=digest)["Body"]
        return sum(map(len, body.iter_chunks(2**20)))

    return Way(lambda digest, body: ceph.client.put_object(Bucket=bucket, Key=digest, Body=body), get)


def main() -> None:
    """Measure, print, hand on."""
    words = parser(__doc__)
    words.add_argument("--size", default="1GiB")
    words.add_argument("--repeat", type=int, default=3)
    said = words.parse_args()
    if missing_programs():
        sys.exit(f"needs {', '.join(missing_programs())}: apt-get install ceph-mon ceph-osd radosgw ceph-common")
    count = max(1, parse_size(said.size) // BODY)
    with ExitStack() as held:
        home = Path(held.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        ceph = held.enter_context(running(memory_bytes=(6 * said.repeat) * count * BODY + 2**30))
        bucket = ceph.bucket()
        plain, kept = FactoryProcess(home / "plain"), FactoryProcess(home / "kept")
        held.callback(plain.close)
        held.callback(kept.close)
        kept.stop()
        with (kept.home / "factory.toml").open("a") as settings:
            place = (
                f'url = "s3://{bucket}/f"\nendpoint = "{ceph.endpoint}"\ncredentials = "{ceph.credentials_file()}"'
            )
            settings.write(f"\n[objects]\n{place}\n")
        kept.start()
        held.callback(kept.inside.objects.files.close)
        anna, boris = plain.sign_up().enrol(), kept.sign_up().enrol()
        ways = {
            FOLDER: through(anna, plain.process.pid, None),
            THROUGH: through(boris, kept.process.pid, None),
            DIRECTLY: through(boris, kept.process.pid, Direct(boris.connection)),
            BARE: bare(ceph, bucket),
        }
        for _ in range(said.repeat):
            for way in ways.values():
                made = (os.urandom(BODY) for _ in range(count))
                measure(way, {hashlib.sha256(body).hexdigest(): body for body in made})
        show(ways, said)


def show(ways: dict[str, Way], said) -> None:
    """Print the table, and hand the bars on."""
    print(f"{'':30}  to GB/s   of bare   from GB/s   of bare   service CPU s/GB")
    pictures = []
    limit = ways[BARE]
    for name, way in ways.items():
        up, down, cost = (statistics.median(one) for one in (way.up, way.down, way.cost))
        ratios = [
            statistics.median(mine / theirs for mine, theirs in zip(ours, bares, strict=True))
            for ours, bares in ((way.up, limit.up), (way.down, limit.down))
        ]
        print(f"{name:30}  {up:7.3f}   {ratios[0]:7.2f}   {down:9.3f}   {ratios[1]:7.2f}   {cost:16.3f}")
    for title, of in (("Objects to the store", "up"), ("Objects from the store", "down")):
        bars = tuple(
            Bar(name, statistics.median(getattr(way, of)), "limit" if way is limit else "ours")
            for name, way in ways.items()
        )
        pictures.append(Picture(title, "GB/s", bars, "Bodies of 64 MiB, two threads, a Ceph on the same machine."))
    hand_on(said.json, *pictures)


if __name__ == "__main__":
    main()
