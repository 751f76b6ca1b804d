"""The records of a run's log, read from what a launcher sealed.

A launcher runs in the factory: its signature says who wrote the records, not that they make sense.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from kifabrik.errors import IntegrityError

_METRIC: Final = "metric"


@dataclass(frozen=True)
class LogLine:
    """One record of a log.

    Args:
        at: Seconds since 1970.
        kind: `out`, `err`, `note` or `metric`.
        text: The line; for a metric `name = value`.
        attempt: Number of the attempt.
        metric: Name of the metric, or empty.
        value: Its value.
        rank: Number of the node that wrote it, from 0.
    """

    at: float
    kind: str
    text: str
    attempt: int
    metric: str = ""
    value: float = 0.0
    rank: int = 0


def read_lines(data: bytes, attempt: int, rank: int = 0) -> Iterator[LogLine]:
    """Yield the records of one opened segment.

    Args:
        data: JSON lines, see `kifabrik.runs.statements.LogSegment`.
        attempt: Number of the attempt.
        rank: Number of the node.

    Raises:
        IntegrityError: A line is not a record.
    """
    for line in data.split(b"\n"):
        if line:
            try:
                yield _line(json.loads(line), attempt, rank)
            except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
                raise IntegrityError("the log holds something else than its launcher should write") from None


def _line(record: dict[str, Any], attempt: int, rank: int) -> LogLine:
    at, kind = float(record["at"]), str(record["kind"])
    if not math.isfinite(at):
        raise ValueError("not a time")
    if kind != _METRIC:
        return LogLine(at, kind, _writable(record["text"]), attempt, rank=rank)
    name, value = _writable(record["name"]), float(record["value"])
    return LogLine(at, kind, f"{name} = {value:g}", attempt, name, value, rank)


def _writable(text: Any) -> str:
    """Return a text without lone surrogates, which JSON can bring in and no terminal can show."""
    return str(text).encode(errors="replace").decode()
