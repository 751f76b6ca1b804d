"""The queue under load: orders a second, runs a second, listing beside 100,000 finished runs, launchers.

    python bench/runs.py [--runs 200] [--finished 100000] [--json PATH]

A factory is served as a process of its own. Orders are signed and handed in through its API; launchers are
processes that speak the attempts API with real keys and signatures but start no sandbox (tests/players.py),
so what is measured is the factory: admission, scheduling, tokens, leases, logs, ends. The real launcher's
own start is measured apart: as a program, and forked from the template. `thousand.py` measures the whole.
"""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests/integration")]

from filling import fill
from report import Bar, Picture, at_least, at_most, hand_on, parser
from runs_room import RunFactory

from kifabrik.client.runs import Runs
from kifabrik.engines.local.forge import Forge
from kifabrik.runs.states import is_end
from parties import Person
from players import DONE, LOCK, an_order, keyholder

CLIENTS = 4
FOUND: dict[str, float] = {}


def line(what: str, value: float, unit: str) -> None:
    FOUND[what] = value
    print(f"{what:66} {value:10.1f} {unit}", flush=True)


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def hand_in(person: Person, orders: list) -> float:
    """Hand in signed orders from several threads; return the seconds it took."""
    runs = Runs(person.connection)
    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda pair: runs.order(*pair, LOCK, None), orders))
    return time.perf_counter() - start


def submitting_and_running(factory: RunFactory, count: int) -> Person:
    party = factory.sign_up()
    person = party.enrol()
    print(f"signing {count} orders and uploading their code bundles", flush=True)
    orders = [an_order(person, max_duration_s=60) for _ in range(count)]
    before = resident_mb(factory.process.pid)
    seconds = hand_in(person, orders)
    line(f"orders admitted, {CLIENTS} clients, nothing running", count / seconds, "orders/s")
    runs = Runs(person.connection)
    first = next(view.run for view in runs.all(limit=1))
    with keyholder(party):
        start = time.perf_counter()
        while not all(is_end(view.state) for view in runs.all(limit=500)):  # at most so many are ordered here
            time.sleep(0.25)
        seconds = time.perf_counter() - start
    states = {str(view.state) for view in runs.all(limit=500)}
    assert states == {"succeeded"}, states
    line("runs from waiting to succeeded, 2 at a time", count / seconds, "runs/s")
    line("memory of the service, before", before, "MB")
    line("memory of the service, after", resident_mb(factory.process.pid), "MB")
    print(f"(the newest run was {first})")
    return person


def listing(factory: RunFactory, person: Person, count: int) -> None:
    runs = Runs(person.connection)
    for rows, label in ((0, "few"), (count, f"{count:,}")):
        if rows:
            fill(factory.inside, person.party.tenant, rows, ledger=False)
        runs.all()
        times = []
        for _ in range(20):
            start = time.perf_counter()
            runs.all()
            times.append(time.perf_counter() - start)
        line(f"GET /v1/runs, {label} finished runs", 1000 * statistics.median(times), "ms")
    start = time.perf_counter()
    seconds = hand_in(person, [an_order(person, max_duration_s=60) for _ in range(40)])
    line(f"orders admitted beside {count:,} finished runs", 40 / seconds, "orders/s")
    assert time.perf_counter() > start


def template() -> None:
    """A launcher until it has read its line: started as a program, and forked from the template."""
    command = [sys.executable, "-P", "-m", "kifabrik.launcher", "--node-home", "/nowhere"]
    started, forked = [], []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
        started.append(time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-P", "-m", "kifabrik.engines.local.template", "kifabrik.launcher.__main__"]
        forge = Forge([*program, "--node-home", "/nowhere"], Path(folder))
        forge.warm_up()
        forge.start(Path(folder) / "log").tell(b"")
        for _ in range(20):
            start = time.perf_counter()
            launcher = forge.start(Path(folder) / "log")
            launcher.tell(b"")
            while launcher.identity.alive():
                time.sleep(0.0005)
            forked.append(time.perf_counter() - start)
        forge.close()
    line("a launcher that reads no line and ends, started", 1000 * statistics.median(started), "ms")
    line("the same, forked from the template", 1000 * statistics.median(forked), "ms")
    line("ratio", statistics.median(started) / statistics.median(forked), "x")


def main(count: int, finished: int) -> None:
    template()
    with tempfile.TemporaryDirectory() as folder:
        factory = RunFactory(Path(folder) / "factory")
        factory.script(DONE)
        try:
            person = submitting_and_running(factory, count)
            listing(factory, person, finished)
        finally:
            threading.Timer(60, factory.process.kill).start() if factory.process.poll() is None else None
            factory.close()


def pictures(finished: int) -> list[Picture]:
    """Admission and listing."""
    orders = {what: value for what, value in FOUND.items() if what.startswith("orders admitted")}
    listing = {what: value for what, value in FOUND.items() if what.startswith("GET /v1/runs")}
    return [
        Picture(
            "Orders admitted by the service",
            "orders a second",
            (*(Bar(what, value, "ours") for what, value in orders.items()), Bar("target", 20, "limit")),
            "Signed orders handed in over HTTP by four clients on the same two cores.",
            (at_least("orders admitted by the API", min(orders.values()), 20, "{:.0f} /s"),),
        ),
        Picture(
            f"Listing 50 runs over HTTP beside {finished:,} finished ones",
            "milliseconds",
            (*(Bar(what, value, "ours") for what, value in listing.items()), Bar("target", 300, "limit")),
            "The request alone; thousand.py times the program `kifabrik ps`.",
            (at_most("listing runs over HTTP", max(listing.values()), 300, "{:.0f} ms"),),
        ),
    ]


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--runs", type=int, default=200)
    made.add_argument("--finished", type=int, default=100_000)
    wishes = made.parse_args()
    main(min(wishes.runs, 400), wishes.finished)
    hand_on(wishes.json, *pictures(wishes.finished))
