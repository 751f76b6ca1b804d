"""One attempt, step by step: build, ask, open, run, seal, report.

building  the environment          asking    the keys
staging   data and code opened     program   the job, judged and sealed
course    what they share          closing   the signed end
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from types import MappingProxyType
from typing import Final

from kifabrik.client.attempts import Attempts
from kifabrik.client.connection import Connection
from kifabrik.client.direct import Direct
from kifabrik.client.leases import Leases
from kifabrik.client.logs import Log
from kifabrik.client.objects import Objects
from kifabrik.errors import FULL_DISK, ConflictError, KifabrikError, UnavailableError
from kifabrik.launcher.asking import ask_for_keys
from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.attesting import Attester
from kifabrik.launcher.building import build_environment
from kifabrik.launcher.care import Scrub
from kifabrik.launcher.closing import sign_end, sign_node_ended
from kifabrik.launcher.control import Control, StopCause
from kifabrik.launcher.course import Course
from kifabrik.launcher.ended import for_the_factory, outcome_of
from kifabrik.launcher.folder import claimed_folder
from kifabrik.launcher.gang import Gang
from kifabrik.launcher.gpu_scrub import GpuScrubber
from kifabrik.launcher.gpus import held_gpus
from kifabrik.launcher.journal import Journal
from kifabrik.launcher.lease import AttemptTakenError
from kifabrik.launcher.node import Node
from kifabrik.launcher.program import Program
from kifabrik.launcher.reporter import Reporter
from kifabrik.launcher.staging import Stager
from kifabrik.launcher.store import node_store
from kifabrik.launcher.streaming import Faults, Streamer
from kifabrik.launcher.work import VerifiedWork, verify_work
from kifabrik.runs.states import Outcome, RunState
from kifabrik.sandbox.memory import PrivateMounts
from kifabrik.sandbox.running import RunningRoom
from kifabrik.sandbox.slurm_groups import slurm_place
from kifabrik.sandbox.uids import claim_uid
from kifabrik.signatures.dsse import Envelope
from kifabrik.transfer.ranges import RangeCache

_PATIENCE_S: Final = 3600.0
"""A service that is away for an hour loses no run; one that is away for longer is given up, by all at once."""
_MOST_LOOKS: Final = 5


class AttemptRunner:
    """Works on one assignment from beginning to end.

    Args:
        assignment: What to do.
        node: Where.
        mounts: This process's own mounts.
    """

    def __init__(self, assignment: Assignment, node: Node, mounts: PrivateMounts) -> None:
        self._mounts = mounts
        connection = Connection(
            assignment.factory,
            assignment.token,
            ca_pem=assignment.ca_pem,
            patience_s=_PATIENCE_S,
            patience_over_all=True,
        )
        self._api = Attempts(connection, assignment.attempt, assignment.rank)
        self._leases = Leases(connection)
        self._log = Log(connection)
        self._folder = node.runs / assignment.attempt
        objects = Objects(connection, Direct(connection), patience_s=_PATIENCE_S, waits=self._on_wait)
        ranges = RangeCache(objects.read, self._folder / "blocks", node.block_cache, patience_s=_PATIENCE_S)
        self._store = node_store(objects, ranges, node.objects, assignment.tenant)
        control = Control(self._api)
        reporter = Reporter(self._api, speaks=assignment.rank == 0)
        self._course = Course(assignment, node, control, reporter)
        self._faults = Faults(self._on_fault)
        self._room: RunningRoom | None = None

    def give_way(self) -> None:
        """Stop with a checkpoint, since the node is needed for something else."""
        self._course.control.stop(StopCause.PREEMPTION)

    def pass_on(self, number: int) -> None:
        """Send a signal to the job, if it runs."""
        if self._room is not None:
            self._room.send(number)

    def run(self) -> int:
        """Do everything; what goes wrong is reported to the factory, not raised, as far as it can be.

        Returns:
            0 if the program succeeded, else its exit status, or 1.

        Raises:
            AttemptTakenError: Another launcher works on the attempt; this one has no say in how it ends.
        """
        course = self._course
        work = verify_work(course.assignment.tenant, self._api.work())
        course.control.start()
        with ExitStack() as cleanup:
            cleanup.enter_context(claimed_folder(self._folder.parent, self._folder.name))
            cleanup.callback(course.control.close)
            cleanup.callback(course.reporter.close)
            try:
                with ExitStack() as opened:  # closed before the end is reported, which may take an hour
                    self._attempt(work, opened)
            except AttemptTakenError:
                raise
            except KifabrikError as error:
                course.ended.fail(outcome_of(error), for_the_factory(error))
                course.note(f"{error.message} {error.hint}".strip())
            except Exception as error:  # noqa: BLE001 - the factory must hear of every end
                # What it says may quote names and content of the job: it belongs in the sealed log alone.
                full = isinstance(error, OSError) and error.errno in FULL_DISK
                course.ended.fail(Outcome.NODE_FAILURE, "the node's disk is full" if full else "the node failed")
                course.note(f"The launcher failed: {type(error).__name__}: {error}")
            if course.gang is None:
                self._finish(work)
            else:
                self._finish_together(work, course.gang)
        return 0 if course.succeeded else course.ended.exit_status or 1

    def _attempt(self, work: VerifiedWork, opened: ExitStack) -> None:
        """Build, ask, open, run, seal; what lies in memory in plaintext goes with `opened`."""
        course, assignment, node = self._course, self._course.assignment, self._course.node
        attester = Attester(node, self._log, asked=work.attested, given_up=lambda: course.control.cause is not None)
        course.gang = self._gang_for(work, attester)
        environment = build_environment(work.lock, assignment.tenant, node, self._mounts, on_build=self._on_build)
        course.environment = environment.built.tree_digest
        opened.enter_context(self._gpus())
        lease = ask_for_keys(course, work, self._leases, attester, course.environment)
        if lease is None:
            course.stopped("stopped before it began")
            return
        course.lease = lease
        journal = course.journal = Journal.open(
            self._api, lease.statement, course.keys.run_key, rank=assignment.rank, on_lost=self._on_lost
        )
        course.reporter.reached(RunState.STAGING)
        owner = opened.enter_context(claim_uid(node.care.uids))
        streamer = None
        if work.streamed:
            inputs = len(work.inputs)
            streamer = Streamer(self._mounts, owner, self._store, self._faults, inputs=inputs)
        stager = Stager(self._folder, self._mounts, course.keys.identity, lease, self._store, streamer=streamer)
        opened.callback(stager.release)
        opened.callback(self._store.close)
        staged = stager.stage(work)
        if course.gang is not None and not course.gang.start_together():
            course.stopped("stopped before it began")
            return
        spool = self._folder / "spool"
        program = Program(course, work, self._api, self._store, self._faults, spool, on_start=self._on_start)
        program.run(lease, journal, staged, environment, self._mounts, owner)

    def _gang_for(self, work: VerifiedWork, attester: Attester) -> Gang | None:
        """This node's part among several; nothing if the order names one."""
        course, assignment = self._course, self._course.assignment
        if work.order.predicate.resources.nodes == 1 and assignment.rank == 0:
            return None
        say = partial(course.reporter.tell, RunState.WAITING_FOR_KEY)
        return Gang(
            assignment, course.node, self._api, self._leases, course.control, say, attester.show, course.keys
        )

    def _gpus(self) -> AbstractContextManager[None]:
        """Hold the GPUs; in a Slurm job the epilog scrubs them, once the job has ended in whatever way."""
        care = self._course.node.care
        return held_gpus(
            self._course.assignment.gpus,
            care.gpu_locks,
            scrub=None if care.scrub is Scrub.NONE else GpuScrubber().scrub,
            scrub_after=slurm_place() is None,
        )

    def _on_start(self, room: RunningRoom) -> None:
        self._room = room

    def _on_wait(self, error: UnavailableError | None) -> None:
        """Objects cannot be had or sent at present, or can again."""
        self._course.reporter.waits(f"Waiting: {error.message}." if error else "")

    def _on_build(self) -> None:
        self._course.reporter.tell(RunState.BUILDING)

    def _on_fault(self, error: KifabrikError) -> None:
        """Data the job reads is not what was sealed, or cannot be had: it gets an error, and the run ends."""
        self._course.control.stop(StopCause.DATA)
        self._course.note(f"{error.message}. {error.hint}".strip())

    def _on_lost(self, _error: Exception) -> None:
        """The factory did not take a piece of the log: a run whose log is cut has not succeeded."""
        self._course.ended.fail(Outcome.NODE_FAILURE, "the factory did not take the log")

    def _finish_together(self, work: VerifiedWork, gang: Gang) -> None:
        """End this node's part; the first node closes the attempt once all others have said how they ended."""
        course = self._course
        if not course.succeeded and course.control.cause is not StopCause.NODE:
            gang.fail(course.ended.outcome, course.ended.message)
        if not gang.leads:
            self._fall_silent()
            gang.say_ended(sign_node_ended(course, work))
            if not course.succeeded:
                gang.await_close()
            return
        for _ in range(_MOST_LOOKS):
            try:
                self._finish(work, gang.last_words())
            except ConflictError:
                continue  # another node has ended just now, and the end must say so
            return

    def _finish(self, work: VerifiedWork, others: Mapping[int, Envelope] = MappingProxyType({})) -> None:
        self._fall_silent()
        self._api.finish(sign_end(self._course, work, others))

    def _fall_silent(self) -> None:
        """Send the rest of the log and of the reports: what is signed of the end counts them."""
        if self._course.journal is not None:
            self._course.journal.close()
        self._course.reporter.close()
