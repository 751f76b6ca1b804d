"""Opened log segments, written by a launcher in the factory, and the metrics file a job writes."""

import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from fuzz.target import Disagreement, Target
from kifabrik.customer.log_lines import read_lines
from kifabrik.errors import IntegrityError
from kifabrik.launcher.metrics import MetricsReader

_ROOM = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - this process's own folder in it
_LIMIT = 2048


class _Kept:
    """Takes what the reader hands on, as a journal does."""

    def metric(self, name: str, value: float, step: int) -> None:
        if not (name and math.isfinite(value)):
            raise Disagreement(f"a metric that is none was handed on: {name!r}")
        json.dumps([name, value, step]).encode()

    def line(self, kind: str, text: str) -> None:
        json.dumps([kind, text]).encode()


def one(data: bytes) -> None:
    """Read the bytes as a metrics file, then as a segment; every line read can be shown."""
    with tempfile.NamedTemporaryFile(dir=_ROOM) as file:
        file.write(data)
        file.flush()
        MetricsReader(Path(file.name), cast("Any", _Kept()), limit=_LIMIT).close()
    for line in read_lines(data, 1):
        f"{line.text} {line.metric}".encode()
        if not math.isfinite(line.at):
            raise Disagreement("a line at no time")


def seeds() -> Iterator[bytes]:
    """Every kind of record."""
    yield b'{"at": 1.5, "kind": "out", "text": "loss 0.1"}\n{"at": 2, "kind": "note", "text": ""}\n'
    yield b'{"at": 2, "kind": "metric", "name": "auc", "value": 0.99, "step": 3}\n'
    yield b'{"name": "auc", "value": 0.99, "step": 3}\n{"name": "loss", "value": 1e400}\n'


TARGET = Target(
    "log segments and metrics",
    one,
    (IntegrityError,),
    seeds,
    (b"NaN", b"1e400", b"Infinity", b"\\ud800", b'"kind":"metric"', b"\n", b"[[[["),
    json=True,
)
