"""A thousand runs through the real launchers and their rooms, then listing beside a hundred thousand.

    python bench/thousand.py [--runs 1000] [--finished 100000] [--json PATH]

Factory, keyholder and member share this machine. Four threads submit trivial runs as fast as they are taken;
each is sealed, signed, logged, leased, opened, run in a room of its own and settled. Memory of the service,
of the keyholder and of the template of launchers is read all the while. Then the keyholder is stopped, the
database and the ledger get the rows and entries of many finished runs, and `kifabrik ps` is timed as a
program: its start, its look at the ledger, its request.
"""

import os
import statistics
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filling import fill
from party import KIFABRIK, enrol_here, make_factory, seal_few, up, wait_until, write_job
from report import Bar, Picture, Target, at_least, at_most, hand_on, parser

from kifabrik.client.connection import Connection
from kifabrik.customer.profile import Profile
from kifabrik.customer.sdk import connect
from kifabrik.errors import KifabrikError
from kifabrik.runs.states import is_end
from kifabrik.wiring.factory import open_factory

CLIENTS = 4
JOB = """
name: trivial
purpose: benchmark
data: {/data/few: few}
run: python -c "print('done')"
resources: {cpu: 1, memory: 1GB}
max_duration: 5m
"""


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--runs", type=int, default=1000)
    made.add_argument("--finished", type=int, default=100_000)
    wishes = made.parse_args()
    with tempfile.TemporaryDirectory(prefix="kifabrik-thousand-") as name:
        home = Path(name)
        make_factory(home)
        fixed_port(home)
        with up(home, "--single-party") as parties:
            enrol_here(home)
            seal_few(home, "few", "benchmark")
            job = write_job(home, JOB)
            submitted, completed, memory = a_thousand(home, job, parties.pid, wishes.runs)
        with up(home):
            wait_until(lambda: answers(home), home)
            few = seconds_of(home, "ps")
            filled = time.perf_counter()
            fill_home(home, wishes.finished)
            filled = time.perf_counter() - filled
            with connect(home) as factory:  # the newest are as they would be: named, and not seen before
                for _ in range(20):
                    factory.submit(job)
            ps = {"first": seconds_of(home, "ps", times=1)}
            ps |= {words: seconds_of(home, *words.split()) for words in ("ps", "ps --limit 500", "ps --json")}
    show(wishes, submitted, completed, memory, few, ps, filled)
    hand_on(wishes.json, *pictures(wishes, submitted, completed, memory, few, ps))


def fixed_port(home: Path) -> None:
    """Have the factory found again after a restart."""
    file = home / "factory/factory.toml"
    text = file.read_text()
    file.write_text(text.replace("port = 0", "port = 8479"))
    assert file.read_text() != text


def answers(home: Path) -> bool:
    """Whether the service answers."""
    profile = Profile.load(home)
    connection = Connection(profile.factory, profile.token, patience_s=0)
    try:
        connection.get_bytes("/v1/log/checkpoint")
    except KifabrikError:
        return False
    finally:
        connection.close()
    return True


def a_thousand(home: Path, job: Path, service: int, count: int) -> tuple[float, float, dict[str, list[float]]]:
    """Submit and wait; return submits a second, runs a second, and MB of memory every half second."""
    watched = {"service": service, **helpers(service)}
    memory: dict[str, list[float]] = {name: [] for name in watched}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            for name, pid in watched.items():
                memory[name].append(resident_mb(pid))

    with connect(home) as factory:
        factory.submit(job).result(60)  # builds the environment
        began = time.perf_counter()
        watcher = threading.Thread(target=watch)
        watcher.start()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda _: factory.submit(job), range(count)))
        submitted = time.perf_counter() - began
        print(f"{count} runs submitted after {submitted:.0f} s", flush=True)
        while not all_ended(factory.session.runs, count):
            time.sleep(0.5)
        completed = time.perf_counter() - began
        over.set()
        watcher.join()
        failed = [view for view in pages(factory.session.runs) if str(view.state) != "succeeded"]
    assert not failed, failed[:3]
    return count / submitted, count / completed, memory


def helpers(service: int) -> dict[str, int]:
    """The other processes that live as long as the factory does."""
    found = {}
    for child in Path(f"/proc/{service}/task/{service}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        if b"keyholder" in command:
            found["keyholder"] = int(child)
        if b"template" in command:
            found["template of launchers"] = int(child)
    return found


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def all_ended(runs, count: int) -> bool:
    """Whether the newest runs have all ended: they are taken in order, so the newest page is asked first."""
    if not all(is_end(view.state) for view in runs.all(limit=20)):
        return False
    return count <= 20 or all(is_end(view.state) for view in pages(runs))


def pages(runs):
    """Every run."""
    before = ""
    while page := runs.all(limit=500, before=before):
        yield from page
        before = page[-1].run


def seconds_of(home: Path, *words: str, times: int = 9) -> float:
    """Median seconds of a command as its user waits for it."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        environment = {**os.environ, "KIFABRIK_HOME": str(home)}
        subprocess.run([KIFABRIK, *words], env=environment, check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def fill_home(home: Path, count: int) -> None:
    """Give database and ledger what so many finished runs leave there."""
    factory = open_factory(home / "factory")
    (tenant,) = (one.tenant for one in factory.accounts.tenants())
    fill(factory, tenant, count, ledger=True)
    factory.store.close()


def show(wishes, submitted, completed, memory, few, ps, filled) -> None:
    """Print the figures."""
    line("submits by 4 threads, code sealed and uploaded each time", submitted, "runs/s")
    line("runs completed in rooms of their own, 2 at a time", completed, "runs/s")
    for name, values in memory.items():
        early, late = thirds(values)
        line(f"memory of the {name}, second fifth of the time", early, "MB")
        line(f"memory of the {name}, last fifth", late, "MB")
    line("kifabrik ps, a thousand runs", few * 1e3, "ms")
    print(f"({wishes.finished:,} finished runs written into database and ledger in {filled:.0f} s)")
    line(
        f"kifabrik ps, {wishes.finished:,} runs more: the first time, reading their entries",
        ps["first"] * 1e3,
        "ms",
    )
    for words in ("ps", "ps --limit 500", "ps --json"):
        line(f"kifabrik {words}, beside {wishes.finished:,} finished runs", ps[words] * 1e3, "ms")


def line(what: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"{what:78} {value:9.1f} {unit}", flush=True)


def thirds(values: list[float]) -> tuple[float, float]:
    """Mean of the second fifth and of the last."""
    fifth = max(1, len(values) // 5)
    return statistics.mean(values[fifth : 2 * fifth] or values), statistics.mean(values[-fifth:])


def pictures(wishes, submitted, completed, memory, few, ps) -> list[Picture]:
    """Throughput, memory, listing."""
    flat = []
    for name, values in memory.items():
        early, late = thirds(values)
        met = late <= early * 1.1 + 2
        flat.append(
            Target(
                f"flat memory of the {name} over {wishes.runs:,} runs",
                "≤ +10 % + 2 MB",
                f"{late / early - 1:+.1%}",
                met,
            )
        )
    return [
        Picture(
            f"{wishes.runs:,} trivial runs, whole and in rooms",
            "runs a second",
            (Bar("submitted", submitted, "ours"), Bar("completed, 2 at a time", completed, "ours")),
            "Client, service, keyholder, launchers and jobs share two cores. Targets: 20 submitted, 5 completed.",
            (
                at_least("submits, whole (sealed, uploaded, signed)", submitted, 20, "{:.1f} /s"),
                at_least("runs completed in real rooms", completed, 5, "{:.1f} /s"),
                *flat,
            ),
        ),
        Picture(
            f"Memory over {wishes.runs:,} runs",
            "MB",
            tuple(
                Bar(f"{name}, {when}", value, "ours")
                for name, values in memory.items()
                for when, value in zip(("early", "at the end"), thirds(values), strict=True)
            ),
            "Resident memory, means over the second and the last fifth of the time.",
            less_is_better=True,
        ),
        Picture(
            f"kifabrik ps beside {wishes.finished:,} finished runs",
            "milliseconds",
            (
                Bar("ps, a thousand runs", few * 1e3, "ours"),
                *(Bar(words, ps[words] * 1e3, "ours") for words in ("ps", "ps --json", "ps --limit 500")),
                Bar("target", 300, "limit"),
            ),
            "The whole program: its start, the ledger brought up to date, the request, the names opened. "
            f"The first time, when it reads the entries of all those runs, took {1000 * ps['first']:.0f} ms.",
            (at_most(f"`kifabrik ps` beside {wishes.finished:,} finished runs", ps["ps"] * 1e3, 300, "{:.0f} ms"),),
        ),
    ]


if __name__ == "__main__":
    main()
