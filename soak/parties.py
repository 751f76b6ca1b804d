"""A factory and its customers: folders, commands, and what a person does when a command fails."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from soak.pace import in_time

KIFABRIK = Path(sys.executable).parent / "kifabrik"
PASSPHRASE = "Eisbach-Surfer-2026"
PATIENCE_S = 300.0
UNAVAILABLE = 7
CUT_SHORT = 130
"""Exit status after Ctrl-C."""
NO_ROOM = 8
UNFORESEEN = 1
"""Exit status of an error nobody foresaw."""


def tries():
    """Numbers of the tries a person makes, with growing pauses between them, until patience is at its end.

    By time and not by number: on a busy machine a command runs longer and is killed more often.
    """
    until = time.monotonic() + in_time(PATIENCE_S)
    for number in itertools.count():
        yield number
        pause = min(5.0, 1.0 + number)
        if time.monotonic() + pause > until:
            return
        time.sleep(pause)


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed; a negative status is the signal that killed it."""

    status: int
    out: str
    err: str

    @property
    def interrupted(self):
        """Whether it was killed or cut short, or met a service that is away."""
        return self.status < 0 or self.status in {UNAVAILABLE, CUT_SHORT}

    def short(self):
        """Status and last words."""
        return f"{self.status} {(self.out + self.err)[-400:]}"

    def json(self):
        """The one JSON document on stdout."""
        return json.loads(self.out)


def _before_it_began(said):
    """Whether Ctrl-C met Python itself, before the command's first line ran."""
    return said.status in {-2, CUT_SHORT} and said.err.rstrip().endswith("KeyboardInterrupt")


class Commands:
    """Every command of a customer that runs now, so that one can be killed.

    Args:
        journal: Learns of tracebacks.
    """

    def __init__(self, journal):
        self._journal = journal
        self._lock = threading.Lock()
        self._running = {}
        self.over = threading.Event()

    def run(self, party, words, *, fragile):
        """Run the installed command as a party; a fragile one may be killed meanwhile."""
        words = [str(word) for word in words]
        process = subprocess.Popen(
            [KIFABRIK, *words],
            env=party.environment(),
            cwd=party.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the play, not for whoever plays in it
        )
        if fragile:
            with self._lock:
                self._running[process.pid] = words[:2]
        patience = in_time(PATIENCE_S)
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self._journal.mistake(
                f"kifabrik {' '.join(words[:3])} did not end within {patience:.0f} s: {err[-300:]}"
            )
        finally:
            with self._lock:
                self._running.pop(process.pid, None)
        said = Said(process.returncode, out, err)
        self._journal.count("commands")
        if ("Traceback" in out + err and not _before_it_began(said)) or said.status == UNFORESEEN:
            self._journal.mistake(f"kifabrik {' '.join(words[:3])} broke: {(out + err)[-600:]}")
        return said

    def running(self):
        """Process ids of those that may be killed."""
        with self._lock:
            return list(self._running)


@dataclass
class Party:
    """Whoever owns a folder, and works with the installed command."""

    home: Path
    commands: Commands
    name: str = ""
    member: str = ""

    def environment(self):
        """Variables of its processes."""
        return {**os.environ, "KIFABRIK_HOME": str(self.home), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}

    def kifabrik(self, *words, fragile=True):
        """Run a command once."""
        return self.commands.run(self, words, fragile=fragile)

    def insist(self, *words, expect=(0,), fragile=True):
        """Run a command again and again while it is killed or the factory is away, as a person would."""
        for _ in tries():
            said = self.kifabrik(*words, fragile=fragile)
            if not said.interrupted or said.status in expect or self.commands.over.is_set():
                break
        if said.status not in expect:
            raise UnexpectedError(f"{self.name}: kifabrik {' '.join(map(str, words[:3]))}: {said.short()}")
        return said


class UnexpectedError(Exception):
    """A command ended otherwise than it must."""


@dataclass
class Tenant:
    """A customer: a keyholder and a steward in one folder, an engineer and an auditor in folders of their own.

    Args:
        name: In this play.
        steward: Also holds the keyholder.
        engineer: Orders runs.
        auditor: Reads the ledger.
        keyholder: The service that decides.
        tenant: Its id.
    """

    name: str
    steward: Party
    engineer: Party
    auditor: Party
    keyholder: object
    tenant: str
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held by whoever does something only one steward can do at a time, such as restoring a backup."""

    @property
    def secret(self):
        """File of the passphrase."""
        return self.steward.home / "passphrase.txt"

    @property
    def key_file(self):
        """File the keyholder starts with."""
        return self.steward.home / "keyholder.key"

    def sign(self, *words, **how):
        """Run a command that needs the tenant key."""
        with self.lock:
            return self.steward.insist(*words, "--passphrase-file", self.secret, "--json", **how)
