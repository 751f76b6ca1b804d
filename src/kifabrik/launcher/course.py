"""How far an attempt has come: what its steps leave for each other, and what its end is made of."""

from dataclasses import dataclass, field
from typing import Final

from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.control import Control, StopCause
from kifabrik.launcher.ended import Ended
from kifabrik.launcher.gang import Gang
from kifabrik.launcher.journal import Journal
from kifabrik.launcher.lease import AttemptKeys, GrantedLease
from kifabrik.launcher.metering import RunMeter
from kifabrik.launcher.node import Node
from kifabrik.launcher.reporter import Reporter
from kifabrik.runs.states import Outcome
from kifabrik.sandbox.network import RunNetwork
from kifabrik.values import format_time, now_utc

_STOPS: Final = {
    StopCause.STOP: Outcome.STOPPED,
    StopCause.CAP: Outcome.CAP,
    StopCause.PREEMPTION: Outcome.PREEMPTED,
    StopCause.ABANDONED: Outcome.NODE_FAILURE,
    StopCause.DATA: Outcome.INTEGRITY,
    StopCause.NODE: Outcome.STOPPED,
}


@dataclass
class Course:
    """One attempt on one node, under way.

    Args:
        assignment: What to do.
        node: Where.
        control: Says when to stop.
        reporter: Tells the factory how far it is.
        keys: Of the attempt; the lead node's, once several have agreed.
        ended: What is known about the end so far.
        meter: What it uses.
        started: When.
        gang: This node's part among several; None where the order names one node.
        network: Among the nodes, once they have agreed.
        environment: Tree digest of what was built; empty before.
        lease: Once it was granted.
        journal: The sealed log, once there is a lease to seal it to.
    """

    assignment: Assignment
    node: Node
    control: Control
    reporter: Reporter
    keys: AttemptKeys = field(default_factory=AttemptKeys)
    ended: Ended = field(default_factory=Ended)
    meter: RunMeter = field(init=False)
    started: str = field(default_factory=lambda: format_time(now_utc()))
    gang: Gang | None = None
    network: RunNetwork | None = None
    environment: str = ""
    lease: GrantedLease | None = None
    journal: Journal | None = None

    def __post_init__(self) -> None:
        self.meter = RunMeter(self.node.idle_mw)

    @property
    def succeeded(self) -> bool:
        """Whether nothing has gone wrong so far."""
        return self.ended.outcome is Outcome.SUCCEEDED

    def note(self, text: str) -> None:
        """Write a remark of the launcher into the sealed log, if there is one yet."""
        if self.journal is not None:
            self.journal.line("note", text)

    def stopped(self, message: str = "") -> None:
        """Somebody or something has stopped the attempt; of several nodes, what happened on another decides."""
        cause = self.control.cause or StopCause.STOP
        if cause is StopCause.NODE and self.assignment.rank == 0:
            self.ended.fail(*self.control.elsewhere)
        else:
            self.ended.fail(_STOPS[cause], message)
