"""The line that tells how it goes, and the page at the end."""

import os
import sys
import threading
import time
from collections import Counter

from kifabrik.runs.states import RunState, is_end

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
EVERY_S = 1.0 if sys.stdout.isatty() else 15.0
SIGNS = {
    RunState.SUCCEEDED: ("32", "✓"),
    RunState.FAILED: ("31", "✗"),
    RunState.STOPPED: ("33", "■"),
    RunState.REFUSED: ("35", "⊘"),
}


def paint(code, text):
    """Colour for a terminal."""
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def say(text):
    """Print a line at once, over the line of progress."""
    print(f"\r\033[K{text}" if COLOUR else text, flush=True)


class Progress:
    """Tells every moment how it goes.

    Args:
        journal: Counts.
        watches: See the runs.
        wanted: Runs to be ordered.
    """

    def __init__(self, journal, watches, wanted):
        self._journal = journal
        self._watches = watches
        self._wanted = wanted
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)
        self._thread.start()

    def stop(self):
        """Tell no more."""
        self._over.set()
        self._thread.join()
        print(flush=True)

    def line(self):
        """How it goes now."""
        states = Counter(view.state for watch in self._watches for view in watch.views().values())
        ended = sum(count for state, count in states.items() if is_end(state))
        parts = [f"{clock(time.time() - self._journal.started)}  {ended}/{max(self._wanted, states.total())} runs"]
        parts += [paint(code, f"{sign} {states[state]}") for state, (code, sign) in SIGNS.items() if states[state]]
        parts.append(f"▸ {states.total() - ended}")
        harms = sum(count for what, count in self._journal.counts.items() if what.startswith("harm "))
        parts.append(f"{harms} processes hit")
        parts.append(f"{len(self._journal.acks)} acknowledged")
        if self._journal.mistakes:
            parts.append(paint("1;31", f"{len(self._journal.mistakes)} WRONG"))
        return "  ".join(parts)

    def _tell(self):
        while not self._over.wait(EVERY_S):
            print(f"\r\033[K{self.line()}" if COLOUR else self.line(), end="" if COLOUR else "\n", flush=True)


def clock(seconds):
    """Minutes and seconds."""
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"


def page(journal, ordered, views, services, waits, takeovers=0):
    """The report as lines for a person.

    Args:
        journal: What was done and found.
        ordered: Runs the scenes ordered.
        views: Every run by id.
        services: All that ran all the time.
        waits: Mean seconds from order to first attempt, by tenant.
        takeovers: How often another process began to drive the runs.
    """
    counts = journal.counts
    kinds = Counter(one.kind.rstrip("0123456789") for one in ordered)
    states = Counter(str(view.state) for view in views.values())
    harms = {
        what.removeprefix("harm "): count for what, count in journal.counts.items() if what.startswith("harm ")
    }
    yield ""
    yield paint("1", "runs        ") + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    yield paint("1", "mixed of    ") + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield (
        paint("1", "processes   ") + ", ".join(f"{count} {what}" for what, count in sorted(harms.items())) + " hit"
    )
    if counts["told of outages"] or takeovers:
        yield paint("1", "outages     ") + (
            f"{counts['told of outages']} commands met one and said what to do; "
            f"a process took over the driving {takeovers} times"
        )
    yield paint("1", "restarts    ") + ", ".join(f"{one.name} {one.starts - 1}" for one in services)
    yield (
        paint("1", "waited      ")
        + ", ".join(f"{name} {wait:.1f} s" for name, wait in waits.items())
        + " on average"
    )
    yield paint("1", "customers   ") + (
        f"{counts['commands']} commands, {counts['acknowledgements in the log']} of {len(journal.acks)} "
        f"acknowledgements in the log, {counts['results right']} results right byte by byte, "
        f"{counts['continued']} runs went on from a checkpoint"
    )
    yield paint("1", "afterwards  ") + (
        f"{counts['keyholders sound']} keyholders sound, {counts['ledgers verified']} copies of ledgers verified, "
        f"{counts['admin checks passed']} checks of the factory passed, {counts['backups whole']} backups whole"
    )
    for sentence in journal.mistakes:
        yield paint("1;31", "WRONG       ") + sentence
    if not journal.mistakes:
        yield (
            paint("1;32", "✓ ")
            + "Database, objects, ledger, engine and machine agree; nothing was left, nothing was lost."
        )
