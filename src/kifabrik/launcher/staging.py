"""Data, code and the last checkpoint, opened into the run's memory, or data opened while it is read.

Two memory filesystems: one for what the job may only read, which is made read-only once it is full, and
one for what it may write, whose size bounds all it can leave behind. Where data is streamed, a mount for
each input stands for the first of them.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from kifabrik.errors import IntegrityError
from kifabrik.jobs.private import PATH, WORK, PrivateJob
from kifabrik.launcher.lease import GrantedLease
from kifabrik.launcher.streaming import Streamer
from kifabrik.launcher.work import NamedManifest, VerifiedWork
from kifabrik.orders.order import Order
from kifabrik.sandbox.memory import MemoryFolder, PrivateMounts
from kifabrik.seals.identities import Identity
from kifabrik.transfer.objects import ObjectSource
from kifabrik.transfer.opening import OpenedVersion, open_contents, unpack

_SLACK: Final = 64 * 2**20
"""Pages and inodes that a file system needs beside the bytes of its files."""
_PAGE: Final = 4096
_MOST_THREADS: Final = 8
"""Beyond that, memory is the limit and not the cipher."""
OUT: Final = "out"
CHECKPOINT: Final = "checkpoint"
METRICS: Final = "metrics"


class Mounted(Protocol):
    """Something that is mounted for a run and must not outlive it."""

    def unmount(self) -> None:
        """Let go of it."""

    def abort(self) -> None:
        """End every read that is under way, so that its reader can be killed."""


@dataclass(frozen=True)
class StagedRun:
    """Everything of a run that lies in memory, or is opened while it is read.

    Args:
        job: The private part of the job.
        data: Mount path in the sandbox to the opened folder.
        work: Copy of the code the job may write to.
        scratch: Root of what the job can write: `out`, `checkpoint`, `metrics` and `work` lie in it.
        mounted: What is mounted, to be unmounted at the end.
    """

    job: PrivateJob
    data: dict[str, Path]
    work: Path
    scratch: Path
    mounted: tuple[Mounted, ...]

    def abort(self) -> None:
        """End every read that is under way: nothing can be read any more."""
        for mounted in self.mounted:
            mounted.abort()


class Stager:
    """Opens what a lease has released.

    Args:
        folder: An empty folder of this run to mount below.
        mounts: This process's own mounts.
        identity: The attempt's.
        lease: Verified.
        store: Where the ciphertext is.
        streamer: Streams the inputs; None where they are opened into memory.
    """

    def __init__(
        self,
        folder: Path,
        mounts: PrivateMounts,
        identity: Identity,
        lease: GrantedLease,
        store: ObjectSource,
        *,
        streamer: Streamer | None = None,
    ) -> None:
        self._folder = folder
        self._mounts = mounts
        self._identity = identity
        self._lease = lease
        self._store = store
        self._streamer = streamer
        self._threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
        self._mounted: list[Mounted] = []

    def release(self) -> None:
        """Let go of what was mounted so far."""
        while self._mounted:
            self._mounted.pop().unmount()

    def stage(self, work: VerifiedWork) -> StagedRun:
        """Open inputs, code and checkpoint.

        Raises:
            IntegrityError: Bytes do not verify, or the job's private part contradicts the order.
            CapacityError: The memory does not suffice.
            UnavailableError: Data is to be streamed, and this machine cannot.
        """
        order = work.order.predicate
        inputs = {one.manifest.owner: self._contents(one) for one in work.inputs}
        code = self._contents(work.code)
        last = self._contents(work.checkpoint) if work.checkpoint else None
        scratch = self._mount("scratch", _scratch_size(order, [code, *([last] if last else [])]))
        data = self._into_memory(inputs) if self._streamer is None else self._streamed(inputs, self._streamer)
        self._unpack(code, scratch.path / "code", verify=True)
        for name in (OUT, CHECKPOINT, METRICS):
            (scratch.path / name).mkdir()
        if last:
            self._unpack(last, scratch.path / CHECKPOINT, verify=True)
        job = PrivateJob.from_bytes((scratch.path / "code" / PATH).read_bytes())
        _check_job(job, order)
        work_folder = scratch.path / "code" / WORK
        work_folder.mkdir(exist_ok=True)
        for folder in (work_folder, scratch.path / CHECKPOINT):
            _make_writable(folder)
        mounts = {path: data[owner] for path, owner in job.mounts.items()}
        return StagedRun(job, mounts, work_folder, scratch.path, tuple(self._mounted))

    def _into_memory(self, inputs: Mapping[str, OpenedVersion]) -> dict[str, Path]:
        memory = self._mount("data", sum(_footprint(version) for version in inputs.values()))
        folders = {owner: memory.path / _folder_name(owner) for owner in inputs}
        for owner, version in inputs.items():
            self._unpack(version, folders[owner], verify=False)
        memory.make_read_only()
        return folders

    def _streamed(self, inputs: Mapping[str, OpenedVersion], streamer: Streamer) -> dict[str, Path]:
        folders = {}
        for owner, version in inputs.items():
            folders[owner] = self._folder / f"stream-{_folder_name(owner)}"
            folders[owner].mkdir(mode=0o700)
            self._mounted.append(streamer.stream(version, folders[owner]))
        return folders

    def _contents(self, named: NamedManifest) -> OpenedVersion:
        headers = self._lease.headers.get(named.digest)
        if headers is None:
            raise IntegrityError(f"the lease holds no keys for {named.manifest.owner}")
        return open_contents(named.manifest, headers, [self._identity], self._store)

    def _mount(self, name: str, size: int) -> MemoryFolder:
        path = self._folder / name
        path.mkdir(mode=0o700)
        mounted = self._mounts.mount_memory(path, size)
        self._mounted.append(mounted)
        return mounted

    def _unpack(self, version: OpenedVersion, folder: Path, *, verify: bool) -> None:
        folder.mkdir(exist_ok=True)
        unpack(version, folder, self._store, verify=verify, threads=self._threads)


def _folder_name(owner: str) -> str:
    return owner.replace("/", "_")


def _footprint(version: OpenedVersion) -> int:
    """Bytes a version takes in memory: whole pages for each file."""
    return sum(-(-entry.size // _PAGE) * _PAGE for entry in version.contents.files()) + _SLACK


def _scratch_size(order: Order, opened: Sequence[OpenedVersion]) -> int:
    room = order.resources.disk_bytes or order.resources.memory_bytes
    return room + sum(_footprint(version) for version in opened)


def _check_job(job: PrivateJob, order: Order) -> None:
    ordered = {item.owner for item in order.inputs}
    if set(job.mounts.values()) != ordered or len(ordered) != len(order.inputs):
        raise IntegrityError("the job mounts other inputs than the order names")
    if len(job.outputs) != order.outputs or bool(job.checkpoint) != order.checkpoint:
        raise IntegrityError("the job declares other outputs than the order names")
    if len(job.points) != order.tasks:
        raise IntegrityError("the job has other points than the order's sweep has tasks")
    if set(job.publish) != set(order.publish):
        raise IntegrityError("the job publishes other metrics than the order names")
    for path in job.outputs.values():
        if not path.startswith(f"/{OUT}/") or ".." in path.split("/"):
            raise IntegrityError("the job declares an output outside /out")


def _make_writable(folder: Path) -> None:
    """Give the owner write permission: opened files are read-only, but this copy is the job's own."""
    for path in _tree(folder):
        mode = path.stat(follow_symlinks=False).st_mode
        if not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) | stat.S_IWUSR)


def _tree(folder: Path) -> Iterator[Path]:
    yield folder
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(root) / name
