"""From the start of a room to the first line of its job, beside the same Python without a room.

    python bench/rooms.py [--repeat 30] [--json PATH]

Needs root and bubblewrap. Both rows are timed in turn, round after round, so whatever else the machine
does falls on both; the table shows medians and the fastest round. `built` is the time until the room
stands and the job has been sent off, `ended` the time until every process of it is dead.
"""

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from report import Bar, Picture, hand_on, parser

from kifabrik.sandbox.launch import start
from kifabrik.sandbox.limits import Limits
from kifabrik.sandbox.memory import PrivateMounts, enter_private_mounts
from kifabrik.sandbox.room import RoomSpec
from kifabrik.sandbox.uids import RunUid, UidRange, claim_uid

COMMAND = ("/usr/bin/python3", "-c", "print('up')")


def plain() -> dict[str, float]:
    """Start the program as it is."""
    began = time.perf_counter()
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, env={"PYTHONUNBUFFERED": "1"}) as process:
        process.stdout.readline()
        first = time.perf_counter() - began
    return {"plain first line": first, "plain ended": time.perf_counter() - began}


def room(mounts: PrivateMounts, owner: RunUid, folder: Path) -> dict[str, float]:
    """Start the program in a room."""
    began = time.perf_counter()
    spec = RoomSpec(
        command=COMMAND,
        limits=Limits(memory_bytes=1 << 30, cpus=2),
        read_only={"/data/in": folder / "data"},
        writable={"/out": folder / "out"},
        workdir=folder / "work",
    )
    with start(spec, mounts, owner) as running:
        built = time.perf_counter() - began
        os.read(running.stdout, 100)
        first = time.perf_counter() - began
        running.wait()
        return {"room built": built, "room first line": first, "room ended": time.perf_counter() - began}


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--repeat", type=int, default=30)
    wishes = made.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mounts = enter_private_mounts()
        memory = mounts.mount_memory(folder, 64 << 20)
        for part in ("data", "out", "work", "locks"):
            (folder / part).mkdir()
        with claim_uid(UidRange(first=790_000, count=100, locks=folder / "locks")) as owner:
            rounds = [plain() | room(mounts, owner, folder) for _ in range(wishes.repeat)]
        memory.unmount()
    medians = {row: 1e3 * statistics.median(one[row] for one in rounds) for row in rounds[0]}
    for row, value in medians.items():
        print(f"{row:18} {value:8.2f} ms   fastest {1e3 * min(one[row] for one in rounds):8.2f} ms")
    picture = Picture(
        "From the start of a room to the first line of its job",
        "milliseconds",
        tuple(Bar(row, value, "ours" if row.startswith("room") else "peer") for row, value in medians.items()),
        f"Medians of {wishes.repeat} rounds in turn. Plain: the same Python, no room. Ended: no process is left.",
    )
    hand_on(wishes.json, picture)


if __name__ == "__main__":
    main()
