"""The job itself: its room, its metrics and checkpoints, the judgement of its end, its outputs sealed.

Invariants:
- a job whose environment was touched between its check and its end has put out nothing;
- what several nodes put out comes from the first, and only if all have ended well;
- checkpoints are sealed a last time only where another attempt may go on from them.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from kifabrik.client.attempts import Attempts
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.launcher.control import StopCause
from kifabrik.launcher.course import Course
from kifabrik.launcher.ended import for_the_factory, outcome_of
from kifabrik.launcher.execution import GRACE_S, METRICS_FILE, Executed, execute, outside_path, room_for
from kifabrik.launcher.gpus import device_files
from kifabrik.launcher.journal import Journal
from kifabrik.launcher.keeper import CheckpointKeeper
from kifabrik.launcher.lease import GrantedLease
from kifabrik.launcher.metrics import MetricsReader
from kifabrik.launcher.outputs import OutputSealer
from kifabrik.launcher.staging import CHECKPOINT, StagedRun
from kifabrik.launcher.store import NodeStore
from kifabrik.launcher.streaming import Faults
from kifabrik.launcher.watched import WatchedEnvironment
from kifabrik.launcher.work import VerifiedWork
from kifabrik.runs.statements import PublishedMetric
from kifabrik.runs.states import Outcome, RunState
from kifabrik.sandbox.memory import PrivateMounts
from kifabrik.sandbox.running import RunningRoom
from kifabrik.sandbox.uids import RunUid
from kifabrik.seals.recipients import Recipient
from kifabrik.values import now_utc, parse_time


class Program:
    """Runs the job of one attempt.

    Args:
        course: With its lease granted and its log open.
        work: Verified.
        api: Client of this attempt.
        store: Where outputs and checkpoints go; closed to end reads that hold a killed job.
        faults: What went wrong while streamed data was read.
        spool: Folder for outputs while they are sealed.
        on_start: Given the room once the job runs.
    """

    def __init__(
        self,
        course: Course,
        work: VerifiedWork,
        api: Attempts,
        store: NodeStore,
        faults: Faults,
        spool: Path,
        *,
        on_start: Callable[[RunningRoom], None],
    ) -> None:
        self._course = course
        self._work = work
        self._api = api
        self._store = store
        self._faults = faults
        self._spool = spool
        self._on_start = on_start

    def run(
        self,
        lease: GrantedLease,
        journal: Journal,
        staged: StagedRun,
        environment: WatchedEnvironment,
        mounts: PrivateMounts,
        owner: RunUid,
    ) -> None:
        """Run the job to its end, judge it, and seal what it was to put out.

        Args:
            lease: Names whom outputs are sealed to, and until when.
            journal: The sealed log.
            staged: Data, code and checkpoint.
            environment: As it was checked.
            mounts: This process's own mounts.
            owner: The run's user.

        Raises:
            IntegrityError: The environment was changed.
        """
        course, work = self._course, self._work
        sealer = OutputSealer(
            work.order.predicate.tenant,
            work.run,
            Recipient.from_text(lease.statement.predicate.output_recipient),
            course.keys.run_key,
            self._store,
            self._spool,
        )
        metrics = MetricsReader(staged.scratch / outside_path(METRICS_FILE), journal)
        keeper = CheckpointKeeper(self._api, sealer, staged.scratch, CHECKPOINT, work.checkpoint, journal)
        cap_at = self._cap_at(lease)
        gpus = device_files(course.assignment.gpus)
        with ExitStack() as failed:
            failed.callback(keeper.close, needed=False)
            failed.callback(metrics.close)
            environment.require_unchanged()
            executed = execute(
                room_for(staged, work, environment.built, gpus, course.network),
                mounts,
                owner,
                journal=journal,
                control=course.control,
                cap_at=cap_at,
                on_start=lambda room: self._started(room, metrics, keeper),
                before_killing=lambda: self._end_reads(staged),
            )
            course.meter.stop(executed.report)
            environment.require_unchanged()
            failed.pop_all()
        values = metrics.close()
        self._judge(executed)
        if course.assignment.rank:
            return  # what the run puts out comes from its first node
        self._await_others(cap_at)
        if staged.job.checkpoint:
            keeper.close(needed=not course.succeeded)
            course.ended.checkpoint = keeper.last
        course.ended.published = tuple(
            PublishedMetric(name, values[name]) for name in sorted(work.order.predicate.publish) if name in values
        )
        self._seal_outputs(staged, sealer)

    def _started(self, room: RunningRoom, metrics: MetricsReader, keeper: CheckpointKeeper) -> None:
        self._on_start(room)
        order = self._work.order.predicate
        self._course.meter.start(order.resources, self._course.assignment.gpus, lambda: room.usage().cpu_ns)
        self._course.reporter.tell(RunState.RUNNING)
        metrics.start()
        if order.checkpoint and self._course.assignment.rank == 0:
            keeper.start()

    def _end_reads(self, staged: StagedRun) -> None:
        self._store.close()
        staged.abort()

    def _cap_at(self, lease: GrantedLease) -> float:
        expiry = parse_time(lease.statement.predicate.expires) - now_utc()
        return time.monotonic() + min(self._work.cap_s, expiry.total_seconds())

    def _judge(self, executed: Executed) -> None:
        ended = self._course.ended
        ended.exit_status = executed.report.status
        fault = self._faults.first
        if fault is not None and executed.stopped is StopCause.DATA:
            ended.fail(outcome_of(fault), for_the_factory(fault))
        elif executed.stopped is not None:
            self._course.stopped()
        elif executed.report.oom:
            ended.fail(Outcome.OUT_OF_MEMORY, "")
        elif executed.report.status != 0:
            ended.fail(Outcome.ERROR, "")

    def _await_others(self, cap_at: float) -> None:
        """A run on several nodes has ended well when it has on each."""
        course = self._course
        if course.gang is None:
            return
        if not course.succeeded:
            course.gang.fail(course.ended.outcome, course.ended.message)
        elif not course.gang.others_ended(cap_at + GRACE_S):
            if course.control.cause is None:
                course.ended.fail(Outcome.CAP, "a node did not end in time")
            else:
                course.stopped()

    def _seal_outputs(self, staged: StagedRun, sealer: OutputSealer) -> None:
        """Seal the declared outputs of a job that ended well."""
        course = self._course
        if not course.succeeded:
            return
        if staged.job.outputs:
            course.reporter.tell(RunState.SEALING)
        for number, (name, path) in enumerate(staged.job.outputs.items(), 1):
            try:
                envelope = sealer.seal_output(staged.scratch, outside_path(path), number, name)
            except (NotFoundError, UsageError) as error:
                course.note(f"The output {name!r} ({path}) cannot be kept: {error.message}")
                course.ended.fail(Outcome.ERROR, f"declared output {number} is missing or cannot be sealed")
                return
            course.ended.outputs.append(envelope)
