"""Launchers as jobs of a Slurm cluster, each as the tenant's own Unix user.

A job is named after its attempt and the number of the try (`a-….1`); tasks of a sweep are one array, whose name
(`kf-…`) and task numbers give the ids of their attempts. Its script starts, by `srun` on each of
its nodes, a stub that asks the node's agent for the launcher; what that needs, the agent claims from the factory.

Invariants:
- all jobs are looked at in one `squeue`, of which what has changed is read, and one alone when a node claims it;
  accounting is asked only for attempts that the queue has let go of;
- Slurm requeues nothing by itself: whether an attempt is followed by another is judged in one place, the factory;
- a script holds no secret: slurmctld keeps it, and its operator can read it;
- a run whose grants ask for attested nodes is put on nodes with a TPM where the operator has named their feature:
  which nodes get keys is the keyholder's to decide, this saves a refusal.
"""

import logging
import shlex
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from kifabrik.engines.slurm.account_plan import unix_user
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.fates import fate_of
from kifabrik.engines.slurm.job_facts import JobFacts, JobKey
from kifabrik.engines.slurm.known_jobs import KnownJobs, newest_of
from kifabrik.engines.slurm.power import limit_power
from kifabrik.engines.slurm.queue_view import Form, QueueView
from kifabrik.engines.slurm.script import Submission, earlier, gpu_arguments, spans, with_feature
from kifabrik.engines.slurm.states import Phase
from kifabrik.engines.slurm.submission import Submitter
from kifabrik.errors import KifabrikError, UnavailableError
from kifabrik.factory.engine import Fate, Life, Task
from kifabrik.runs.states import Outcome
from kifabrik.values import Resources

LAUNCHER_BYTES: Final = 384 * 2**20
"""What a launcher and the room's own processes take of a job's memory, beside the run: 150 MB measured, and what
is on its way to the store."""

_logger = logging.getLogger(__name__)
_CLOCKS_APART: Final = timedelta(hours=1)
"""How far the cluster's clock may be behind the factory's, at most."""
_NEEDS_ATTESTED: Final = "It needs attested nodes (feature {feature}), as a grant asks for them."


@dataclass(frozen=True)
class SlurmSettings:
    """How jobs are made.

    Args:
        stub: Program and arguments that a job runs on each of its nodes; the attempt's id is added.
        output: File of what a job says beside its run: faults of the node, never a word of the customer's.
        partition: Where an order names none; empty for Slurm's default.
        attested: Feature of the nodes that have a TPM; empty where orders themselves name nodes for that.
    """

    stub: tuple[str, ...]
    output: str = "/dev/null"
    partition: str = ""
    attested: str = ""


class SlurmEngine:
    """Implements `kifabrik.factory.engine.Cluster`.

    Args:
        commands: Slurm's.
        settings: How jobs are made.
        tenants: All tenants of the factory; only their users' jobs are looked at.
        asks_attested: Whether a grant asks for attested nodes, for a tenant's run.
        form: How Slurm is asked to write of its jobs.
    """

    def __init__(
        self,
        commands: SlurmCommands,
        settings: SlurmSettings,
        tenants: Callable[[], Sequence[str]],
        asks_attested: Callable[[str, str], bool] = lambda _tenant, _run: False,
        form: Form = Form.TEXT,
    ) -> None:
        self._asks_attested = asks_attested
        self._commands = commands
        self._view = QueueView(commands, form)
        self._submitter = Submitter(commands, self._view)
        self._settings = settings
        self._tenants = tenants
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._jobs = KnownJobs()
        self._ended: dict[str, JobFacts] = {}
        """Last known of attempts the queue has let go of, until they are forgotten."""
        self._numbers: dict[str, JobKey] = {}
        """Jobs the queue let go of before it showed their end, by attempt: accounting is asked for them alone."""
        self._forgotten: set[str] = set()
        """Attempts nobody asks about any more, though the queue still shows what it ended lately (MinJobAge)."""
        self._refused: dict[str, Fate] = {}
        self._power = ""
        """Why jobs wait for power; empty if power limits nothing."""

    def serves(self, node: str) -> bool:  # noqa: ARG002 - where a run goes is Slurm's choice
        """Whether it could place a run on this node: Slurm decides, so never by name."""
        return False

    def user_of(self, tenant: str) -> str:
        """The Unix user a tenant's jobs belong to."""
        return unix_user(tenant)

    def submit(self, task: Task) -> None:
        """Hand an attempt to Slurm, once.

        What Slurm refuses is this attempt's fate: asking again would be refused again.

        Raises:
            UnavailableError: Slurm does not answer.
        """
        self._refuse([task], self._hand_over(task))

    def submit_array(self, tasks: Sequence[Task]) -> None:
        """Hand attempts over as one array of jobs, once; one by one where Slurm refuses the array.

        An array can be larger than Slurm (MaxArraySize) or what is left of a limit allows.

        Raises:
            UnavailableError: Slurm does not answer.
        """
        refused = self._hand_over(tasks[0], tasks)
        for number, task in enumerate(tasks if refused else ()):
            refused = self._hand_over(task)
            if refused:
                self._refuse(tasks[number:], refused)
                return

    def _hand_over(self, task: Task, tasks: Sequence[Task] = ()) -> Fate | None:
        """Submit an attempt, or an array that begins with it; why Slurm refuses it, if it does."""
        name = task.array if tasks else f"{task.attempt}.{task.submits}"
        partition = task.slurm.partition or self._settings.partition
        spare_s = max(one.spare_s for one in tasks or [task])
        array, sooner = spans([one.index for one in tasks]), earlier(task.slurm.signal, spare_s)
        feature = self._feature(tasks or [task])
        try:
            options = replace(
                task.slurm,
                requeue=False,
                partition=partition,
                array=array,
                signal=sooner,
                constraint=with_feature(task.slurm.constraint, feature),
            )
            submission = Submission(
                name=name,
                resources=_of_a_job(task),
                limit_s=task.limit_s,
                options=options,
                account=task.tenant,
                output=self._settings.output,
                comment=task.sweep or (f"{len(tasks)} runs" if tasks else task.run),
            )
            script = self._script(task, task.array if tasks else task.attempt)
            self._submitter.submit(submission, script, unix_user(task.tenant), first=task.submits == 1)
        except UnavailableError:
            raise
        except KifabrikError as error:
            besides = _NEEDS_ATTESTED.format(feature=feature) if feature else ""
            return Fate(f"{error.message}. {error.hint} {besides}".strip(), Outcome.NOT_TAKEN)
        return None

    def _feature(self, tasks: Sequence[Task]) -> str:
        """What all nodes of a job must have for the grants of its runs; tasks of a sweep have the same."""
        if not self._settings.attested:
            return ""
        differing = tasks[:1] if tasks[0].sweep else tasks
        asked = any(self._asks_attested(one.tenant, one.run) for one in differing)
        return self._settings.attested if asked else ""

    def _refuse(self, tasks: Sequence[Task], fate: Fate | None) -> None:
        if fate:
            with self._lock:
                self._refused |= {task.attempt: fate for task in tasks}

    def poll(self) -> Mapping[str, Life]:
        """Every attempt with a job in the queue, alive or ended lately.

        Raises:
            UnavailableError: slurmctld does not answer: nothing is known, nobody is gone.
        """
        self._look()
        with self._lock:
            return {name: life for name, life in self._jobs.lives.items() if name not in self._forgotten}

    def waiting(self) -> Mapping[str, str]:
        """Why attempts wait that the last look has seen waiting; accounting is not asked."""
        with self._lock:
            jobs = {name: self._jobs.newest(name) for name in self._jobs.lives}
        waiting = {name: job for name, job in jobs.items() if job and job.phase is Phase.WAITING}
        return {name: fate_of(job, self._power).sentence for name, job in waiting.items()}

    def fates(self, attempts: Collection[str], since: datetime) -> Mapping[str, Fate]:
        """How Slurm ended attempts, or why they wait; asks accounting for those the queue has let go of.

        Args:
            attempts: Attempt ids.
            since: When the oldest of them was handed over.

        An attempt that is left out can be anything: accounting does not answer, or has not heard of its end.
        """
        with self._lock:
            known = {name: self._refused[name] for name in attempts if name in self._refused}
            jobs = {name: self._jobs.newest(name) or self._ended.get(name) for name in attempts}
        known |= {name: fate_of(job, self._power) for name, job in jobs.items() if job and name not in known}
        return {**known, **self._recalled([name for name in attempts if name not in known], since)}

    def _recalled(self, attempts: Collection[str], since: datetime) -> Mapping[str, Fate]:
        """What accounting says of attempts; an empty fate for those it never heard of."""
        if not attempts:
            return {}
        try:
            newest = self._remembered(attempts, since - _CLOCKS_APART)
        except UnavailableError as error:
            _logger.warning("how %d attempts ended is not known yet: %s", len(attempts), error.message)
            return {}
        ended = {name: job for name, job in newest.items() if job.phase is Phase.ENDED}
        with self._lock:
            self._ended |= ended
            # Accounting may be late, or take a job for running for good (sacctmgr(1), runawayjobs).
            self._numbers |= {name: job.key for name, job in newest.items() if name not in ended}
        unheard = {name: Fate() for name in attempts if name not in newest}
        return unheard | {name: fate_of(job) for name, job in ended.items()}

    def _remembered(self, attempts: Collection[str], since: datetime) -> Mapping[str, JobFacts]:
        """Newest job of each attempt that accounting knows.

        Of attempts whose job was never seen, it is asked for all jobs of the tenants since then, not for names:
        slurmdbd compares each record with each name, and tasks of an array are not named after their attempts.
        """
        with self._lock:
            numbers = {name: self._numbers[name] for name in attempts if name in self._numbers}
        found = newest_of(self._view.remembered(numbers.values(), since), numbers) if numbers else {}
        others = {name for name in attempts if name not in found}
        return found | (newest_of(self._view.since(since, self._users()), others) if others else {})

    def holds(self, attempt: str, job: int, user: str, node: str) -> bool:
        """Whether Slurm has given a node to this attempt's job.

        Raises:
            UnavailableError: slurmctld does not answer.
        """
        if self._seen(attempt, job, user, node):
            return True
        with self._looking:  # the other nodes of a gang come at the same time, and are served by the same look
            if self._seen(attempt, job, user, node):
                return True
            found = self._view.one(job, user)
            with self._lock:
                self._jobs.add(found)
        return self._seen(attempt, job, user, node)

    def kill(self, attempt: str) -> None:
        """Cancel an attempt's jobs; one that has ended is fine."""
        self.kill_all([attempt])

    def limit_power(self, share: float, reason: str) -> None:
        """Limit what all tenants hold together, and say so of the jobs that wait for it."""
        limit_power(self._commands, share)
        self._power = f"Waits for power. {reason}" if share < 1 else ""

    def kill_all(self, attempts: Collection[str]) -> None:
        """Cancel the jobs of attempts, as they were in the last look; those that have ended are fine."""
        with self._lock:
            jobs = [job for name in attempts for job in self._jobs.of(name)]
        self._submitter.cancel(*(job.key for job in jobs if job.phase is not Phase.ENDED))

    def forget(self, attempt: str) -> None:
        """Drop what is kept of an attempt; Slurm drops its own trace by itself, some minutes later."""
        with self._lock:
            self._ended.pop(attempt, None)
            self._numbers.pop(attempt, None)
            self._refused.pop(attempt, None)
            if attempt in self._jobs.lives:
                self._forgotten.add(attempt)

    def _users(self) -> list[str]:
        return [unix_user(tenant) for tenant in self._tenants()]

    def _look(self) -> None:
        users = self._users()
        if not users:
            return
        changes = self._view.changes(users)
        with self._lock:
            left = self._jobs.apply(changes)
            gone = {name: job for name, job in left.items() if name not in self._forgotten}
            self._ended |= {name: job for name, job in gone.items() if job.phase is Phase.ENDED}
            self._numbers |= {name: job.key for name, job in gone.items() if job.phase is not Phase.ENDED}
            self._forgotten -= left.keys()

    def _seen(self, attempt: str, number: int, user: str, node: str) -> bool:
        with self._lock:
            jobs = self._jobs.of(attempt)
        return any(
            (job.raw, job.user, job.phase) == (number, user, Phase.RUNNING) and node in job.nodes for job in jobs
        )

    def _script(self, task: Task, named: str) -> str:
        resources = task.demand.resources
        words = ["srun", "--kill-on-bad-exit=1", "--quiet", f"--cpus-per-task={resources.cpus}"]
        before = ""
        if task.slurm.exclusive:  # such a job is given all GPUs of its nodes, the run those it has ordered
            words += gpu_arguments(resources) or ["--gres=none"]
            before = "unset SLURM_JOB_GPUS\n"
        return f"#!/bin/sh\n{before}exec {shlex.join([*words, *self._settings.stub, named])}\n"


def _of_a_job(task: Task) -> Resources:
    """What a job asks for on each node: the run's share, its opened data and its launcher."""
    return replace(task.demand.resources, memory_bytes=task.demand.memory_bytes + LAUNCHER_BYTES, disk_bytes=0)
