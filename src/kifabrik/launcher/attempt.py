"""One attempt, step by step: build, ask, open, run, seal, report."""

import errno
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from types import MappingProxyType
from typing import Final

from kifabrik import __version__
from kifabrik.client.attempts import Attempts
from kifabrik.client.connection import Connection
from kifabrik.client.leases import Leases
from kifabrik.client.logs import Log
from kifabrik.client.objects import Objects
from kifabrik.environments.build import BuiltEnvironment, build, discard
from kifabrik.errors import (
    ConflictError,
    KifabrikError,
    NotFoundError,
    UsageError,
)
from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.attesting import Attester
from kifabrik.launcher.cache import reachable_cache
from kifabrik.launcher.care import Scrub
from kifabrik.launcher.control import Control, StopCause
from kifabrik.launcher.ended import BuildError, Ended, for_the_factory, outcome_of
from kifabrik.launcher.execution import GRACE_S, METRICS_FILE, Executed, execute, outside_path, room_for
from kifabrik.launcher.folder import claimed_folder
from kifabrik.launcher.gang import Gang
from kifabrik.launcher.gpu_scrub import GpuScrubber
from kifabrik.launcher.gpus import device_files, held_gpus
from kifabrik.launcher.journal import Journal
from kifabrik.launcher.keeper import CheckpointKeeper
from kifabrik.launcher.lease import (
    AttemptKeys,
    GrantedLease,
    LeaseRefusedError,
    alone,
    obtain,
    said_of,
    sign_request,
)
from kifabrik.launcher.metering import RunMeter
from kifabrik.launcher.metrics import MetricsReader
from kifabrik.launcher.node import Node
from kifabrik.launcher.outputs import OutputSealer
from kifabrik.launcher.reporter import Reporter
from kifabrik.launcher.staging import CHECKPOINT, StagedRun, Stager
from kifabrik.launcher.store import node_store
from kifabrik.launcher.streaming import Faults, Streamer
from kifabrik.launcher.watched import WatchedEnvironment
from kifabrik.launcher.work import VerifiedWork, verify_work
from kifabrik.models.provenance import Ran, sign_provenance
from kifabrik.runs.statements import Finish, NodeEnded, PublishedMetric
from kifabrik.runs.states import Outcome, RunState
from kifabrik.sandbox.memory import PrivateMounts
from kifabrik.sandbox.network import RunNetwork
from kifabrik.sandbox.running import RunningRoom
from kifabrik.sandbox.slurm_groups import slurm_place
from kifabrik.sandbox.uids import RunUid, claim_uid
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import sign_statement
from kifabrik.transfer.ranges import RangeCache
from kifabrik.values import format_time, now_utc, parse_time
from kifabrik.wire.attempts import Finished
from kifabrik.wire.leases import LeaseView

_PATIENCE_S: Final = 3600.0
"""A service that is away for an hour loses no run."""
_MOST_LOOKS: Final = 5
_STOPS: Final = {
    StopCause.STOP: Outcome.STOPPED,
    StopCause.CAP: Outcome.CAP,
    StopCause.PREEMPTION: Outcome.PREEMPTED,
    StopCause.ABANDONED: Outcome.NODE_FAILURE,
    StopCause.DATA: Outcome.INTEGRITY,
    StopCause.NODE: Outcome.STOPPED,
}


class AttemptRunner:
    """Works on one assignment from beginning to end.

    Args:
        assignment: What to do.
        node: Where.
        mounts: This process's own mounts.
    """

    def __init__(self, assignment: Assignment, node: Node, mounts: PrivateMounts) -> None:
        self._assignment = assignment
        self._node = node
        self._mounts = mounts
        connection = Connection(
            assignment.factory, assignment.token, ca_pem=assignment.ca_pem, patience_s=_PATIENCE_S
        )
        self._api = Attempts(connection, assignment.attempt, assignment.rank)
        self._leases = Leases(connection)
        self._cosigned = Log(connection).cosigned
        self._folder = node.runs / assignment.attempt
        objects = Objects(connection)
        ranges = RangeCache(objects.read, self._folder / "blocks", node.block_cache, patience_s=_PATIENCE_S)
        self._store = node_store(objects, ranges, node.objects, assignment.tenant)
        self._control = Control(self._api)
        self._reporter = Reporter(self._api, speaks=assignment.rank == 0)
        self._faults = Faults(self._on_fault)
        self._keys = AttemptKeys()
        self._started = format_time(now_utc())
        self._meter = RunMeter()
        self._ended = Ended()
        self._gang: Gang | None = None
        self._network: RunNetwork | None = None
        self._lease: GrantedLease | None = None
        self._journal: Journal | None = None
        self._environment = ""
        self._room: RunningRoom | None = None

    def give_way(self) -> None:
        """Stop with a checkpoint, since the node is needed for something else."""
        self._control.stop(StopCause.PREEMPTION)

    def pass_on(self, number: int) -> None:
        """Send a signal to the job, if it runs."""
        if self._room is not None:
            self._room.send(number)

    def run(self) -> int:
        """Do everything; what goes wrong is reported to the factory, not raised, as far as it can be.

        Returns:
            0 if the program succeeded, else its exit status, or 1.
        """
        work = verify_work(self._assignment.tenant, self._api.work())
        self._control.start()
        with ExitStack() as cleanup:
            cleanup.enter_context(claimed_folder(self._folder.parent, self._folder.name))
            cleanup.callback(self._control.close)
            cleanup.callback(self._reporter.close)
            try:
                with ExitStack() as opened:  # closed before the end is reported, which may take an hour
                    self._attempt(work, opened)
            except KifabrikError as error:
                self._ended.fail(outcome_of(error), for_the_factory(error))
                if self._journal is not None:
                    self._journal.line("note", f"{error.message} {error.hint}".strip())
            except Exception as error:  # noqa: BLE001 - the factory must hear of every end
                # What it says may quote names and content of the job: it belongs in the sealed log alone.
                full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
                self._ended.fail(Outcome.NODE_FAILURE, "the node's disk is full" if full else "the node failed")
                if self._journal is not None:
                    self._journal.line("note", f"The launcher failed: {type(error).__name__}: {error}")
            if self._gang is None:
                self._finish(work)
            else:
                self._finish_together(work, self._gang)
        return 0 if self._ended.outcome is Outcome.SUCCEEDED else self._ended.exit_status or 1

    def _gang_for(self, work: VerifiedWork) -> Gang | None:
        """This node's part among several; nothing if the order names one."""
        if work.order.predicate.resources.nodes == 1 and self._assignment.rank == 0:
            return None
        say = partial(self._reporter.tell, RunState.WAITING_FOR_KEY)
        show = self._attester(work).show
        return Gang(self._assignment, self._node, self._api, self._leases, self._control, say, show, self._keys)

    def _attempt(self, work: VerifiedWork, opened: ExitStack) -> None:
        """Build, ask, open, run, seal; what lies in memory in plaintext goes with `opened`."""
        self._gang = self._gang_for(work)
        environment = self._build(work)
        opened.enter_context(self._gpus())
        lease = self._obtain(work, environment.built)
        if lease is None:
            self._stopped("stopped before it began")
            return
        self._lease = lease
        rank, run_key = self._assignment.rank, self._keys.run_key
        self._journal = Journal.open(self._api, lease.statement, run_key, rank=rank, on_lost=self._on_lost)
        owner = opened.enter_context(claim_uid(self._node.care.uids))
        streamer = None
        if work.streamed:
            inputs = len(work.inputs)
            streamer = Streamer(self._mounts, owner, self._store, self._faults, inputs=inputs)
        stager = Stager(self._folder, self._mounts, self._keys.identity, lease, self._store, streamer=streamer)
        opened.callback(stager.release)
        opened.callback(self._store.close)
        staged = stager.stage(work)
        if self._gang is not None and not self._gang.start_together():
            self._stopped("stopped before it began")
            return
        self._execute(work, staged, environment, owner)

    def _stopped(self, message: str) -> None:
        """Somebody or something has stopped the attempt; of several nodes, what happened on another decides."""
        cause = self._control.cause or StopCause.STOP
        if cause is StopCause.NODE and self._assignment.rank == 0:
            self._ended.fail(*self._control.elsewhere)
        else:
            self._ended.fail(_STOPS[cause], message)

    def _gpus(self) -> AbstractContextManager[None]:
        """Hold the GPUs; in a Slurm job the epilog scrubs them, once the job has ended in whatever way."""
        care = self._node.care
        return held_gpus(
            self._assignment.gpus,
            care.gpu_locks,
            scrub=None if care.scrub is Scrub.NONE else GpuScrubber().scrub,
            scrub_after=slurm_place() is None,
        )

    def _on_fault(self, error: KifabrikError) -> None:
        """Data the job reads is not what was sealed, or cannot be had: it gets an error, and the run ends."""
        self._control.stop(StopCause.DATA)
        if self._journal is not None:
            self._journal.line("note", f"{error.message}. {error.hint}".strip())

    def _build(self, work: VerifiedWork) -> WatchedEnvironment:
        with claim_uid(self._node.care.uids) as owner:
            as_uid = owner.uid if owner.of_its_own else None
            cache, tenant = reachable_cache(self._mounts, self._node.environments), self._assignment.tenant
            try:
                found = WatchedEnvironment(build(work.lock, cache, tenant, as_uid=as_uid, on_build=self._on_build))
                if not found.is_as_built():
                    discard(found.built)
                    made = build(work.lock, cache, tenant, as_uid=as_uid, on_build=self._on_build)
                    found = WatchedEnvironment(made)
            except (UsageError, NotFoundError) as error:
                raise BuildError(error.message, hint=error.hint) from error
        self._environment = found.built.tree_digest
        return found

    def _on_build(self) -> None:
        """Say so where an environment is really built; a cached one is there at once."""
        self._reporter.tell(RunState.BUILDING)

    def _obtain(self, work: VerifiedWork, environment: BuiltEnvironment) -> GrantedLease | None:
        asks = said_of(work, self._assignment.attempt, environment.tree_digest)

        def waiting(view: LeaseView) -> None:
            seen = f"it was last seen at {view.keyholder_seen}" if view.keyholder_seen else "it was never seen"
            asked = "A person at the keyholder must decide" if view.state == "asked" else "No answer yet"
            self._reporter.tell(RunState.WAITING_FOR_KEY, f"{asked}; {seen}.")

        if self._gang is not None:
            shared = self._gang.obtain(work, asks, waiting)
            if shared is None:
                return None
            self._keys, self._network = shared.keys, shared.network
            return shared.lease
        attester = self._attester(work)
        while True:
            request = sign_request(
                asks, alone(self._keys, self._node.key), self._keys, self._node.key, attester.show
            )
            try:
                return obtain(
                    self._leases, request, work, given_up=lambda: self._control.cause is not None, waiting=waiting
                )
            except LeaseRefusedError as error:
                if not attester.asks_again(error.reason):
                    raise

    def _attester(self, work: VerifiedWork) -> Attester:
        return Attester(self._node, self._cosigned, asked=work.attested)

    def _on_lost(self, _error: KifabrikError) -> None:
        """The factory did not take a piece of the log: a run whose log is cut has not succeeded."""
        self._ended.fail(Outcome.NODE_FAILURE, "the factory did not take the log")

    def _execute(
        self, work: VerifiedWork, staged: StagedRun, environment: WatchedEnvironment, owner: RunUid
    ) -> None:
        lease, journal = self._lease, self._journal
        if lease is None or journal is None:
            raise AssertionError
        order = work.order.predicate
        sealer = OutputSealer(
            order.tenant,
            work.run,
            Recipient.from_text(lease.statement.predicate.output_recipient),
            self._keys.run_key,
            self._store,
            self._folder / "spool",
        )
        metrics = MetricsReader(staged.scratch / outside_path(METRICS_FILE), journal)
        keeper = CheckpointKeeper(self._api, sealer, staged.scratch, CHECKPOINT, work.checkpoint, journal)
        cap_at = self._cap_at(work, lease)
        gpus = device_files(self._assignment.gpus)
        with ExitStack() as failed:
            failed.callback(keeper.close, needed=False)
            failed.callback(metrics.close)
            environment.require_unchanged()
            executed = execute(
                room_for(staged, work, environment.built, gpus, self._network),
                self._mounts,
                owner,
                journal=journal,
                control=self._control,
                cap_at=cap_at,
                on_start=lambda room: self._on_start(room, work, metrics, keeper),
                before_killing=self._end_reads(staged),
            )
            self._meter.stop(executed.report)
            environment.require_unchanged()
            failed.pop_all()
        values = metrics.close()
        self._judge(executed)
        if self._assignment.rank:
            return  # what the run puts out comes from its first node
        self._await_others(cap_at)
        if staged.job.checkpoint:
            keeper.close(needed=self._ended.outcome is not Outcome.SUCCEEDED)
            self._ended.checkpoint = keeper.last
        self._ended.published = tuple(
            PublishedMetric(name, values[name]) for name in sorted(order.publish) if name in values
        )
        self._seal_outputs(staged, sealer)

    def _await_others(self, cap_at: float) -> None:
        """A run on several nodes has ended well when it has on each."""
        if self._gang is None:
            return
        if self._ended.outcome is not Outcome.SUCCEEDED:
            self._gang.fail(self._ended.outcome, self._ended.message)
        elif not self._gang.others_ended(cap_at + GRACE_S):
            if self._control.cause is None:
                self._ended.fail(Outcome.CAP, "a node did not end in time")
            else:
                self._stopped("")

    def _end_reads(self, staged: StagedRun) -> Callable[[], None]:
        def end() -> None:
            self._store.close()
            staged.abort()

        return end

    def _on_start(
        self, room: RunningRoom, work: VerifiedWork, metrics: MetricsReader, keeper: CheckpointKeeper
    ) -> None:
        self._room = room
        order = work.order.predicate
        self._meter.start(order.resources, self._assignment.gpus)
        self._reporter.tell(RunState.RUNNING)
        metrics.start()
        if order.checkpoint and self._assignment.rank == 0:
            keeper.start()

    def _cap_at(self, work: VerifiedWork, lease: GrantedLease) -> float:
        expiry = parse_time(lease.statement.predicate.expires) - now_utc()
        return time.monotonic() + min(work.cap_s, expiry.total_seconds())

    def _judge(self, executed: Executed) -> None:
        self._ended.exit_status = executed.report.status
        fault = self._faults.first
        if fault is not None and executed.stopped is StopCause.DATA:
            self._ended.fail(outcome_of(fault), for_the_factory(fault))
        elif executed.stopped is not None:
            self._stopped("")
        elif executed.report.oom:
            self._ended.fail(Outcome.OUT_OF_MEMORY, "")
        elif executed.report.status != 0:
            self._ended.fail(Outcome.ERROR, "")

    def _seal_outputs(self, staged: StagedRun, sealer: OutputSealer) -> None:
        """Seal the declared outputs of a job that ended well."""
        if self._ended.outcome is not Outcome.SUCCEEDED:
            return
        if staged.job.outputs:
            self._reporter.tell(RunState.SEALING)
        for number, (name, path) in enumerate(staged.job.outputs.items(), 1):
            try:
                envelope = sealer.seal_output(staged.scratch, outside_path(path), number, name)
            except (NotFoundError, UsageError) as error:
                if self._journal is not None:
                    self._journal.line("note", f"The output {name!r} ({path}) cannot be kept: {error.message}")
                self._ended.fail(Outcome.ERROR, f"declared output {number} is missing or cannot be sealed")
                return
            self._ended.outputs.append(envelope)

    def _finish_together(self, work: VerifiedWork, gang: Gang) -> None:
        """End this node's part; the first node closes the attempt once all others have said how they ended."""
        if self._ended.outcome is not Outcome.SUCCEEDED and self._control.cause is not StopCause.NODE:
            gang.fail(self._ended.outcome, self._ended.message)
        if not gang.leads:
            gang.say_ended(self._node_ended(work))
            return
        for _ in range(_MOST_LOOKS):
            try:
                self._finish(work, gang.last_words())
            except ConflictError:
                continue  # another node has ended just now, and the end must say so
            return

    def _node_ended(self, work: VerifiedWork) -> Envelope:
        if self._journal is not None:
            self._journal.close()
        self._reporter.close()
        order, journal = work.order.predicate, self._journal
        said = NodeEnded(
            tenant=order.tenant,
            run=order.run,
            attempt=self._assignment.attempt,
            rank=self._assignment.rank,
            node_key=self._node.key.public.hex,
            outcome=self._ended.outcome,
            exit_status=self._ended.exit_status,
            segments=journal.segments if journal else 0,
            log_tail=journal.tail if journal else "",
            reading=self._meter.reading(log_bytes=journal.total_bytes if journal else 0),
            started=self._started,
            finished=format_time(now_utc()),
        )
        keys = (self._node.key, *((self._keys.run_key,) if self._lease else ()))
        return sign_statement(said, {"order": work.order.digest}, *keys)

    def _finish(self, work: VerifiedWork, others: Mapping[int, Envelope] = MappingProxyType({})) -> None:
        order = work.order.predicate
        journal, lease = self._journal, self._lease
        if journal is not None:
            journal.close()
        self._reporter.close()
        outputs = self._ended.outputs if self._ended.outcome is Outcome.SUCCEEDED else []
        finished = format_time(now_utc())
        lease_digest = lease.statement.digest if lease else ""
        nodes = () if self._gang is None else self._gang.other_nodes(others)
        said = Finish(
            tenant=order.tenant,
            run=work.run,
            attempt=self._assignment.attempt,
            order=work.order.digest,
            lease=lease_digest,
            outcome=self._ended.outcome,
            exit_status=self._ended.exit_status,
            outputs=tuple(envelope.digest for envelope in outputs),
            checkpoint=self._ended.checkpoint,
            segments=journal.segments if journal else 0,
            log_tail=journal.tail if journal else "",
            environment=self._environment,
            reading=self._meter.reading(log_bytes=journal.total_bytes if journal else 0),
            published=self._ended.published,
            started=self._started,
            finished=finished,
            others=nodes,
        )
        keys = (self._keys.run_key, self._node.key)
        ran = Ran(
            run=work.run,
            attempt=self._assignment.attempt,
            order=work.order.digest,
            purpose=order.purpose,
            lease=lease_digest,
            materials={f"{one.manifest.owner}@{one.manifest.version}": one.digest for one in work.inputs}
            | {"code": order.code, "environment-lock": order.lock, "environment-tree": self._environment},
            nodes=(self._node.key.public.hex, *(node.node_key for node in nodes)),
            version=__version__,
            started=self._started,
            finished=finished,
        )
        named = {f"{work.run}/{number}": envelope.digest for number, envelope in enumerate(outputs, 1)}
        self._api.finish(
            Finished(
                finish=sign_statement(said, {"order": work.order.digest}, *keys).to_json(),
                outputs=[envelope.to_json() for envelope in outputs],
                provenance=sign_provenance(ran, named, *keys).to_json(),
                message=self._ended.message,
            )
        )
