"""Runs every benchmark, draws the pictures, and writes the figures into docs/benchmarks.md: what `make bench` does.

    python bench/everything.py [--only NAME …] [--quick]

The page's prose is written by hand. Between `<!-- NAME -->` and `<!-- /NAME -->` stands what the benchmark of that
name printed in this run, with its command and its pictures. Between the marks of `summary` stands a table of every
promised figure beside the measured one, in which a run replaces the rows of the benchmarks it ran: the others keep
their figures and their day, also those measured apart, which nothing here runs. A benchmark that cannot run here
(no root, a package missing) leaves its part as it is and is named at the end; the others go on.
"""

import argparse
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pictures import draw_all
from report import Target, read

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/benchmarks.md"
PICTURES = HERE.parent / "docs/pictures"
MET = {True: "met", False: "**not met**"}


@dataclass(frozen=True)
class Size:
    """Arguments of a benchmark.

    Args:
        full: For the figures of the page.
        quick: As small as can be, to see that all works.
    """

    full: str = ""
    quick: str = ""


BENCHMARKS = {
    "cli": Size(quick="--repeat 2"),
    "seals": Size("--size 256MiB --repeat 5", "--size 32MiB --repeat 1"),
    "packing": Size("--files 20000", "--files 2000 --repeat 1"),
    "ledger": Size("--entries 50000", "--entries 2000"),
    "rooms": Size(quick="--repeat 3"),
    "submit": Size(quick="--rounds 2"),
    "runs": Size(quick="--runs 10 --finished 1000"),
    "waiting": Size("--seconds 6", "--seconds 1 --callers 20"),
    "leases": Size(quick="--nodes 10 --singles 3"),
    "thousand": Size(quick="--runs 10 --finished 1000"),
    "streaming": Size(quick="--size 64MiB --repeat 1 --limit 32MiB"),
    "staging": Size(quick="--size 32MiB --repeat 1"),
    "epoch": Size(quick="--size 16MiB --repeat 1"),
    "supply_chain": Size(quick="--scenarios 256"),
    "plant": Size("--most 1500000", "--most 50000"),
    "plant_physics": Size("--data ../shared/data/plant", "--data ../shared/data/plant"),
    "pharma": Size(
        "--molecules 300 --library 200000 --compounds 1000", "--molecules 40 --library 2000 --compounds 200"
    ),
    "sap": Size("--repeat 2 --rows 20000", "--repeat 1 --rows 1000 --most 50000"),
}
"""What is run, in this order: twenty minutes on two cores."""


def run(name: str, arguments: str, folder: Path) -> tuple[str, Path] | None:
    """Run one benchmark; return what it printed and what it handed on, or None if it failed."""
    handed = folder / f"{name}.json"
    command = [sys.executable, HERE / f"{name}.py", *shlex.split(arguments), "--json", handed]
    began = time.monotonic()
    print(f"== {name}", flush=True)
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(ran.stdout, f"({time.monotonic() - began:.0f} s)\n", sep="", flush=True)
    return (ran.stdout, handed) if ran.returncode == 0 and handed.exists() else None


def part(name: str, arguments: str, printed: str, handed: Path) -> str:
    """The part of the page a benchmark fills."""
    drawn = draw_all(handed, PICTURES)
    shown = "\n\n".join(
        f"![{one.title}](pictures/{path.name})" for one, path in zip(read(handed), drawn, strict=True)
    )
    command = f"python bench/{name}.py {arguments}".strip()
    return f"{shown}\n\n```console\n$ {command}\n{_public(printed)}\n```"


def between(page: str, name: str) -> re.Match[str]:
    """What stands between a name's marks, as the second group of three.

    Raises:
        SystemExit: The page has no such marks.
    """
    found = re.search(rf"(<!-- {name} -->\n)(.*?)\n?(<!-- /{name} -->)", page, re.DOTALL)
    if found is None:
        sys.exit(f"{PAGE.name} has no marks for {name}")
    return found


def put(page: str, name: str, text: str) -> str:
    """Put a text between a name's marks."""
    found = between(page, name)
    return f"{page[: found.end(1)]}{text}\n{page[found.start(3) :]}"


def row(name: str, one: Target, load: float) -> str:
    """A promised figure beside the measured one."""
    when = f"{datetime.now(UTC):%Y-%m-%d}, {load:.1f}"
    return f"| {one.what} | {one.measured} | {one.wanted} | {MET[one.met]} | [{name}](#{name}) | {when} |"


def merged(old: str, new: dict[str, list[str]]) -> str:
    """The table with new rows in place of the same benchmarks' old ones; those that had none come last."""
    waiting, lines = dict(new), []
    for line in old.splitlines():
        name = next((name for name in new if f"](#{name}) |" in line), None)
        if name is None:
            lines.append(line)
        elif name in waiting:
            lines += waiting.pop(name)
    return "\n".join([*lines, *(line for rows in waiting.values() for line in rows)])


def machine() -> str:
    """The machine, in words."""
    facts = Path("/proc/cpuinfo").read_text()
    model = next(line.partition(":")[2].strip() for line in facts.splitlines() if line.startswith("model name"))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GB of memory, "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


def _public(printed: str) -> str:
    """What was printed, without names of this machine's folders."""
    return printed.rstrip().replace(str(HERE.parent), ".").replace(str(Path.home()), "~")


def main() -> None:
    """Run from the command line."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help="only these")
    made.add_argument(
        "--quick", action="store_true", help="as small as can be, to see that all works; writes nothing"
    )
    wishes = made.parse_args()
    PICTURES.mkdir(exist_ok=True)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in wishes.only or BENCHMARKS:
            load = os.getloadavg()[0]
            arguments = BENCHMARKS[name].quick if wishes.quick else BENCHMARKS[name].full
            done = run(name, arguments, Path(folder))
            if done is None:
                failed.append(name)
            elif not wishes.quick:
                write(name, part(name, arguments, *done), [row(name, one, load) for one in targets(done[1])])
    if not (wishes.quick or wishes.only):
        PAGE.write_text(put(PAGE.read_text(), "machine", f"Measured on {machine()}."))
    for name in failed:
        print(f"{name} did not run here")
    sys.exit(bool(failed))


def targets(handed: Path) -> list[Target]:
    """The promises a benchmark answers."""
    return [one for picture in read(handed) for one in picture.targets]


def write(name: str, shown: str, rows: list[str]) -> None:
    """Fill a benchmark's part of the page and its rows of the table."""
    page = put(PAGE.read_text(), name, shown)
    PAGE.write_text(put(page, "summary", merged(between(page, "summary")[2], {name: rows})))


if __name__ == "__main__":
    main()
