"""The lines of an sbatch script that speak to Slurm or to kifabrik, split into options.

Invariants:
- only lines before the first command count, as for sbatch;
- an option that is neither known nor set aside is an error, never dropped.

Source: sbatch(1) of 22.05 to 25.11.
"""

import difflib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import UsageError

_SHORT: Final = {
    "A": "account", "a": "array", "b": "begin", "C": "constraint", "c": "cpus-per-task", "D": "chdir",
    "d": "dependency", "e": "error", "G": "gpus", "H": "hold", "i": "input", "J": "job-name", "L": "licenses",
    "N": "nodes", "n": "ntasks", "o": "output", "p": "partition", "q": "qos", "t": "time", "w": "nodelist",
    "x": "exclude",
}  # fmt: skip
_FLAGS: Final = frozenset({"requeue", "no-requeue", "exclusive", "hold", "parsable", "test-only", "nice", "wait"})
"""Options whose value may be missing; a value comes behind `=`."""
ACCEPTED: Final = frozenset(
    (
        "account", "array", "begin", "constraint", "cpus-per-task", "dependency", "exclusive", "gpus",
        "gpus-per-node", "gpus-per-task", "gres", "job-name", "licenses", "mem", "mem-per-cpu", "nice",
        "no-requeue", "nodes", "ntasks", "ntasks-per-node", "partition", "qos", "requeue", "reservation", "signal",
        "switches",
        "time",
    )
)  # fmt: skip
SET_ASIDE: Final = {
    "output": "what it prints is sealed; read it with: kifabrik logs",
    "error": "what it prints is sealed; read it with: kifabrik logs",
    "open-mode": "what it prints is sealed; read it with: kifabrik logs",
    "mail-type": "nothing is mailed; follow it with: kifabrik ps",
    "mail-user": "nothing is mailed; follow it with: kifabrik ps",
    "comment": "the cluster's queue is not told",
    "parsable": "the number is kifabrik's own",
    "verbose": "the number is kifabrik's own",
    "quiet": "the number is kifabrik's own",
}
"""Options that change nothing here, and why."""
_REFUSED: Final = {
    "chdir": "the run starts in its own sealed copy of the code",
    "input": "a run has no standard input",
    "export": "name variables in the job file, environment.variables; nothing else reaches the sandbox",
    "export-file": "name variables in the job file, environment.variables",
    "get-user-env": "no environment of the factory reaches the sandbox",
    "nodelist": "which nodes is the factory's choice; use --constraint",
    "exclude": "which nodes is the factory's choice; use --constraint",
    "hold": "order it when it is to run, or use --begin",
    "uid": "runs belong to the tenant",
    "gid": "runs belong to the tenant",
    "wrap": "write the command into the script",
    "container": "the run has a sandbox of its own",
    "bb": "sealed data comes in with '#KIFABRIK data'",
    "bbf": "sealed data comes in with '#KIFABRIK data'",
    "test-only": "kifabrik apply shows plan and price before anything is ordered",
    "wait": "use kifabrik apply, which follows the run",
    "clusters": "the factory has one cluster",
}
_ASSIGNED: Final = re.compile(r"--([a-z][a-z-]*)(?:=(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Word:
    """One option or one line for kifabrik.

    Args:
        line: Number in the script, from 1.
        name: Long name of the option, or the first word behind `#KIFABRIK`.
        value: Its value; empty for none.
    """

    line: int
    name: str
    value: str


def slurm_words(text: str, where: str) -> list[Word]:
    """Return the options of all `#SBATCH` lines, in order.

    Raises:
        UsageError: An option is unknown or makes no sense here.
    """
    words: list[Word] = []
    for number, line in _headed(text, "#SBATCH"):
        words += _options(number, line, where)
    return words


def kifabrik_words(text: str, where: str) -> list[Word]:
    """Return what stands behind `#KIFABRIK`, line by line.

    Raises:
        UsageError: A line has not exactly a word and a value.
    """
    words = []
    for number, line in _headed(text, "#KIFABRIK"):
        name, _, value = line.strip().partition(" ")
        if not name or not value.strip():
            raise UsageError(f"{where}, line {number}: write '#KIFABRIK data /data/press=press-line-7'")
        words.append(Word(number, name, value.strip()))
    return words


def _headed(text: str, head: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            return
        if line == head or line.startswith((head + " ", head + "\t")):
            yield number, line.removeprefix(head)


def _options(number: int, line: str, where: str) -> Iterator[Word]:
    try:
        parts = shlex.split(line, comments=True)
    except ValueError:
        raise UsageError(f"{where}, line {number}: a quotation mark is missing") from None
    while parts:
        part = parts.pop(0)
        long = _ASSIGNED.fullmatch(part)
        if long is not None:
            name, value = long[1], long[2]
        elif re.fullmatch(r"-[A-Za-z].*", part, re.DOTALL):
            name, value = _SHORT.get(part[1], part[:2]), part[2:].removeprefix("=") or None
        else:
            raise UsageError(f"{where}, line {number}: {part[:40]!r} is not an option")
        _accept(name, number, where)
        if value is None and name not in _FLAGS:
            if not parts:
                raise UsageError(f"{where}, line {number}: --{name} needs a value")
            value = parts.pop(0)
        yield Word(number, name, value or "")


def _accept(name: str, number: int, where: str) -> None:
    if name in _REFUSED:
        raise UsageError(f"{where}, line {number}: --{name} makes no sense here: {_REFUSED[name]}")
    if name not in ACCEPTED and name not in SET_ASIDE:
        near = difflib.get_close_matches(name, ACCEPTED, n=1)
        hint = f"Did you mean --{near[0]}?" if near else "docs/slurm.md lists those that are."
        raise UsageError(f"{where}, line {number}: --{name.lstrip('-')} is not an option kifabrik knows", hint=hint)
