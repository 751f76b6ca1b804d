"""Prolog and epilog of a job, step by step.

Both return what is wrong with the node, as sentences; nothing of a run lies on a node about which they
return nothing.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kifabrik.errors import KifabrikError, UnavailableError
from kifabrik.launcher.care import NodeCare, Scrub
from kifabrik.launcher.folder import clear_left
from kifabrik.launcher.gpus import scrub_gpus, unscrubbed
from kifabrik.sandbox.clearing import clear_remains, kill
from kifabrik.sandbox.slurm_groups import slurm_place
from kifabrik.upkeep.agent import agent_fault
from kifabrik.upkeep.fitness import Machine, missing_devices, no_room
from kifabrik.upkeep.job import HookJob
from kifabrik.upkeep.traces import PUBLIC, Trace, TraceKind, clear_trace, find_traces

_TURN: Final = "hooks.lock"
_TURN_S: Final = 120.0
_PATIENCE_S: Final = 20.0
_PAUSE_S: Final = 0.2
_LEAST_TRIES: Final = 3
"""However long they took: see `sandbox.clearing`."""
_SLURMS_OWN: Final = frozenset({"slurmstepd", "slurmd"})
_ENDED: Final = frozenset(
    {"BF", "CA", "CD", "CG", "DL", "F", "NF", "OOM", "PD", "PR", "RD", "RF", "RH", "RQ", "RV", "SE", "TO"}
)
"""States in which a job uses nothing on a node any more, or not yet (squeue(1), job state codes)."""


@dataclass(frozen=True)
class Hooks:
    """Prolog and epilog of one node.

    Args:
        care: How it is kept fit.
        machine: Where things are looked for.
        driver: Where NVIDIA's driver tells about itself.
        public: Folders everybody may write to.
        patience_s: Seconds until something counts as not removable.
    """

    care: NodeCare
    machine: Machine = field(default_factory=Machine)
    driver: Path = Path("/proc/driver/nvidia")
    public: tuple[Path, ...] = PUBLIC
    patience_s: float = _PATIENCE_S

    def prolog(self, job: HookJob) -> list[str]:
        """See that the node is fit for a job of ours; what is left of earlier ones is cleared away first."""
        if not job.ours:
            return []
        faults = list(filter(None, [agent_fault(self.care.socket)]))
        with _turn(self.care.locks):
            faults += self._clear_runs()
        faults += missing_devices(job.gpus, self.machine.dev)
        faults += _unreadable(job)
        if not faults and self.care.scrub is not Scrub.NONE:
            faults += self._scrub(unscrubbed(job.gpus, self.care.gpu_locks))
        return faults + list(no_room(self.care, self.machine.meminfo))

    def epilog(self, job: HookJob) -> list[str]:
        """Clear away what a job has left."""
        if not job.ours:
            return [*_unreadable(job), *self._scrub(job.gpus)] if self.care.scrub is Scrub.ALL else []
        with _turn(self.care.locks):
            faults = self._end(job)
            faults += self._clear_runs()
            faults += self._clear_user(job)
        if self.care.scrub is not Scrub.NONE:
            faults += [*_unreadable(job), *self._scrub(job.gpus)]
        return faults

    def _clear_runs(self) -> list[str]:
        """Everything of runs that nobody holds."""
        left = clear_remains(self.care.runs, self.care.uids, patience_s=self.patience_s)
        stuck = clear_left(self.care.runs)
        return [*(one.what for one in left), *(f"the folder {path} of a run cannot be removed" for path in stuck)]

    def _end(self, job: HookJob) -> list[str]:
        """Slurm has killed the job's processes; wait for those that take their time, such as a launcher."""
        end = time.monotonic() + self.patience_s
        tries = 0
        while members := list(_members(job)):
            for pid in members:
                kill(pid)
            tries += 1
            if tries >= _LEAST_TRIES and time.monotonic() > end:
                return [f"process {pid} of job {job.job} does not die" for pid in members]
            time.sleep(_PAUSE_S)
        return []

    def _clear_user(self, job: HookJob) -> list[str]:
        """Everything of the tenant's user, unless it has another job here, whose end will do it."""
        found = find_traces(job.uid, job.node, public=self.public)
        if not found:
            return []
        try:
            others = _other_jobs(job)
        except KifabrikError as error:
            return [f"{found[0]} of user {job.user} was left, and Slurm does not say whose it is: {error.message}"]
        end = time.monotonic() + self.patience_s
        tries = 0
        while mine := [trace for trace in found if _may_go(trace, others)]:
            reasons = dict(_cleared(mine, job.uid))
            left = set(find_traces(job.uid, job.node, public=self.public)) & set(mine)
            if not left:
                break
            tries += 1
            if tries >= _LEAST_TRIES and time.monotonic() > end:
                return [
                    f"{trace} of user {job.user} cannot be removed{reasons.get(trace, '')}"
                    for trace in mine
                    if trace in left
                ]
            found = [trace for trace in mine if trace in left]
            time.sleep(_PAUSE_S)
        return []

    def _scrub(self, gpus: tuple[int, ...]) -> list[str]:
        if not gpus:
            return []
        from kifabrik.launcher.gpu_scrub import GpuScrubber  # noqa: PLC0415 - not needed without GPUs

        try:
            scrub_gpus(gpus, self.care.gpu_locks, GpuScrubber(self.driver).scrub)
        except UnavailableError as error:
            return [error.message]
        return []


@contextmanager
def _turn(locks: Path) -> Iterator[None]:
    """Wait until no other hook of this node is at work.

    Raises:
        UnavailableError: One does not end.
    """
    locks.mkdir(mode=0o755, parents=True, exist_ok=True)
    lock = os.open(locks / _TURN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        end = time.monotonic() + _TURN_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise UnavailableError(
                        f"another prolog or epilog holds {locks / _TURN} and does not end"
                    ) from None
                time.sleep(_PAUSE_S / 10)
        yield
    finally:
        os.close(lock)


def _members(job: HookJob) -> Iterator[int]:
    """Processes in the job's control groups here, but Slurm's own and those this one is a child of."""
    own = _ancestors()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            place = slurm_place(entry)
            if place is not None and place.job == job.job and place.is_on(job.node) and _is_a_jobs(entry, own):
                yield int(entry.name)


def _is_a_jobs(process: Path, own: frozenset[int]) -> bool:
    name, fields = _stat(process)
    return bool(fields) and name not in _SLURMS_OWN and fields[0] not in "ZX" and int(process.name) not in own


def _ancestors() -> frozenset[int]:
    """This process and those above it, which Slurm may have put into the job (PrologFlags=RunInJob)."""
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        fields = _stat(Path(f"/proc/{pid}"))[1]
        pid = int(fields[1]) if fields else 0
    return frozenset(found)


def _stat(process: Path) -> tuple[str, list[str]]:
    """Name of a process, and the fields behind it (proc_pid_stat(5)): state, parent and so on; none if gone."""
    try:
        name, _, rest = (process / "stat").read_text(errors="replace").partition("(")[2].rpartition(")")
    except OSError:
        return "", []
    return name, rest.split()


def _unreadable(job: HookJob) -> list[str]:
    hint = "in gres.conf each GPU needs a File=/dev/nvidiaN of its own"
    return [f"SLURM_JOB_GPUS={job.unreadable} names no device files; {hint}"] if job.unreadable else []


def _other_jobs(job: HookJob) -> frozenset[int]:
    """Other jobs of the user that go on on this node.

    Raises:
        KifabrikError: Slurm does not say.
    """
    from kifabrik.engines.slurm.commands import SlurmCommands  # noqa: PLC0415 - rarely needed, and every job waits

    said = SlurmCommands(job.conf).run(
        "squeue", "--noheader", f"--nodelist={job.node}", f"--user={job.uid}", "--states=all", "--format=%A %t"
    )
    words = (line.split() for line in said.splitlines())
    return frozenset(int(number) for number, state in words if state not in _ENDED) - {job.job}


def _may_go(trace: Trace, others: frozenset[int]) -> bool:
    """Files and queues belong to the user; a process to the job it is in, or none."""
    return not others or (trace.kind is TraceKind.PROCESS and trace.job not in others)


def _cleared(traces: list[Trace], uid: int) -> Iterator[tuple[Trace, str]]:
    for trace in traces:
        try:
            clear_trace(trace, uid)
        except OSError as error:
            yield trace, f": {error.strerror or error}"
