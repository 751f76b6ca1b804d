"""Faults that are known: from a column of the readings, or from a list as a maintenance system exports it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.maintenance.cells import written_times
from kifabrik.recipes.maintenance.reading import Readings
from kifabrik.recipes.maintenance.tables import read_table

_BEGINS: Final = ("from", "von", "start", "beginn", "begin", "störbeginn", "datum", "date", "time", "zeit")
_ENDS: Final = ("to", "until", "bis", "ende", "end", "störende")
_SAYS: Final = ("what", "was", "fault", "störung", "meldung", "beschreibung", "kurztext", "description", "text")


@dataclass(frozen=True)
class Fault:
    """A time in which something was wrong.

    Attributes:
        start: When it began.
        end: When it was over; no earlier.
        what: What it was, in the words of who noted it.
    """

    start: np.datetime64
    end: np.datetime64
    what: str = ""


def faults_of_label(readings: Readings, apart: np.timedelta64) -> tuple[Fault, ...]:
    """Faults of the column that says so; marked rows no more than `apart` from each other are one fault."""
    if readings.label is None or not readings.label.any():
        return ()
    when = readings.times[readings.label]
    breaks = np.flatnonzero(np.diff(when) > apart) + 1
    return tuple(Fault(group[0], group[-1]) for group in np.split(when, breaks))


def read_faults(path: Path) -> tuple[Fault, ...]:
    """Read a list of faults: a table with a column of beginnings, perhaps one of ends and one of words.

    Raises:
        UsageError: No column is called as a beginning is, or its cells are no times.
    """
    table = read_table(path)
    begins = _column(table, _BEGINS)
    if begins is None:
        hint = (
            f"Call it {_BEGINS[0]} or {_BEGINS[1]}; {_ENDS[0]} ({_ENDS[2]}) and {_SAYS[0]} ({_SAYS[1]}) may follow."
        )
        raise UsageError(f"no column of {path.name} says when the faults began", hint=hint)
    start = written_times(table[begins])
    if start is None or np.isnat(start).any():
        raise UsageError(
            f"{path.name}: not every cell of {begins} is a date or time", hint="Such as 18.01.2026 05:10."
        )
    ends, says = _column(table, _ENDS), _column(table, _SAYS)
    end = start if ends is None else written_times(table[ends])
    end = start if end is None else np.where(np.isnat(end), start, end)
    if (end < start).any():
        at = int(np.argmax(end < start))
        raise UsageError(f"{path.name}: the fault of {start[at]} ends before it begins, at {end[at]}")
    words = [""] * len(start) if says is None else [str(word) for word in table[says].fillna("")]
    listed = (Fault(*one) for one in zip(start, end, words, strict=True))
    return tuple(sorted(listed, key=lambda fault: fault.start))


def near(times: NDArray[np.datetime64], faults: Sequence[Fault], before: np.timedelta64) -> NDArray[np.bool_]:
    """Which rows lie in a fault, or so long before one that they may announce it."""
    found = np.zeros(len(times), dtype=bool)
    for fault in faults:
        found |= (times >= fault.start - before) & (times <= fault.end)
    return found


def _column(table: Any, words: Sequence[str]) -> Any:
    named = {str(name).strip().lower(): name for name in table.columns}
    return next((named[word] for word in words if word in named), None)
