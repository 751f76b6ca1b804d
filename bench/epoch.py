"""One training epoch over mounted data beside the same script on plain files, in one run.

    python bench/epoch.py [--size 256MiB] [--repeat 9] [--json PATH]

The script reads every file and computes mean and variance of its samples. It runs in a room, with the data
opened into memory and mounted at /data, and without us, on plain files in memory (/dev/shm) and on the disk.
It times its epochs itself, after one that is thrown away; rounds are interleaved. Needs root and bubblewrap.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from report import Bar, Picture, at_most, hand_on, parser
from sealed_data import FolderOfObjects, make_files, median, median_ratio, seal

from kifabrik.sandbox.launch import start
from kifabrik.sandbox.limits import Limits
from kifabrik.sandbox.memory import PrivateMounts, enter_private_mounts
from kifabrik.sandbox.room import RoomSpec
from kifabrik.sandbox.uids import claim_uid
from kifabrik.transfer.opening import unpack
from kifabrik.values import parse_size

PYTHON = "/usr/bin/python3"
EPOCHS = 3
ROOM, MEMORY, DISK = "in a room, data mounted", "plain, in memory", "plain, on the disk"
COMPUTE = """
import array, os, sys, time

def epoch(folder):
    count = total = squares = 0
    for root, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            with open(os.path.join(root, name), "rb", buffering=0) as file:
                while piece := file.read(1 << 20):
                    samples = array.array("h", piece[: len(piece) // 2 * 2])
                    part = samples[::16]
                    count, total = count + len(part), total + sum(part)
                    squares += sum(map(int.__mul__, part, part))
    return total / count, squares / count - (total / count) ** 2
"""
SCRIPT = f"""{COMPUTE}
epoch(sys.argv[1])
for _ in range({EPOCHS}):
    begun = time.perf_counter()
    result = epoch(sys.argv[1])
    print(time.perf_counter() - begun, *result)
"""


def seconds(said: str) -> list[float]:
    """Times of the epochs a script printed; the computed values must all be the same."""
    lines = [line.split() for line in said.splitlines()]
    assert len(lines) == EPOCHS, said
    assert len({tuple(values) for _, *values in lines}) == 1
    return [float(taken) for taken, *_ in lines]


def plainly(folder: Path) -> list[float]:
    """Run the script without us."""
    ran = subprocess.run([PYTHON, "-c", SCRIPT, str(folder)], check=True, capture_output=True, text=True)
    return seconds(ran.stdout)


def in_a_room(data: Path, mounts: PrivateMounts) -> list[float]:
    """Run the script in a room with the data mounted."""
    spec = RoomSpec(
        command=(PYTHON, "-c", SCRIPT, "/data/in"),
        limits=Limits(memory_bytes=2**30, cpus=len(os.sched_getaffinity(0))),
        read_only={"/data/in": data},
    )
    with claim_uid() as owner, start(spec, mounts, owner) as room:
        said = b""
        while piece := os.read(room.stdout, 65536):
            said += piece
        report = room.wait()
        assert report is not None
        assert report.status == 0, os.read(room.stderr, 10_000).decode()
        return seconds(said.decode())


def main() -> None:
    """Run from the command line."""
    made = parser(__doc__)
    made.add_argument("--size", default="256MiB", help="data, such as 256MiB")
    made.add_argument("--repeat", type=int, default=9)
    options = made.parse_args()
    if os.geteuid() != 0:
        print("skipped: needs root")
        return
    mounts = enter_private_mounts()
    size = parse_size(options.size)
    taken: dict[str, list[float]] = {
        "in a room, data mounted": [],
        "plain, in memory": [],
        "plain, on the disk": [],
    }
    with (
        tempfile.TemporaryDirectory() as disk,
        tempfile.TemporaryDirectory(dir="/dev/shm") as shm,
        tempfile.TemporaryDirectory() as point,
    ):
        store = FolderOfObjects(Path(disk) / "objects")
        make_files(Path(disk) / "plain", size, each=size // 8, small=500)
        make_files(Path(shm) / "plain", size, each=size // 8, small=500)
        version = seal(Path(disk) / "plain", store, Path(disk) / "spool")
        memory = mounts.mount_memory(Path(point), 2 * size + 2**26)
        data = memory.path / "data"
        data.mkdir()
        unpack(version, data, store, verify=False, threads=2)
        memory.make_read_only()
        for _ in range(options.repeat):
            taken[ROOM].append(median(in_a_room(data, mounts)))
            taken[MEMORY].append(median(plainly(Path(shm) / "plain")))
            taken[DISK].append(median(plainly(Path(disk) / "plain")))
        memory.unmount()
    print(f"{size / 1e6:.0f} MB, medians of {options.repeat} interleaved rounds of {EPOCHS} epochs\n")
    print(f"{'':28}{'s/epoch':>9}{'to it, in the room':>21}")
    ratios = {name: median_ratio(taken[ROOM], taken[name]) for name in taken}
    for name, times in taken.items():
        print(f"  {name:26}{median(times):9.3f}{ratios[name]:21.3f}")
    bars = tuple(Bar(name, median(times), "ours" if name == ROOM else "peer") for name, times in taken.items())
    target = at_most("a training epoch over mounted data, to plain files", ratios[MEMORY], 1.03, "{:.3f}")
    note = "The same script with Debian's own Python. Plain: without us, on files in memory and on the disk."
    picture = Picture("One training epoch", "seconds", bars, note, (target,))
    hand_on(options.json, picture)


if __name__ == "__main__":
    main()
