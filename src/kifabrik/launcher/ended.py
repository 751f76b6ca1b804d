"""How an attempt ended: what decides it, and what the factory may read of it."""

from dataclasses import dataclass, field

from kifabrik.errors import (
    CapacityError,
    IntegrityError,
    KifabrikError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
)
from kifabrik.launcher.attesting import QuoteError
from kifabrik.runs.statements import PublishedMetric
from kifabrik.runs.states import Outcome
from kifabrik.signatures.dsse import Envelope
from kifabrik.transfer.opening import DamagedShardError, MissingShardError


@dataclass
class Ended:
    """What is known about the end so far; the first failure decides."""

    outcome: Outcome = Outcome.SUCCEEDED
    message: str = ""
    exit_status: int | None = None
    outputs: list[Envelope] = field(default_factory=list)
    published: tuple[PublishedMetric, ...] = ()
    checkpoint: str = ""

    def fail(self, outcome: Outcome, message: str) -> None:
        """It did not end well; nothing that goes wrong later changes why."""
        if self.outcome is Outcome.SUCCEEDED:
            self.outcome, self.message = outcome, message


class BuildError(UsageError):
    """The environment cannot be built as ordered: the customer's to mend."""


def outcome_of(error: KifabrikError) -> Outcome:
    """The exit class an error stands for."""
    if isinstance(error, BuildError):
        return Outcome.ENVIRONMENT
    if isinstance(error, RefusedError):
        return Outcome.REFUSED
    if isinstance(error, IntegrityError):
        return Outcome.INTEGRITY
    return Outcome.ERROR if isinstance(error, UsageError | CapacityError) else Outcome.NODE_FAILURE


def for_the_factory(error: KifabrikError) -> str:
    """What the factory may read: messages of errors that happen before anything is opened, else the class.

    A message that is made after the data was opened may quote a path of the job.
    """
    if isinstance(error, BuildError | RefusedError | DamagedShardError | MissingShardError | QuoteError):
        return error.message
    said = {
        IntegrityError: "something did not verify",
        CapacityError: "memory or disk did not suffice",
        NotFoundError: "a sealed object is missing in the store",
        UnavailableError: "the node could not reach the service or its store",
    }
    return said.get(type(error), "the node failed")
