"""Read traces: CSV (as Philly's), the Standard Workload Format, and kifabrik's own runs.

Every line is checked; an error names file, line and field.
"""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.plant.readable import opened, readable
from kifabrik.plant.workload.trace import NEVER, Trace, make_trace

COLUMNS: Final = {
    "submit": ("submit", "timestamp", "submit_time"),
    "seconds": ("seconds", "duration"),
    "gpus": ("gpus", "num_gpus", "gpu_num"),
    "tenant": ("tenant", "cluster", "vc", "user"),
    "estimate": ("estimate", "time_limit"),
    "until": ("until", "deadline"),
}
"""Names under which a CSV trace may have a column; the first is ours."""
_NEEDED: Final = ("submit", "seconds", "gpus")
_MOST_GPUS: Final = 1e9
_LONGEST: Final = 1e10
"""Seconds; nothing runs for 300 years."""
_SWF_FIELDS: Final = 18
_SWF_JOB, _SWF_SUBMIT, _SWF_RUN, _SWF_PROCESSORS, _SWF_ASKED, _SWF_LIMIT, _SWF_GROUP = 0, 1, 3, 4, 7, 8, 12
"""Fields of the Standard Workload Format, version 2.2 (Feitelson, Parallel Workloads Archive), counted from 0."""


@dataclass
class _Rows:
    """Jobs as they are read."""

    where: str
    submit: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    estimate: list[float] = field(default_factory=list)
    gpus: list[int] = field(default_factory=list)
    tenant: list[int] = field(default_factory=list)
    until: list[float] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)

    def add(
        self, submit: float, seconds: float, gpus: float, tenant: str, estimate: float = 0.0, until: float = NEVER
    ) -> None:
        self.submit.append(submit)
        self.seconds.append(seconds)
        self.gpus.append(int(gpus))
        self.tenant.append(self.names.setdefault(tenant, len(self.names)))
        self.estimate.append(estimate)
        self.until.append(until)

    def trace(self, name: str) -> Trace:
        if not self.submit:
            raise UsageError(f"{self.where} has no job.", hint="A trace needs at least one job that ran.")
        begin = min(self.submit)
        return make_trace(
            name,
            [each - begin for each in self.submit],
            self.seconds,
            self.gpus,
            tenant=self.tenant,
            tenants=tuple(self.names),
            estimate=self.estimate,
            until=[each - begin for each in self.until],
        )


def read_trace(path: Path) -> Trace:
    """Read a trace by the end of its name: `.swf`, `.json` (of `kifabrik ps --json`), else CSV; `.gz` may follow.

    A CSV trace has the columns submit (or timestamp), seconds (or duration) and gpus (or num_gpus), and may have
    tenant (or cluster), estimate and until. Times are seconds or ISO 8601 dates, without a zone UTC.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no trace; the message names line and field.
    """
    if not path.is_file():
        raise NotFoundError(f"There is no trace {path}.", hint="Name a CSV, SWF or JSON file.")
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    read = _READERS.get(plain.suffix.lower(), _read_csv)
    rows = _Rows(str(path))
    with readable(path), opened(path) as file:
        read(file, rows)
    return rows.trace(plain.stem)


def _read_csv(file: TextIO, rows: _Rows) -> None:
    lines = csv.reader(file)
    heading = [name.strip().lower() for name in next(lines, [])]
    at = {
        ours: next((heading.index(name) for name in names if name in heading), -1)
        for ours, names in COLUMNS.items()
    }
    missing = [f"{ours} (or {', '.join(COLUMNS[ours][1:])})" for ours in _NEEDED if at[ours] < 0]
    if missing:
        raise UsageError(
            f"{rows.where}, line 1: there is no column {' and no column '.join(missing)}.",
            hint=f"The first line names the columns; found: {', '.join(heading) or 'nothing'}.",
        )
    for cells in lines:
        if not cells:
            continue
        line = f"{rows.where}, line {lines.line_num}"
        if len(cells) != len(heading):
            raise UsageError(f"{line}: {len(cells)} fields, but {len(heading)} columns.", hint="Check its commas.")

        def value(
            ours: str, read: Callable[[str, str], float], line: str = line, cells: list[str] = cells
        ) -> float:
            return read(cells[at[ours]].strip(), f"{line}, field {heading[at[ours]]}")

        rows.add(
            value("submit", _time),
            value("seconds", _positive),
            value("gpus", _count),
            cells[at["tenant"]] if at["tenant"] >= 0 else "all",
            value("estimate", _positive) if at["estimate"] >= 0 and cells[at["estimate"]].strip() else 0.0,
            value("until", _time) if at["until"] >= 0 and cells[at["until"]].strip() else NEVER,
        )


def _read_swf(file: TextIO, rows: _Rows) -> None:
    """Jobs that ran, by processors; those without a time or processors (never started) are left out."""
    for number, text in enumerate(file, 1):
        fields = text.split(";", 1)[0].split()
        if not fields:
            continue
        where = f"{rows.where}, line {number}"
        if len(fields) != _SWF_FIELDS:
            raise UsageError(
                f"{where}: {len(fields)} fields, a job in the Standard Workload Format has {_SWF_FIELDS}.",
                hint="See https://www.cs.huji.ac.il/labs/parallel/workload/swf.html",
            )
        numbers = [_number(each, f"{where}, field {at + 1}") for at, each in enumerate(fields)]
        processors = numbers[_SWF_PROCESSORS] if numbers[_SWF_PROCESSORS] > 0 else numbers[_SWF_ASKED]
        seconds = numbers[_SWF_RUN]
        if seconds < -1 or numbers[_SWF_SUBMIT] < 0:
            bad = _SWF_RUN if seconds < -1 else _SWF_SUBMIT
            raise UsageError(
                f"{where}, field {bad + 1}: {fields[bad]} is negative; only -1 means not known.",
                hint="Correct the line, or leave it out.",
            )
        if seconds > 0 and processors > 0:
            limit = max(numbers[_SWF_LIMIT], 0.0)
            rows.add(numbers[_SWF_SUBMIT], seconds, processors, f"group {fields[_SWF_GROUP]}", limit)


def _read_runs(file: TextIO, rows: _Rows) -> None:
    """Finished runs of kifabrik that had a GPU: ordered, how long, on how many GPUs, at most how long."""
    try:
        runs = json.load(file)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{rows.where}, line {error.lineno}: {error.msg}.", hint="Write it: kifabrik ps --json"
        ) from None
    except RecursionError:
        raise UsageError(f"{rows.where} is nested too deeply.", hint="Write it: kifabrik ps --json") from None
    if not isinstance(runs, list):
        raise UsageError(f"{rows.where} is not a list of runs.", hint="Write it: kifabrik ps --json > runs.json")
    for number, run in enumerate(runs, 1):
        where = f"{rows.where}, run {number}"
        created = _inside(run, where, "created")
        gpus = _amount(run, where, "resources", "gpu_count")
        nodes = _amount(run, where, "resources", "nodes")
        seconds = _amount(run, where, "footprint", "wall_s")
        if not run.get("finished") or not gpus or not seconds:
            continue
        rows.add(
            _time(str(created), f"{where}, field created"),
            _positive(str(seconds), f"{where}, field footprint.wall_s") / max(int(nodes), 1),
            _count(str(gpus * nodes), f"{where}, field resources.gpu_count"),
            str(_inside(run, where, "member")),
            _amount(run, where, "cap_s"),
        )


def _amount(run: Any, where: str, *names: str) -> float:
    return _number(str(_inside(run, where, *names)), f"{where}, field {'.'.join(names)}")


def _inside(value: Any, where: str, *names: str) -> Any:
    for name in names:
        if not isinstance(value, dict) or name not in value:
            raise UsageError(f"{where}: there is no field {'.'.join(names)}.", hint="Write it: kifabrik ps --json")
        value = value[name]
    return value


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: '{text}' is not a number.", hint="Correct the line, or leave it out.")
    return value


def _positive(text: str, where: str) -> float:
    value = _number(text, where)
    if value <= 0:
        raise UsageError(f"{where}: {text} is not above 0.", hint="Leave out jobs that did not run.")
    if value > _LONGEST:
        raise UsageError(f"{where}: {text} seconds are more than 300 years.", hint="Check the unit.")
    return value


def _count(text: str, where: str) -> float:
    value = _number(text, where)
    if not 1 <= value <= _MOST_GPUS or value != int(value):
        raise UsageError(f"{where}: {text} is not a number of GPUs.", hint="Write a whole number from 1 on.")
    return value


def _time(text: str, where: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        return _number(text, where) if not math.isfinite(seconds) else seconds
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{where}: '{text}' is neither seconds nor a date.", hint="Write it like 2026-11-29T08:00:00."
        ) from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


_READERS: Final[dict[str, Callable[[TextIO, _Rows], None]]] = {
    ".csv": _read_csv,
    ".swf": _read_swf,
    ".json": _read_runs,
}
