"""`python -m fuzz [--minutes M] [--seed S] [NAME…]`: all targets, each for its share of the time.

The seed is printed and fixes every mutation; how many of them fit into the time depends on the machine. An
input that is a finding is kept in `fuzz/found`, and the command that replays it is printed.
"""

import argparse
import hashlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import NAMES, load

HERE = Path(__file__).parent
FOUND = HERE / "found"
PER_INPUT_S = 20
"""An input may take this long on a loaded machine; all of them together take far less."""
MEMORY_MB = 1024
STARTING_S = 3


@dataclass(frozen=True)
class Outcome:
    """How the fuzzing of one target ended."""

    name: str
    inputs: int
    covered: int
    sound: bool
    text: str


def main() -> int:
    """Fuzz all targets; 0 if none of them has a finding."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Attack every parser with made-up bytes.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", default="", help="any text; made up and printed if there is none")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default all")
    options = parser.parse_args()
    names = options.names or list(NAMES)
    if set(names) - set(NAMES):
        parser.error(f"no such target: {', '.join(sorted(set(names) - set(NAMES)))}")
    seed = options.seed or secrets.token_hex(4)
    lanes = min(os.cpu_count() or 1, len(names))
    share = max(2, round(options.minutes * 60 * lanes / len(names)) - STARTING_S)
    print(f"fuzzing {len(names)} parsers for {options.minutes:g} minutes, {share} s each; seed {seed}")
    print(f"  again: make fuzz MINUTES={options.minutes:g} SEED={seed}", flush=True)
    FOUND.mkdir(exist_ok=True)
    with ThreadPoolExecutor(lanes) as pool:
        outcomes = list(pool.map(lambda name: _say(fuzz(name, share, seed)), names))
    wrong = [outcome for outcome in outcomes if not outcome.sound]
    print(f"{sum(outcome.inputs for outcome in outcomes):,} inputs, findings in {len(wrong)} parsers")
    return 1 if wrong else 0


def fuzz(name: str, seconds: int, seed: str) -> Outcome:
    """Fuzz one target in a process of its own."""
    target = load(name)
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as scratch:
        seeds, words = Path(scratch, "seeds"), Path(scratch, "words")
        seeds.mkdir()
        for number, data in enumerate(target.seeds()):
            (seeds / f"{number:03d}").write_bytes(data)
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        command = [
            *(sys.executable, "-m", "fuzz.one", name, f"-seed={_number(seed)}", f"-max_total_time={seconds}"),
            *(
                f"-timeout={PER_INPUT_S}",
                f"-rss_limit_mb={MEMORY_MB}",
                *([f"-dict={words}"] if target.words else []),
            ),
            *(f"-artifact_prefix={FOUND}/{name}-", "-print_final_stats=1", str(seeds)),
        ]
        ended = subprocess.run(
            command, cwd=HERE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    text = ended.stdout.decode(errors="replace")
    counts = [int(number) for number in re.findall(r"^#(\d+)\t", text, re.MULTILINE)]
    covered = [int(number) for number in re.findall(r"cov: (\d+)", text)]
    return Outcome(name, max(counts, default=0), max(covered, default=0), ended.returncode == 0, text)


def _number(seed: str) -> int:
    """LibFuzzer takes 31 bits, and 0 for a seed of its own."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") % (2**31 - 1) + 1


def _say(outcome: Outcome) -> Outcome:
    mark = "ok" if outcome.sound else "FOUND"
    print(f"  {outcome.name:20} {outcome.inputs:>9,} inputs  {outcome.covered:>5} covered  {mark}", flush=True)
    if not outcome.sound:
        print(_finding(outcome.text), flush=True)
        for file in re.findall(r"Test unit written to (\S+)", outcome.text):
            shown = Path(file).relative_to(HERE.parent) if Path(file).is_relative_to(HERE.parent) else file
            print(f"  replay: .venv/bin/python -m fuzz.one {outcome.name} --replay {shown}", flush=True)
    return outcome


def _finding(text: str) -> str:
    start = text.find("=== Uncaught Python exception")
    lines = text[max(start, 0) :].splitlines()
    return "\n".join(f"    {line[:300]}" for line in lines[-40:])


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
