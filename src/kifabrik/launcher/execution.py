"""Running the staged job in its room: output to the journal, the clock against the cap."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from kifabrik.environments.build import BuiltEnvironment
from kifabrik.jobs.matrix import variables_of
from kifabrik.launcher.control import Control, StopCause
from kifabrik.launcher.journal import Journal, split_lines
from kifabrik.launcher.ranks import rank_variables
from kifabrik.launcher.staging import CHECKPOINT, METRICS, OUT, StagedRun
from kifabrik.launcher.work import VerifiedWork
from kifabrik.sandbox.launch import start
from kifabrik.sandbox.limits import Limits
from kifabrik.sandbox.memory import PrivateMounts
from kifabrik.sandbox.network import RunNetwork, name_of
from kifabrik.sandbox.room import RoomSpec
from kifabrik.sandbox.running import ExitReport, RunningRoom
from kifabrik.sandbox.uids import RunUid
from kifabrik.values import task_number

GRACE_S: Final = 30.0
"""Seconds between SIGTERM and SIGKILL, for a checkpoint."""
_TICK_S: Final = 0.25
_PIECE: Final = 64 * 1024
_DRAINED: Final = 1 << 20
METRICS_FILE: Final = f"/{METRICS}/metrics.jsonl"


@dataclass(frozen=True)
class Executed:
    """How a job ended.

    Args:
        report: Exit, memory and processor time.
        stopped: Why it was stopped, if it was.
    """

    report: ExitReport
    stopped: StopCause | None


def room_for(
    staged: StagedRun,
    work: VerifiedWork,
    environment: BuiltEnvironment,
    gpus: tuple[Path, ...],
    network: RunNetwork | None = None,
) -> RoomSpec:
    """Describe the room of a run, or of one rank of it."""
    resources = work.order.predicate.resources
    python = Path(environment.python)
    return RoomSpec(
        command=staged.job.run,
        limits=Limits(memory_bytes=resources.memory_bytes + resources.disk_bytes, cpus=resources.cpus),
        environment=rank_variables(network) | _variables(staged, work),
        read_only=staged.data,
        writable={
            f"/{OUT}": staged.scratch / OUT,
            f"/{CHECKPOINT}": staged.scratch / CHECKPOINT,
            f"/{METRICS}": staged.scratch / METRICS,
        },
        workdir=staged.work,
        env_tree=environment.path,
        python_prefix=python.parent.parent if not python.is_relative_to("/usr") else None,
        gpu_devices=gpus,
        hostname=name_of(network.rank) if network else "job",
        network=network,
    )


def _variables(staged: StagedRun, work: VerifiedWork) -> dict[str, str]:
    """Our variables, those of the job, and the parameters of a sweep's task."""
    ours = {
        "KIFABRIK_RUN": work.run,
        "KIFABRIK_METRICS": METRICS_FILE,
        "KIFABRIK_CHECKPOINT": f"/{CHECKPOINT}" if staged.job.checkpoint else "",
    }
    number = task_number(work.run)
    if not number:
        return ours | staged.job.variables
    task = {"KIFABRIK_TASK": str(number), "KIFABRIK_TASKS": str(work.order.predicate.tasks)}
    return ours | staged.job.variables | task | variables_of(staged.job.points[number - 1])


def execute(
    spec: RoomSpec,
    mounts: PrivateMounts,
    owner: RunUid,
    *,
    journal: Journal,
    control: Control,
    cap_at: float,
    on_start: Callable[[RunningRoom], None],
    before_killing: Callable[[], None] = lambda: None,
) -> Executed:
    """Start the room and see it to its end; to be called from the main thread.

    Args:
        spec: The room.
        mounts: This process's own mounts.
        owner: The run's user.
        journal: Gets every line of output.
        control: Says when to stop.
        cap_at: `time.monotonic()` at which the run must stop.
        on_start: Called once the job runs.
        before_killing: Called before a job is killed, to end what it may wait for in the kernel.
    """
    with start(spec, mounts, owner) as room, _output_kept(room, journal):
        room.before_killing = before_killing
        for notice in room.notices:
            journal.line("note", notice)
        on_start(room)
        report = room.wait(_TICK_S)
        while report is None:
            if time.monotonic() >= cap_at:
                control.stop(StopCause.CAP)
            if control.cause is not None:
                journal.line("note", f"The run is stopped ({control.cause}); it has {GRACE_S:.0f} s to finish.")
                report = room.terminate(GRACE_S)
                break
            report = room.wait(_TICK_S)
        return Executed(report, control.cause)


@contextmanager
def _output_kept(room: RunningRoom, journal: Journal) -> Iterator[None]:
    """Read the job's output up to its end; a job that still runs when the block is left is killed.

    Only then may the room be closed: the numbers of its descriptors are given again.
    """
    readers = [_reader(room.stdout, "out", journal), _reader(room.stderr, "err", journal)]
    try:
        yield
    finally:
        if room.exit is None:
            room.kill()
        for reader in readers:
            reader.join()


def _reader(descriptor: int, kind: str, journal: Journal) -> threading.Thread:
    thread = threading.Thread(target=_read, args=(descriptor, kind, journal), name=kind)
    thread.start()
    return thread


def _read(descriptor: int, kind: str, journal: Journal) -> None:
    rest = b""
    while not journal.is_full and (piece := os.read(descriptor, _PIECE)):
        lines, rest = split_lines(rest, piece)
        for line in lines:
            journal.line(kind, line)
    if rest:
        journal.line(kind, rest.decode(errors="replace"))
    _drain(descriptor)


def _drain(descriptor: int) -> None:
    """Let the kernel throw away what nobody keeps, up to its end.

    Looking at a flood takes more processor time than making it, and the launcher's is bounded by no control group.
    """
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - not a file
        while os.splice(descriptor, nothing.fileno(), _DRAINED):
            pass


def outside_path(path: str) -> str:
    """Return where an absolute path of the job lies beneath the scratch folder."""
    return str(PurePosixPath(path).relative_to("/"))
