"""What the customers were told and what was done to the processes, written down as it happens.

Every line is on disk before the play goes on: what stands here as acknowledged was acknowledged.
"""

import json
import os
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Ack:
    """Something a customer was told is done: an entry of the log must say so.

    Args:
        tenant: Name of the tenant in this play.
        kind: Of the entry.
        refs: References the entry must have.
    """

    tenant: str
    kind: str
    refs: dict
    at: float = 0.0


@dataclass(frozen=True)
class Harm:
    """Something that was done to a process; `attempt` if it belonged to one."""

    target: str
    signal: str
    pid: int
    attempt: str = ""
    at: float = 0.0


@dataclass
class Journal:
    """Keeps acknowledgements, harms and mistakes; safe for threads.

    Args:
        path: JSON lines.
        started: `time.time()` at the start of the play.
    """

    path: object
    started: float = field(default_factory=time.time)
    acks: list = field(default_factory=list)
    harms: list = field(default_factory=list)
    mistakes: list = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self._lock = threading.Lock()
        self._file = self.path.open("a")

    def ack(self, tenant, kind, **refs):
        """Keep an acknowledgement."""
        self._keep("ack", self.acks, Ack(tenant, str(kind), refs, self._now()))

    def harm(self, target, name, pid, attempt=""):
        """Keep what is about to be done to a process: written before it is done."""
        self._keep("harm", self.harms, Harm(target, name, pid, attempt, self._now()))

    def mistake(self, what):
        """Keep something that is wrong."""
        self._keep("mistake", self.mistakes, what)

    def note(self, what, **more):
        """Keep something worth knowing."""
        with self._lock:
            self._write({"what": "note", "text": what, "at": self._now(), **more})

    def count(self, what):
        """Count something for the report."""
        with self._lock:
            self.counts[what] += 1

    def harmed(self, attempt):
        """Every harm done to processes of an attempt."""
        with self._lock:
            return [harm for harm in self.harms if attempt and harm.attempt == attempt]

    def close(self):
        """Close the file."""
        self._file.close()

    def _keep(self, what, where, value):
        with self._lock:
            where.append(value)
            said = {"text": value, "at": self._now()} if isinstance(value, str) else asdict(value)
            self._write({"what": what, **said})

    def _write(self, said):
        self._file.write(json.dumps(said, default=str) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _now(self):
        return round(time.time() - self.started, 1)
