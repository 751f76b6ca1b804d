"""What the pages cost beside 100,000 finished runs, beside one, and beside the API's own list.

    python bench/pages.py [--finished 100000] [--asked 20] [--json PATH]

A factory is served as a process of its own; a member signs in as a browser does. Each page is asked for over one
connection, first when one run has ended, then when as many have as are wished for, with all they leave in the
ledger. Stated is processor time of the whole service for each answer: what others do on the machine is not in it.
What a page costs beyond the API's list of 50 runs is what it adds, and the HTML.
"""

import os
import sys
import tempfile
from pathlib import Path

import httpx

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests/integration")]

from filling import fill
from report import Bar, Picture, at_most, hand_on, parser
from runs_room import RunFactory

from kifabrik.client.runs import Runs
from kifabrik.client.sign_ins import SignIns
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.statements import Role, SignInProof
from kifabrik.values import format_time, now_utc
from parties import Person
from players import keyholder, order, wait_for

MOST_MS = 50.0


def browser(factory: RunFactory, code: str) -> httpx.Client:
    """A browser that has signed in."""
    client = httpx.Client(base_url=factory.url, timeout=60)
    client.post("/sign-in", data={"code": code}).raise_for_status()
    return client


def code_of(person: Person) -> str:
    """A code for a member's browser."""
    pages = SignIns(person.connection)
    said = SignInProof(person.party.tenant, person.member, pages.challenge(), format_time(now_utc()))
    return pages.prove(sign_statement(said, {}, person.key))


def cpu_ms(pid: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def each_ms(pid: int, client: httpx.Client, path: str, asked: int, headers: dict[str, str]) -> float:
    """Processor time of an answer, after one that is not counted."""
    client.get(path, headers=headers).raise_for_status()
    before = cpu_ms(pid)
    for _ in range(asked):
        client.get(path, headers=headers).raise_for_status()
    return (cpu_ms(pid) - before) / asked


def measure(factory: RunFactory, person: Person, run: str, asked: int) -> dict[str, float]:
    """Ask for every page."""
    mine, operator = browser(factory, code_of(person)), browser(factory, factory.inside.sign_ins.operator_code())
    pid = factory.process.pid
    bearer = {"authorization": f"Bearer {person.token}"}
    found = {"GET /v1/runs": each_ms(pid, mine, "/v1/runs", asked, bearer)}
    for path in (
        "/",
        "/overview",
        "/runs",
        "/runs?state=going",
        f"/runs?before={run}",
        f"/runs/{run}",
        "/datasets",
        "/record",
        "/bill",
    ):
        found[path.replace(run, "RUN")] = each_ms(pid, mine, path, asked, {})
    for path in ("/operator", "/operator/queue", "/operator/tenants"):
        found[path] = each_ms(pid, operator, path, asked, {})
    mine.close()
    operator.close()
    return found


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--finished", type=int, default=100_000)
    made.add_argument("--asked", type=int, default=20)
    wishes = made.parse_args()
    with tempfile.TemporaryDirectory(prefix="kifabrik-pages-") as name:
        factory = RunFactory(Path(name) / "factory")
        try:
            person = factory.sign_up().enrol(Role.OWNER)
            with keyholder(person.party):
                run = order(person, inputs=[person.seal()]).run
                wait_for(Runs(person.connection), run, "succeeded")
            few = measure(factory, person, run, wishes.asked)
            fill(factory.inside, person.party.tenant, wishes.finished, ledger=True)
            many = measure(factory, person, run, wishes.asked)
        finally:
            factory.close()
    print(f"{'ms of CPU':28} {'one run':>10} {f'{wishes.finished:,} runs':>14} {'ratio':>7} {'of /v1/runs':>12}")
    for path, took in many.items():
        print(
            f"{path:28} {few[path]:10.1f} {took:14.1f} {took / few[path]:7.2f} {took / many['GET /v1/runs']:12.2f}"
        )
    slowest = max(took for path, took in many.items() if path != "GET /v1/runs")
    hand_on(
        wishes.json,
        Picture(
            f"Pages beside {wishes.finished:,} finished runs",
            "ms",
            (
                *(Bar(path, took, "peer" if path == "GET /v1/runs" else "ours") for path, took in many.items()),
                Bar("limit", MOST_MS, "limit"),
            ),
            targets=(at_most("the slowest page", slowest, MOST_MS, "{:.0f} ms"),),
        ),
    )


if __name__ == "__main__":
    main()
