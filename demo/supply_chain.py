"""Play a supply-chain study on sealed tables, spread over three runs, with two parties as `make demo` does.

    make demo-supply-chain

A maker of pumps asks what two weeks without a supplier would cost. The factory simulates and never learns what of.
"""

import json
import os
import subprocess
import time

import pyarrow.parquet as pq
from play import CUSTOMER, FOLDERS, KIFABRIK, chapter, environment, kifabrik, note, paint, show_search, two_parties

STEPS = 5
DATASET, PURPOSE, STUDY, RUNS = "supply-network", "supply-planning", "supply-study", 3
TABLES = ("scenarios.parquet", "nodes.parquet", "lanes.parquet")
SCENARIOS = os.environ.get("SCENARIOS", "2000")


def main():
    started = time.monotonic()
    print(paint("1", "kifabrik: simulate your supply chain on sealed tables"))
    with two_parties(STEPS) as secret:
        kit = CUSTOMER / "study"
        chapter(2, "The recipe is written: job files, requirements, its own code, example tables", STEPS)
        settings = ("--set", f"runs={RUNS}", "--set", f"scenarios={SCENARIOS}", "--set", "language=de")
        kifabrik(
            CUSTOMER,
            "recipe",
            "new",
            "supply-chain",
            kit,
            "--example",
            *settings,
            shown="recipe new supply-chain study …",
        )

        chapter(3, "The tables are sealed, and one purpose is granted", STEPS)
        kifabrik(CUSTOMER, "dataset", "seal", DATASET, kit / "input", shown=f"dataset seal {DATASET} study/input")
        grant = ("dataset", "grant", DATASET, "--purpose", PURPOSE, "--passphrase-file", secret)
        kifabrik(CUSTOMER, *grant, shown=f"dataset grant {DATASET} --purpose {PURPOSE}")

        chapter(
            4,
            f"{RUNS} runs simulate a share each, another gathers them; nothing leaves the factory unsealed",
            STEPS,
        )
        jobs = (kit / "parts.yaml", kit / "job.yaml")
        kifabrik(CUSTOMER, "apply", *jobs, "--yes", shown="apply study/parts.yaml study/job.yaml")
        kifabrik(CUSTOMER, "model", "pull", STUDY, "--to", kit / "study", shown=f"model pull {STUDY}")
        show_search("tables, code and results", needles(kit))

        chapter(5, "The figures are those of the same study in one piece, here", STEPS)
        same_as_here(kit)
    print(f"\n{paint('1;32', '✓')} All {STEPS} steps worked, in {time.monotonic() - started:.0f} s.")
    note(f"The report: {(kit / 'study' / 'report-de.html').relative_to(FOLDERS.parent)}")


def needles(kit):
    """Lines of the tables, of the code and of the report."""
    found = [
        line for table in (kit / "input").glob("*.csv") for line in table.read_text().splitlines() if len(line) > 24
    ]
    found += [
        line.strip() for line in (kit / "code/kifabrik/recipes/supply_chain/kernel.py").read_text().splitlines()
    ]
    found += (kit / "study" / "report-de.html").read_text().splitlines()
    return [text.encode() for text in found if len(text) > 40]


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
    print(paint("2", f"  customer$ kifabrik supply-chain run study/input --scenarios {SCENARIOS}"), flush=True)
    subprocess.run([KIFABRIK, *map(str, words)], check=True, env=environment(CUSTOMER), stdout=subprocess.DEVNULL)
    if any(bits(kit / "here" / name) != bits(kit / "study" / name) for name in TABLES):
        raise SystemExit("the figures differ")
    network = json.loads((kit / "study" / "settings.json").read_text())["network"]["name"]
    print(f"     {paint('32', '✓ equal')}, bit for bit: every scenario, node and lane of {network!r}", flush=True)


def bits(table):
    """The numbers of a table, byte for byte: a missing number is not equal to itself."""
    return {name: pq.read_table(table)[name].to_numpy().tobytes() for name in pq.read_schema(table).names[6:]}


if __name__ == "__main__":
    main()
