"""What a run may ask of a Slurm cluster beyond its resources: the `slurm:` part of a job file.

Invariants:
- each value has a grammar of its own, without white space, `=` at the front or anything that could be read as a
  second option, so a customer's text is never more than the value of the option it stands for;
- mail, files, environments, users and programs to run on the controller cannot be said.

Source: sbatch(1) of 22.05 to 25.11.
"""

import re
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.values import MOST_TASKS

_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
_WORDS: Final = re.compile(rf"{_WORD.pattern}(,{_WORD.pattern}){{0,15}}")
_CONSTRAINT: Final = re.compile(r"[A-Za-z0-9_\[(][A-Za-z0-9_.|&*\[\]()-]{0,199}")
_ARRAY: Final = re.compile(r"\d{1,7}(-\d{1,7}(:\d{1,7})?)?(,\d{1,7}(-\d{1,7}(:\d{1,7})?)?){0,999}(%\d{1,7})?")
_DEPENDENCY: Final = re.compile(
    r"(?:after|afterany|afterok|afternotok|aftercorr)(?::\d{1,10}){1,50}"
    r"(?:[,?](?:after|afterany|afterok|afternotok|aftercorr)(?::\d{1,10}){1,50}){0,19}|singleton"
)
_LICENCE: Final = r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}(:\d{1,6})?"
_LICENCES: Final = re.compile(rf"{_LICENCE}(,{_LICENCE}){{0,15}}")
_SWITCHES: Final = re.compile(r"\d{1,4}(@\d{1,3}(:\d{2}){0,2})?")
_SIGNAL: Final = re.compile(r"(?:B:)?(?:SIG)?(?:TERM|INT|HUP|USR1|USR2|CONT|QUIT)(@\d{1,5})?")
_BEGIN: Final = re.compile(
    r"now\+\d{1,7}(?:(?:second|minute|hour|day|week)s?)?|\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?)?"
)
_LARGEST_NICE: Final = 2_147_483_645
_FORMS: Final[dict[str, tuple["re.Pattern[str]", str]]] = {
    "partition": (_WORDS, "main, or main,big"),
    "qos": (_WORD, "long"),
    "account": (_WORD, "the name of an account"),
    "constraint": (_CONSTRAINT, "h200&nvlink"),
    "reservation": (_WORDS, "the name of a reservation"),
    "switches": (_SWITCHES, "1, or 1@02:00:00 with the longest wait for it"),
    "array": (_ARRAY, "0-99%8"),
    "dependency": (_DEPENDENCY, "afterok:1234"),
    "signal": (_SIGNAL, "TERM@120"),
    "licenses": (_LICENCES, "solver:2"),
    "begin": (_BEGIN, "now+2hours, or 2026-12-24T18:00"),
}
"""Form of each text, and an example."""


def array_numbers(text: str) -> tuple[int, ...]:
    """Return the task numbers of an array such as `0-9:3,12`, ascending.

    Raises:
        UsageError: It is none, or has more than `MOST_TASKS`.
    """
    if _ARRAY.fullmatch(text) is None or "%" in text:
        raise UsageError(f"not an array of tasks: {text[:80]!r}", hint="Write it like: 0-99, or 1,3,7-9")
    numbers: set[int] = set()
    for piece in text.split(","):
        span, _, step = piece.partition(":")
        first, _, last = span.partition("-")
        found = range(int(first), int(last or first) + 1, int(step or 1) or 1)
        if not 0 < len(found) <= MOST_TASKS:
            raise UsageError(f"{piece!r} is no span of 1 to {MOST_TASKS} tasks")
        numbers.update(found)
    if len(numbers) > MOST_TASKS:
        raise UsageError(f"the array has {len(numbers)} tasks, at most {MOST_TASKS}")
    return tuple(sorted(numbers))


@dataclass(frozen=True)
class SlurmOptions:
    """Wishes for Slurm; empty or None for what the cluster does by itself.

    Args:
        partition: One, or several of which the first that can starts it.
        qos: Quality of service.
        account: Other than the tenant's own.
        constraint: Features its nodes must have.
        reservation: Of the operator's.
        exclusive: Whether it shares no node.
        switches: Most leaf switches it spreads over, and how long it waits for that.
        array: Task numbers, with the most that run at once behind `%`.
        dependency: Jobs that must have begun or ended first.
        requeue: Whether it is started again after its node failed or it had to go.
        signal: Sent to it so many seconds before its time limit.
        licenses: It holds while it runs.
        nice: By how much it steps back; only what makes it later.
        begin: Earliest start.

    Raises:
        UsageError: A value does not have its form.
    """

    partition: str = ""
    qos: str = ""
    account: str = ""
    constraint: str = ""
    reservation: str = ""
    exclusive: bool = False
    switches: str = ""
    array: str = ""
    dependency: str = ""
    requeue: bool | None = None
    signal: str = ""
    licenses: str = ""
    nice: int = 0
    begin: str = ""

    def __post_init__(self) -> None:
        for name, (form, example) in _FORMS.items():
            value = getattr(self, name)
            if value and form.fullmatch(value) is None:
                raise UsageError(f"not a value for slurm.{name}: {value[:80]!r}", hint=f"Write it like: {example}")
        if not 0 <= self.nice <= _LARGEST_NICE:
            raise UsageError("slurm.nice is a number from 0 on; only the operator makes runs earlier")
