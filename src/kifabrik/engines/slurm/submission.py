"""Hands a run to Slurm once, whatever gets lost on the way.

Invariants:
- a job of a run's deterministic name and user is that run: before anything is submitted again, queue and accounting
  are asked for it, and both must answer;
- one that Slurm refused was never accepted, one without an answer may have been: only the second is looked for;
- cancelling what is gone is fine.

slurmctld writes its queue down up to five seconds after it has answered. A controller that dies in between forgets
the job, though it gave a number: such a job is `lost` in `QueueView.look`, and `submit` may be called again.
"""

from contextlib import suppress
from typing import Final

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.job_facts import JobKey
from kifabrik.engines.slurm.queue_view import QueueView
from kifabrik.engines.slurm.script import Submission, arguments
from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, UnavailableError

_PIECE: Final = 1_000
"""Jobs of one `scancel`."""


class Submitter:
    """Submits and cancels.

    Args:
        commands: Slurm's.
        view: Looks for jobs by name.
    """

    def __init__(self, commands: SlurmCommands, view: QueueView) -> None:
        self._commands = commands
        self._view = view

    def submit(self, submission: Submission, script: str, user: str, *, first: bool = True) -> int:
        """Submit a run as a Unix user and return its job number.

        Args:
            submission: What to ask for.
            script: The batch script; it is kept by slurmctld and readable by its operator, so it holds no secret.
            user: Unix user it runs as.
            first: Whether it was never tried; False looks for the job of an earlier try before anything else.

        Raises:
            UnavailableError: Slurm does not answer; try again with `first=False`.
            KifabrikError: Slurm refuses it, and it was not accepted.
        """
        if not first:
            found = self.find(submission.name, user)
            if found is not None:
                return found
        try:
            answer = self._commands.run("sbatch", *arguments(submission), user=user, stdin=script)
        except UnavailableError:
            # No answer is not a no: it may have been accepted.
            found = self.find(submission.name, user)
            if found is None:
                raise
            return found
        number = answer.strip().partition(";")[0]
        if not number.isdigit():
            raise IntegrityError(f"sbatch answered {answer.strip()[:80]!r} instead of a job number")
        return int(number)

    def find(self, name: str, user: str) -> int | None:
        """Return the number of the run's job, in whatever state it is, or None if it was never accepted.

        Raises:
            UnavailableError: Queue or accounting does not answer, so nothing can be said.
        """
        return max((job.key.job for job in self._view.named(name, user)), default=None)

    def cancel(self, *jobs: JobKey | int) -> None:
        """End jobs with all their tasks, or single tasks; those that have ended are fine.

        Raises:
            UnavailableError: Slurm does not answer.
        """
        for first in range(0, len(jobs), _PIECE):
            # One that is gone is no obstacle to those named behind it.
            with suppress(NotFoundError, ConflictError):
                self._commands.run("scancel", "--quiet", *map(str, jobs[first : first + _PIECE]))
