"""SQLite and PostgreSQL beside one another: orders a second, and listing beside 100,000 finished runs.

    python bench/database.py [--orders 120] [--finished 100000] [--json PATH]

Each factory is served as a process of its own, with its database on the disk of `/tmp`; PostgreSQL runs beside it
on this machine and is reached through a Unix socket. Four members of four tenants hand in orders signed before; no
keyholder is there, so nothing starts. Last, two processes that only answer stand beside the one that drives the
runs, and the members are shared out among all three. The limit is how many transactions a second one connection
can make durable that write one row, with the same driver: SQLite's is that of the whole database.
"""

import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests/integration")]

import psycopg
from filling import fill
from report import Bar, Picture, hand_on, parser
from runs_room import RunFactory

from kifabrik.client.connection import Connection
from kifabrik.client.runs import Runs
from kifabrik.factory.run_records import Attempt
from kifabrik.runs.states import RunState
from kifabrik.values import Kind, Place, format_time, new_id, now_utc
from members import Member
from parties import Person
from players import LOCK, an_order
from ports import free_port
from postgres import PROGRAMS, PostgresServer

TENANTS = 4
COMMITS = 200
FOUND: dict[str, dict[str, float]] = {}


def line(where: str, what: str, value: float, unit: str) -> None:
    """Keep a figure and print it."""
    FOUND.setdefault(what, {})[where] = value
    print(f"{where:28} {what:44} {value:9.1f} {unit}", flush=True)


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--orders", type=int, default=120, help="of all tenants together, for each factory")
    made.add_argument("--finished", type=int, default=100_000)
    wishes = made.parse_args()
    if not PROGRAMS:
        sys.exit("needs PostgreSQL: apt-get install postgresql-15")
    home = Path(tempfile.mkdtemp(prefix="kifabrik-database-"))
    folder = Path(tempfile.mkdtemp(prefix="kifabrik-postgres-"))
    folder.chmod(0o711)
    server = PostgresServer(PROGRAMS[-1], folder)
    try:
        os.environ.pop("KIFABRIK_TEST_POSTGRES", None)
        line("SQLite", "commits of one row, one connection", sqlite_commits(home), "/s")
        line("PostgreSQL", "commits of one row, one connection", postgres_commits(server), "/s")
        measure("SQLite", home / "sqlite", wishes.orders, wishes.finished)
        os.environ["KIFABRIK_TEST_POSTGRES"] = server.url
        measure("PostgreSQL", home / "postgres", wishes.orders, wishes.finished, more=2)
    finally:
        server.close()
        shutil.rmtree(home)
    for what, found in FOUND.items():
        for where, value in list(found.items())[1:]:
            print(f"{where} to SQLite, {what}: {value / found['SQLite']:.2f}")
    hand_on(wishes.json, *pictures(wishes.finished))


def measure(where: str, home: Path, orders: int, finished: int, more: int = 0) -> None:
    """Order and list at one factory, and then with more processes that answer for it."""
    factory = RunFactory(home)
    try:
        people = [factory.sign_up().enrol() for _ in range(TENANTS)]
        ordering(where, [person.connection for person in people], people, orders)
        listing(where, factory, people[0], finished)
        ordering(where, [person.connection for person in people], people, orders, f" beside {finished:,} runs")
        if more:
            members = [Member(home, free_port()) for _ in range(more)]
            urls = [factory.url, *(member.ready().url for member in members)]
            lines = [Connection(urls[n % len(urls)], person.token) for n, person in enumerate(people)]
            label = f"{where}, {len(urls)} processes"
            ordering(label, lines, people, orders, f" beside {finished:,} runs")
            for one in (*lines, *members):
                one.close()
    finally:
        factory.close()


def ordering(where: str, lines: list[Connection], people: list[Person], count: int, beside: str = "") -> None:
    """Hand in signed orders, each tenant's member from a thread of its own."""
    orders = [[an_order(person, max_duration_s=60) for _ in range(count // TENANTS)] for person in people]
    began = time.perf_counter()

    def hand_in(line_: Connection, mine: list) -> None:
        runs = Runs(line_)
        for pair in mine:
            runs.order(*pair, LOCK, None)

    with ThreadPoolExecutor(TENANTS) as pool:
        list(pool.map(hand_in, lines, orders))
    line(where, f"orders admitted{beside}", sum(map(len, orders)) / (time.perf_counter() - began), "/s")


def listing(where: str, factory: RunFactory, person: Person, count: int) -> None:
    """List as `kifabrik ps` does, after very many runs have finished."""
    fill_attempt(factory, person)
    fill(factory.inside, person.party.tenant, count, ledger=False)
    with factory.inside.store.connect(writing=True) as connection, connection.begin():
        connection.exec_driver_sql("ANALYZE")  # autovacuum does it within a minute of so many new rows
    runs, times = Runs(person.connection), []
    for _ in range(40):
        began = time.perf_counter()
        runs.all()
        times.append(time.perf_counter() - began)
    line(where, f"ps beside {count:,} finished runs", 1000 * statistics.median(times), "ms")


def fill_attempt(factory: RunFactory, person: Person) -> None:
    """End the newest run, with an attempt, for `fill` to copy; nothing has started here."""
    with factory.inside.store.write(person.party.tenant) as transaction:
        (run,) = transaction.runs.page(person.party.tenant, "", 1)
        now = format_time(now_utc())
        made = Attempt(run.tenant, run.run, new_id(Kind.ATTEMPT), 1, (), Place("DE"), 60, now, finished=now)
        transaction.runs.add_attempt(made)
        transaction.runs.save_run(replace(run, state=RunState.SUCCEEDED, finished=now))


def sqlite_commits(home: Path) -> float:
    """Durable commits a second, each of one row."""
    database = sqlite3.connect(home / "commits.db", isolation_level=None)
    for word in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE t (n INTEGER)"):
        database.execute(word)
    began = time.perf_counter()
    for number in range(COMMITS):
        database.execute("INSERT INTO t VALUES (?)", (number,))
    seconds = time.perf_counter() - began
    database.close()
    return COMMITS / seconds


def postgres_commits(server: PostgresServer) -> float:
    """The same."""
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as database:
        database.execute("CREATE TABLE t (n INTEGER)")
        began = time.perf_counter()
        for number in range(COMMITS):
            database.execute("INSERT INTO t VALUES (%s)", (number,))
        return COMMITS / (time.perf_counter() - began)


def pictures(finished: int) -> list[Picture]:
    """Orders and listing as bars."""
    many = f"orders admitted beside {finished:,} runs"
    commits = FOUND["commits of one row, one connection"]
    bars = [Bar(where, value, "ours") for where, value in FOUND[many].items()]
    limits = [Bar(f"{where}, commits of one row", value, "limit") for where, value in commits.items()]
    ps = [Bar(where, value, "ours") for where, value in FOUND[f"ps beside {finished:,} finished runs"].items()]
    return [
        Picture(f"Orders admitted beside {finished:,} finished runs", "orders/s", (*bars, *limits)),
        Picture(f"Listing 50 runs beside {finished:,} finished ones", "ms", tuple(ps)),
    ]


if __name__ == "__main__":
    main()
