"""Metrics a job reports: JSON lines `{"name": …, "value": …, "step": …}` in the file `$KIFABRIK_METRICS`.

The file is the job's to write, so nothing in it is trusted: what is not a line of that form is left out, which is
noted once, and what lies beyond a limit is not read at all: a file with a hole has any size and costs nothing.
"""

import json
import math
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kifabrik.launcher.journal import Journal, split_lines
from kifabrik.values import format_size

_PAUSE_S: Final = 0.5
_PIECE: Final = 2**20
_LONGEST_NAME: Final = 100
_MOST_NAMES: Final = 10_000
LIMIT_BYTES: Final = 100_000_000
_ODD: Final = 'A metric is a line such as {"name": "auc", "value": 0.9}; lines of another form are left out.'


class MetricsReader:
    """Follows the file of a running job and hands every metric to the journal.

    Args:
        path: The file, which may not be there, or be anything.
        journal: Gets every metric.
        limit: Most bytes that are read; reaching it is noted in the journal.
    """

    def __init__(self, path: Path, journal: Journal, *, limit: int = LIMIT_BYTES) -> None:
        self._path = path
        self._journal = journal
        self._limit = limit
        self._rest = b""
        self._offset = 0
        self._last: dict[str, float] = {}
        self._told = False
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._follow, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._reader.start()

    def close(self) -> Mapping[str, float]:
        """Read to the end; return the last value of each metric. Call it when the job has ended."""
        self._ended.set()
        if self._reader.is_alive():
            self._reader.join()
        self._read()
        return self._last

    def _follow(self) -> None:
        while not self._ended.wait(_PAUSE_S):
            self._read()

    def _read(self) -> None:
        while piece := self._piece():
            self._offset += len(piece)
            lines, self._rest = split_lines(self._rest, piece)
            for line in lines:
                self._take(line)
            if self._offset >= self._limit:
                self._journal.line("note", f"The metrics reached {format_size(self._limit)}; no more are read.")

    def _piece(self) -> bytes:
        if self._offset >= self._limit:
            return b""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            return os.pread(descriptor, min(_PIECE, self._limit - self._offset), self._offset)
        except OSError:
            return b""
        finally:
            os.close(descriptor)

    def _take(self, line: str) -> None:
        try:
            body = json.loads(line)
            name, value, step = str(body["name"]), float(body["value"]), int(body.get("step") or 0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            if line.strip() and not self._told:
                self._told = True
                self._journal.line("note", _ODD)
            return
        if 0 < len(name) <= _LONGEST_NAME and math.isfinite(value):
            if name in self._last or len(self._last) < _MOST_NAMES:
                self._last[name] = value
            self._journal.metric(name, value, step)
