"""Play a supply-chain study on sealed tables, spread over three runs, with two parties as `make demo` does.

    make demo-supply-chain

A maker of pumps asks what two weeks without a supplier would cost. The factory simulates and never learns what of.
"""

import os
import subprocess
import time

import pyarrow.parquet as pq
from play import CUSTOMER, KIFABRIK, ROOT, chapter, environment, note, paint, two_parties
from recipes import play_recipe

STEPS = 5
TABLES = ("scenarios.parquet", "nodes.parquet", "lanes.parquet")
SCENARIOS = os.environ.get("SCENARIOS", "2000")


def main():
    started = time.monotonic()
    print(paint("1", "kifabrik: simulate your supply chain on sealed tables"))
    with two_parties(STEPS) as secret:
        settings = {"runs": 3, "scenarios": SCENARIOS, "language": "de"}
        kit = play_recipe("supply-chain", settings, secret, 2, STEPS, needles=needles)
        chapter(5, "The figures are those of the same study in one piece, here", STEPS)
        same_as_here(kit)
    print(f"\n{paint('1;32', '✓')} All {STEPS} steps worked, in {time.monotonic() - started:.0f} s.")
    note(f"The report: {(kit / 'result' / 'report-de.html').relative_to(ROOT)}")


def needles(kit):
    """Lines of the tables, of the code and of the report."""
    files = [*(kit / "input").glob("*.csv"), kit / "code/kifabrik/recipes/supply_chain/plan.py"]
    files += [kit / "result" / "report-de.html"]
    return [line.strip() for path in files for line in path.read_text().splitlines()]


def same_as_here(kit):
    """Compare what came back with a study of the same tables on this side."""
    words = (
        "supply-chain",
        "run",
        kit / "input",
        "--scenarios",
        SCENARIOS,
        "--critical",
        "0",
        "--out",
        kit / "here",
    )
    print(paint("2", f"  customer$ kifabrik supply-chain run work/input --scenarios {SCENARIOS}"), flush=True)
    subprocess.run([KIFABRIK, *map(str, words)], check=True, env=environment(CUSTOMER), stdout=subprocess.DEVNULL)
    if any(bits(kit / "here" / name) != bits(kit / "result" / name) for name in TABLES):
        raise SystemExit("the figures differ")
    print(f"     {paint('32', '✓ equal')}, bit for bit: every scenario, node and lane", flush=True)


def bits(table):
    """The numbers of a table, byte for byte: a missing number is not equal to itself."""
    return {name: pq.read_table(table)[name].to_numpy().tobytes() for name in pq.read_schema(table).names[6:]}


if __name__ == "__main__":
    main()
