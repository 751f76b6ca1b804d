"""Metrics a job reports: JSON lines `{"name": …, "value": …, "step": …}` in the file `$KIFABRIK_METRICS`.

The file is the job's to write, so nothing in it is trusted: what is not a line of that form is left out.
"""

import json
import math
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kifabrik.launcher.journal import Journal, split_lines

_PAUSE_S: Final = 0.5
_PIECE: Final = 2**20
_LONGEST_NAME: Final = 100


class MetricsReader:
    """Follows the file of a running job and hands every metric to the journal."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self._path = path
        self._journal = journal
        self._rest = b""
        self._offset = 0
        self._last: dict[str, float] = {}
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._follow, name="metrics")

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

    def _piece(self) -> bytes:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            return os.pread(descriptor, _PIECE, self._offset)
        except OSError:
            return b""
        finally:
            os.close(descriptor)

    def _take(self, line: str) -> None:
        try:
            body = json.loads(line)
            name, value, step = str(body["name"]), float(body["value"]), int(body.get("step") or 0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            return
        if 0 < len(name) <= _LONGEST_NAME and math.isfinite(value):
            self._last[name] = value
            self._journal.metric(name, value, step)
