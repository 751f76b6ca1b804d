"""One file of a run's sealed results, opened in memory on the customer's side.

Invariants:
- nothing is opened before the run's chain of proofs holds, and the keyholder has leased the keys to this device;
- the file is what the sealed contents say, byte for byte, or it is not given;
- nothing of it touches this machine's disk.
"""

import io
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from kifabrik.connectors.sap.result_rows import Results
from kifabrik.customer.leasing import lease_results
from kifabrik.customer.proof import prove_run
from kifabrik.customer.session import Session
from kifabrik.datasets.contents import FileEntry
from kifabrik.errors import CapacityError, IntegrityError, NotFoundError, UsageError
from kifabrik.seals.opening import copy_opened
from kifabrik.transfer.objects import ObjectSource
from kifabrik.transfer.opening import OpenedVersion, open_contents
from kifabrik.values import format_size

LARGEST_BYTES: Final = 2**30
"""Of a sealed part that is opened in memory."""
_SHOWN: Final = 8
_ENDINGS: Final = (".parquet", ".csv")


@dataclass(frozen=True)
class RunFile:
    """A file of a run.

    Args:
        run: Id of the run.
        output: Name of the output it is in.
        path: Inside the output.
        data: Its bytes.
        lease_index: Entry of the log with the lease.
    """

    run: str
    output: str
    path: str
    data: bytes
    lease_index: int

    @property
    def results(self) -> Results:
        """Its rows."""
        return Results.of_bytes(f"{self.run}, {self.output}/{self.path}", self.data)


def open_run_file(session: Session, name: str, path: str = "") -> RunFile:
    """Prove a run, lease the keys of its outputs, and open one file of them in memory.

    Args:
        session: Connected.
        name: Run id, its beginning, or the newest run of a job name.
        path: Of the file, inside its output or with the output's name before it; '' for the only Parquet or CSV.

    Raises:
        NotFoundError: There is no such run or file.
        UsageError: Several files may be meant.
        RefusedError: The keyholder does not release it.
        IntegrityError: The chain is broken, or the bytes do not verify.
        CapacityError: It is too large for memory.
    """
    catalogue = session.catalogue()
    found = catalogue.run(name)
    proof = prove_run(session, catalogue, found.run)
    lease = lease_results(session, found.run, [output.digest for output in proof.outputs])
    files: list[tuple[str, OpenedVersion, int, FileEntry]] = []
    for label, output in zip(found.outputs, proof.outputs, strict=False):
        version = open_contents(
            output.predicate, lease.headers[output.digest], [session.profile.opener], session.store
        )
        files += [
            (label, version, number, entry)
            for number, shard in enumerate(version.contents.shards)
            for entry in shard.files
        ]
    label, version, number, entry = _choose(found.run, files, path)
    data = _opened(version, number, entry, session.store)
    return RunFile(found.run, label, entry.path, data, lease.statement.predicate.log_index)


def _choose(
    run: str, files: list[tuple[str, OpenedVersion, int, FileEntry]], path: str
) -> tuple[str, OpenedVersion, int, FileEntry]:
    if path:
        meant = [one for one in files if path in {one[3].path, f"{one[0]}/{one[3].path}"}]
    else:
        meant = [one for one in files if one[3].path.lower().endswith(_ENDINGS)]
    if len(meant) == 1:
        return meant[0]
    shown = ", ".join(f"{label}/{entry.path}" for label, _, _, entry in (meant or files)[:_SHOWN])
    if meant:
        raise UsageError(f"{run} has several files that may be meant: {shown}", hint="Name one with --file.")
    what = f"no file {path!r}" if path else "no Parquet or CSV file"
    raise NotFoundError(f"{run} has {what}", hint=f"It has: {shown}." if shown else "It has no files at all.")


def _opened(version: OpenedVersion, number: int, entry: FileEntry, store: ObjectSource) -> bytes:
    shard, body = version.contents.shards[number], version.manifest.shards[number]
    if shard.plain_size > LARGEST_BYTES:
        raise CapacityError(
            f"{entry.path} lies in a sealed part of {format_size(shard.plain_size)}; 1 GiB is opened in memory",
            hint="Pull the output to a folder, and name the file in it: kifabrik model pull, kifabrik sap push.",
        )
    sink = io.BytesIO()
    with store.open(body.sha256, body.size) as source:
        copy_opened(source, sink, version.file_keys[number])
    data = bytes(sink.getbuffer()[entry.offset : entry.offset + entry.size])
    if len(data) != entry.size or sha256(data).hexdigest() != entry.sha256:
        raise IntegrityError(f"{entry.path} is not what was sealed")
    return data
