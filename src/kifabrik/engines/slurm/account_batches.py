"""Steps of a plan for Slurm's accounting, put together so that few commands do many. Pure.

A `sacctmgr` asks slurmdbd some fifteen questions one after the other, however much it does, and many of them wait
40 ms for the network (length and body of a message are two packets: Nagle's algorithm and delayed acknowledgement).
So it is commands that count:

    steps that say the same of different names    one command with all names: modify qos where Name=a,b,c set …
    new accounts below the parent, new members    one file for `sacctmgr load`, which changes nothing else
    the rest, and Unix users                      one by one

Invariants:
- the order of the plan holds between sorts of steps (QOS, accounts, users), which is what they need of each other;
- every step is in exactly one batch.

Source: sacctmgr(1), of 22.05 to 25.11: comma-separated names, and FLAT FILE DUMP AND LOAD.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from kifabrik.engines.slurm.account_plan import MANAGE, Kind, Step
from kifabrik.errors import UsageError

MOST_TOGETHER: Final = 100
"""Steps of one batch: their progress is seen, and little is done anew where one fails."""
_NAME: Final = "Name="
_IN_A_FILE: Final = frozenset({"account", "user"})


@dataclass(frozen=True)
class Batch:
    """What one command does.

    Args:
        steps: All of its steps.
        command: Program and arguments; empty where the steps have to be taken one by one.
        file: What `sacctmgr load` reads; its path is the command's last argument, after `file=`.
    """

    steps: tuple[Step, ...]
    command: tuple[str, ...] = ()
    file: str = ""


def batches(steps: Sequence[Step]) -> Iterator[Batch]:
    """Put steps together.

    Raises:
        UsageError: A word cannot be written into a file for `sacctmgr load`.
    """
    for sort, group in groupby(steps, key=_sort):
        alike = tuple(group)
        if not sort:
            yield Batch(alike)
            continue
        listed = [step for step in alike if _can_be_loaded(step)]
        for some in _pieces([step for step in alike if step not in listed and step.kind is Kind.CREATE]):
            yield from _joined(some)
        for some in _pieces(listed):
            yield Batch(some, (*MANAGE, "load"), _file(some))
        for some in _pieces([step for step in alike if step.kind is not Kind.CREATE]):
            yield from _joined(some)


def _sort(step: Step) -> str:
    """`qos`, `account` or `user`; empty for what is no command of Slurm's."""
    return "" if step.kind is Kind.MAKE_USER else step.command[len(MANAGE) + 1]


def _pieces(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    for first in range(0, len(steps), MOST_TOGETHER):
        yield tuple(steps[first : first + MOST_TOGETHER])


def _can_be_loaded(step: Step) -> bool:
    """Whether it adds an account below another, or a member."""
    if step.kind is not Kind.CREATE or _sort(step) not in _IN_A_FILE:
        return False
    return bool({"Parent", "Account"} & _values(step).keys())


def _joined(steps: Sequence[Step]) -> Iterator[Batch]:
    """One command for all steps that are the same but for the name they are about."""
    alike: dict[tuple[str, ...], list[Step]] = {}
    for step in steps:
        at = _place_of_name(step.command)
        alike.setdefault((*step.command[:at], "", *step.command[at + 1 :]), []).append(step)
    for words, same in alike.items():
        at = _place_of_name(same[0].command)
        sign = _NAME if same[0].command[at].startswith(_NAME) else ""
        names = ",".join(step.command[at].removeprefix(sign) for step in same)
        yield Batch(tuple(same), (*words[:at], sign + names, *words[at + 1 :]))


def _place_of_name(command: Sequence[str]) -> int:
    """Behind the sort of thing, or behind `where`."""
    at = len(MANAGE) + 2
    return at + 1 if command[at] == "where" else at


def _file(steps: Sequence[Step]) -> str:
    """What `sacctmgr load` reads: accounts below their parents, members below their accounts."""
    lines = [f"Cluster - {_quoted(_values(steps[0])['Cluster'])}"]
    parent = ""
    for step in steps:
        values = _values(step)
        name, above = step.command[len(MANAGE) + 2], values.get("Parent") or values["Account"]
        if above != parent:
            lines.append(f"Parent - {_quoted(above)}")
            parent = above
        kind = "Account" if "Parent" in values else "User"
        said = [f":{key}={_quoted(values[key])}" for key in values if key not in ("Cluster", "Parent", "Account")]
        lines.append(f"{kind} - {_quoted(name)}{''.join(said)}")
    return "\n".join(lines) + "\n"


def _values(step: Step) -> dict[str, str]:
    pairs = (word.partition("=") for word in step.command[len(MANAGE) + 3 :])
    return {key: value for key, _, value in pairs}


def _quoted(text: str) -> str:
    if any(letter in text for letter in "'\"\n:"):
        raise UsageError(f"sacctmgr cannot read {text!r} from a file")
    return f"'{text}'"
