"""What a recipe says while it runs as a job: lines of progress, and metrics for who may open the sealed log."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kifabrik.errors import KifabrikError

_STEPS: Final = 10
"""Lines of progress for each piece of work: a log has no bar."""


def say(text: str) -> None:
    """Print a line at once, whole even where several threads do."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def attempt(work: Callable[[], None]) -> int:
    """Do the work of a job and return its exit status; what went wrong is a sentence in the log."""
    try:
        work()
    except KifabrikError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error.message}{hint}\n")
        return 1
    return 0


def report(name: str, value: float) -> None:
    """Append a metric to the file that `KIFABRIK_METRICS` names; nothing happens without one."""
    path = os.environ.get("KIFABRIK_METRICS")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, "value": value}) + "\n")


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Print a line each time another tenth is done, or, without a total, each time the count has doubled."""
    begun, done, shown = time.monotonic(), 0, 0

    def count(finished: int) -> None:
        nonlocal done, shown
        done += finished
        spent = max(time.monotonic() - begun, 1e-9)
        if total is None:
            if done >= max(1000, 2 * shown):
                shown = done
                say(f"{what}: {done:,}, {done / spent:,.0f} a second")
        elif done * _STEPS // total > shown:
            shown = done * _STEPS // total
            left = spent * (total - done) / done
            say(f"{what}: {done:,} of {total:,}, {done / spent:,.3g} a second, {left:,.0f} s left")

    yield count


def cores() -> int:
    """Cores this run has asked for; those of this machine where nobody says."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
