"""From the start of a room to the first line of its job, beside the same Python without a room.

    python bench/rooms.py [--repeat 30] [--json]

Needs root and bubblewrap. Both rows are timed in turn, round after round, so whatever else the machine
does falls on both; the table shows medians and the fastest round. `built` is the time until the room
stands and the job has been sent off, `ended` the time until every process of it is dead.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    wishes = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mounts = enter_private_mounts()
        memory = mounts.mount_memory(folder, 64 << 20)
        for part in ("data", "out", "work", "locks"):
            (folder / part).mkdir()
        with claim_uid(UidRange(first=790_000, count=100, locks=folder / "locks")) as owner:
            rounds = [plain() | room(mounts, owner, folder) for _ in range(wishes.repeat)]
        memory.unmount()
    table = {
        row: {
            "median_ms": round(statistics.median(one[row] for one in rounds) * 1e3, 2),
            "fastest_ms": round(min(one[row] for one in rounds) * 1e3, 2),
        }
        for row in rounds[0]
    }
    if wishes.json:
        print(json.dumps(table))
        return
    for row, values in table.items():
        print(f"{row:18} {values['median_ms']:8.2f} ms   fastest {values['fastest_ms']:8.2f} ms")


if __name__ == "__main__":
    main()
