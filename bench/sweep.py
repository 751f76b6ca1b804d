"""Orders a sweep of 10,000 tasks, and lists runs beside it: how long each takes, and how much memory.

    python bench/sweep.py [--tasks 10000]

One factory process with SQLite and no launchers: what is measured is the order, not the work. Prints a table.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "integration")]

from runs_room import Desk

import players
from kifabrik.client.runs import Runs
from kifabrik.factory.allowances import Limits
from parties import Person


def measured(act, times: int = 1) -> float:
    """The median of the seconds an act takes."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def rss_mb(desk: Desk) -> float:
    """Highest resident memory of the service so far, in MB."""
    status = Path(f"/proc/{desk.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def measure(desk: Desk, person: Person, tasks: int) -> list[tuple[str, str]]:
    """Order a sweep and look at it; return what took how long."""
    runs = Runs(desk.connect(person.token))
    for _ in range(30):
        players.order(person)
    signed, code = players.an_order(person, tasks=tasks)
    alone, before = measured(runs.all, 20), rss_mb(desk)
    size = (desk.home / "factory.db").stat().st_size
    ordered = measured(lambda: runs.order(signed, code, players.LOCK, None))
    grown = (desk.home / "factory.db").stat().st_size - size
    rows = [
        (f"order a sweep of {tasks} tasks", f"{ordered:.2f} s"),
        ("memory of the service, before and after", f"{before:.0f} MB, {rss_mb(desk):.0f} MB"),
        ("database for each task", f"{grown / tasks / 1000:.1f} kB"),
        ("list 30 runs, before and after", f"{alone * 1e3:.1f} ms, {measured(runs.all, 20) * 1e3:.1f} ms"),
    ]
    sweep = runs.all()[0].run
    desk.drive()
    rows += [
        ("show the sweep", f"{measured(lambda: runs.show(sweep), 10) * 1e3:.1f} ms"),
        ("say why its tasks wait", f"{measured(lambda: runs.history(sweep), 5) * 1e3:.1f} ms"),
        ("list all its tasks", f"{measured(lambda: list(runs.all_tasks(sweep))):.2f} s"),
        ("one pass of the loop that starts runs", f"{measured(desk.drive, 10) * 1e3:.1f} ms"),
        ("stop the sweep", f"{measured(lambda: runs.stop(sweep)):.2f} s"),
    ]
    rows.append(("memory of this process", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB"))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    tasks = parser.parse_args().tasks
    with tempfile.TemporaryDirectory(prefix="kifabrik-sweep-") as folder:
        desk = Desk(Path(folder) / "factory")
        try:
            desk.begin(cpus=64)
            party = desk.sign_up()
            with desk.driven.store.write() as transaction:
                transaction.runs.set_limits(party.tenant, Limits(most_runs=0))
            with players.keyholder(party):
                for what, figure in measure(desk, party.enrol(), tasks):
                    print(f"{what:<44}{figure}")
        finally:
            desk.close()


if __name__ == "__main__":
    main()
