"""What a command costs that runs as another user: by a deputy, beside `setpriv` and `subprocess(user=…)`.

    python bench/slurm/deputies.py [--times 200]      root; ten seconds, no Slurm

Four commands are under way at once, as submissions are, from a process of the service's size (130 MB). The CPU is
that of all processes together. The command does nothing: what is left is what it costs to start one.
"""

import argparse
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from crowd import cpu_of_all, say

from kifabrik.engines.slurm.deputies import Deputies

USER = pwd.getpwnam("daemon")
COMMAND = ["/bin/true"]
AT_ONCE = 4
ROUNDS = 3
BALLAST_BYTES = 100 * 10**6


def main() -> None:
    """Measure the ways in turn, several times."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--times", type=int, default=200)
    times = made.parse_args().times
    ballast = b"x" * BALLAST_BYTES
    deputies, setpriv = Deputies(), shutil.which("setpriv") or ""
    identity = [f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}", "--clear-groups", "--inh-caps=-all"]
    words = [setpriv, *identity, "--no-new-privs", "--", *COMMAND]
    ways: dict[str, Callable[[], object]] = {
        "a deputy": lambda: deputies.run("daemon", COMMAND, {}, setpriv=setpriv, patience_s=30),
        "setpriv": lambda: subprocess.run(words, check=True, capture_output=True),
        "subprocess(user=…)": lambda: subprocess.run(
            COMMAND, user=USER.pw_uid, group=USER.pw_gid, extra_groups=[], check=True, capture_output=True
        ),
    }
    found = {name: [0.0, 0.0] for name in ways}
    for way in ways.values():
        way()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            for place, value in enumerate(measured(way, times // ROUNDS)):
                found[name][place] += value / ROUNDS
    for name, (cpu_ms, wall_ms) in found.items():
        say(f"{name}: one command", f"{cpu_ms:.2f} ms CPU, {wall_ms:.2f} ms")
    say("CPU, a deputy to setpriv", f"{found['a deputy'][0] / found['setpriv'][0]:.2f} x")
    del ballast


def measured(way: Callable[[], object], times: int) -> tuple[float, float]:
    """Milliseconds of CPU and wall of one command."""
    used, began = cpu_of_all(os.getpid()), time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: way(), range(times)))
    took, spent = time.monotonic() - began, cpu_of_all(os.getpid()) - used
    return spent / times * 1e3, took / times * 1e3


if __name__ == "__main__":
    main()
