"""How long the command line takes where it needs no server, beside bare Python and bare click and typer.

    python bench/cli.py [--repeat 15] [--json PATH]

Each program is started in turn, round after round; medians of wall time. The peers are the smallest programs
one can write: one command, one option.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers
from report import Bar, Picture, at_most, hand_on, parser

KIFABRIK = Path(sys.executable).parent / "kifabrik"
TARGET_MS = 150
CLICK = """
import click

@click.command()
@click.option("--name", default="you")
def hello(name):
    "Say hello."

hello()
"""
TYPER = """
import typer

def hello(name: str = "you"):
    "Say hello."

typer.run(hello)
"""


def programs(folder: Path) -> dict[str, list[str]]:
    """Name and command of each row."""
    rows = {
        "kifabrik --help": [KIFABRIK, "--help"],
        "kifabrik --version": [KIFABRIK, "--version"],
        "kifabrik completion bash": [KIFABRIK, "completion", "bash"],
        "kifabrik apply --help": [KIFABRIK, "apply", "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    python = peers.python()
    if python is not None:
        for name, text in (("click", CLICK), ("typer", TYPER)):
            (folder / f"{name}_hello.py").write_text(text)
            rows[f"a smallest {name} program --help"] = [python, folder / f"{name}_hello.py", "--help"]
    return rows


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--repeat", type=int, default=15)
    wishes = made.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = programs(Path(folder))
        times: dict[str, list[float]] = {name: [] for name in rows}
        for turn in range(wishes.repeat + 1):
            for name, command in rows.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                if turn:  # the first start reads from the disk
                    times[name].append(1e3 * (time.perf_counter() - began))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:36} {value:7.1f} ms   fastest {min(times[name]):7.1f} ms")
    bars = tuple(
        Bar(name, value, "ours" if name.startswith("kifabrik") else "peer") for name, value in medians.items()
    )
    hand_on(
        wishes.json,
        Picture(
            "The command line's first word",
            "milliseconds",
            (*bars, Bar("target for --help", TARGET_MS, "limit")),
            f"Wall time of the whole program, medians of {wishes.repeat} rounds in turn.",
            (at_most("`kifabrik --help`", medians["kifabrik --help"], TARGET_MS, "{:.0f} ms"),),
        ),
    )


if __name__ == "__main__":
    main()
