"""From `submit` to the first line of the job's output, opened on the member's machine.

    python bench/submit.py [--rounds 10]

A factory and a keyholder run beside this program on this machine. The environment is cached, the data
is 8 files of 1 MB in all, and everything is done that is always done: code sealed, order signed and
logged, lease asked for, decided and logged, data opened into memory, room built, log sealed, its key
leased to this device, its first segment opened here. Beside it: the same program started plainly.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kifabrik.customer.follow import read_log
from kifabrik.customer.profile import enrol
from kifabrik.customer.sdk import connect
from kifabrik.customer.seal import seal_dataset
from kifabrik.tenants.invitation import Invitation
from kifabrik.transfer.objects import silent

KIFABRIK = Path(sys.executable).parent / "kifabrik"
JOB = """
name: first-line
purpose: benchmark
data: {/data/few: few}
run: python -c "print('first line')"
resources: {cpu: 1, memory: 1GB}
max_duration: 1m
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=10)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = {**os.environ, "KIFABRIK_HOME": folder}
        with (home / "up.log").open("w") as log:
            parties = subprocess.Popen(
                [KIFABRIK, "up", "--single-party", "--port", "0"], env=environment, stdout=log, stderr=log
            )
            try:
                measure(home, environment, rounds)
            finally:
                parties.terminate()
                parties.wait()


def measure(home, environment, rounds):
    job = prepare(home, environment)
    accepted, first, ended, plain = [], [], [], []
    with connect(home) as factory:
        for turn in range(rounds + 1):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "print('first line')"], check=True, stdout=subprocess.DEVNULL)
            plain_s = time.perf_counter() - began
            began = time.perf_counter()
            future = factory.submit(job)
            accepted_s = time.perf_counter() - began
            lines = read_log(factory.session, future.run, follow=True)
            next(line for line in lines if line.kind == "out")
            first_s = time.perf_counter() - began
            for _ in lines:
                pass
            future.result(60)
            if turn:  # the first round builds the environment
                for figures, value in (
                    (plain, plain_s),
                    (accepted, accepted_s),
                    (first, first_s),
                    (ended, time.perf_counter() - began),
                ):
                    figures.append(value)
    base = statistics.median(plain)
    print(f"{'median of ' + str(rounds):<44} {'seconds':>8} {'x plain':>8}")
    for what, figures in (
        ("the program started plainly", plain),
        ("submit accepted (sealed, signed, logged)", accepted),
        ("submit to first line, opened here", first),
        ("submit to the run settled", ended),
    ):
        value = statistics.median(figures)
        print(f"{what:<44} {value:8.3f} {value / base:8.1f}")


def prepare(home, environment):
    invitation, key = home / "invitation.json", home / "keyholder.key"
    until = time.monotonic() + 90
    while not (invitation.exists() and invitation.read_text().endswith("}\n") and key.exists()):
        if time.monotonic() > until:
            sys.exit(f"the parties did not start: {(home / 'up.log').read_text()}")
        time.sleep(0.1)
    enrol(home, Invitation.from_text(invitation.read_text()))
    data = home / "few"
    data.mkdir()
    for number in range(8):
        (data / f"{number}.bin").write_bytes(os.urandom(125_000))
    with connect(home) as factory:
        seal_dataset(factory.session, "few", data, bar=_no_bar)
    grant = ["dataset", "grant", "few", "--purpose", "benchmark", "--passphrase-file", home / "passphrase.txt"]
    subprocess.run([KIFABRIK, *grant], env=environment, check=True, capture_output=True)
    folder = home / "job"
    folder.mkdir()
    (folder / "job.yaml").write_text(JOB)
    return folder / "job.yaml"


class _no_bar:  # noqa: N801 - used like a function
    """A progress bar nobody looks at."""

    def __init__(self, *_arguments):
        pass

    def __enter__(self):
        return silent

    def __exit__(self, *_error):
        pass


if __name__ == "__main__":
    main()
