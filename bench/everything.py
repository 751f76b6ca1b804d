"""Runs every benchmark, draws the pictures, and writes the figures into docs/benchmarks.md: what `make bench` does.

    python bench/everything.py [--only NAME …] [--quick]

The page's prose is written by hand. Between `<!-- NAME -->` and `<!-- /NAME -->` stands what the benchmark of that
name printed in this run, with its command and its pictures; between `<!-- targets -->` and its end the machine,
the date, and every promised figure beside the measured one. A benchmark that cannot run here (no root, a package
missing) leaves its part as it is and is named at the end; the others go on.
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
from datetime import UTC, datetime
from pathlib import Path

from pictures import draw_all
from report import Target, read

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/benchmarks.md"
PICTURES = HERE.parent / "docs/pictures"
FULL = {
    "cli": "",
    "seals": "--size 256MiB --repeat 5",
    "packing": "--files 20000",
    "ledger": "--entries 50000",
    "rooms": "",
    "submit": "",
    "runs": "",
    "leases": "",
    "thousand": "",
    "streaming": "",
    "staging": "",
    "epoch": "",
    "supply_chain": "",
}
"""What is run, in this order, with which arguments: a quarter of an hour on two cores."""
MET = {True: "met", False: "**not met**"}
QUICK = {
    "cli": "--repeat 2",
    "seals": "--size 32MiB --repeat 1",
    "packing": "--files 2000 --repeat 1",
    "ledger": "--entries 2000",
    "rooms": "--repeat 3",
    "submit": "--rounds 2",
    "runs": "--runs 10 --finished 1000",
    "leases": "--nodes 10 --singles 3",
    "thousand": "--runs 10 --finished 1000",
    "streaming": "--size 64MiB --repeat 1 --limit 32MiB",
    "staging": "--size 32MiB --repeat 1",
    "epoch": "--size 16MiB --repeat 1",
    "supply_chain": "--scenarios 256",
}


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


def put(page: str, name: str, text: str) -> str:
    """Put a text between a name's marks.

    Raises:
        SystemExit: The page has no such marks.
    """
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(page):
        sys.exit(f"{PAGE.name} has no marks for {name}")
    return marks.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)


def table(targets: list[tuple[str, Target]], load: float) -> str:
    """Machine, date, and the promised figures beside the measured ones."""
    rows = "\n".join(
        f"| {one.what} | {one.wanted} | {one.measured} | {MET[one.met]} | {name} |" for name, one in targets
    )
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC with `make bench` on {machine()}. "
        f"Load before it began: {load:.1f}.\n\n"
        f"| figure | target | measured | | benchmark |\n|---|---|---|---|---|\n{rows}"
    )


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
    made.add_argument("--only", nargs="+", choices=FULL, metavar="NAME", help="only these; the table stays")
    made.add_argument(
        "--quick", action="store_true", help="as small as can be, to see that all works; writes nothing"
    )
    wishes = made.parse_args()
    PICTURES.mkdir(exist_ok=True)
    load, page = os.getloadavg()[0], PAGE.read_text()
    targets: list[tuple[str, Target]] = []
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name, full in FULL.items():
            if (wishes.only and name not in wishes.only) or not (HERE / f"{name}.py").exists():
                continue
            arguments = QUICK.get(name, "") if wishes.quick else full
            done = run(name, arguments, Path(folder))
            if done is None:
                failed.append(name)
            elif not wishes.quick:
                page = put(page, name, part(name, arguments, *done))
                PAGE.write_text(page)
                targets += [(name, one) for picture in read(done[1]) for one in picture.targets]
    if not wishes.quick:
        if not wishes.only:
            page = put(page, "targets", table(targets, load))
        PAGE.write_text(page)
    for name in failed:
        print(f"{name} did not run here")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
