"""Sealing what a run puts out: declared outputs at its end, checkpoints on the way."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.datasets.index import Index, IndexWriter
from kifabrik.datasets.manifest import Manifest, sign_manifest
from kifabrik.datasets.packing import Plan, plan_shards
from kifabrik.datasets.paths import IGNORE_FILE
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.transfer.objects import ObjectSink
from kifabrik.transfer.sealing import Sealer, VersionHead
from kifabrik.values import format_size

_LEFT_OUT: Final = (IGNORE_FILE,)
"""What would say elsewhere what of a folder is not meant. A job has nothing to say about that."""
_INDEX: Final = "checkpoint.index"
"""Beside the folders the job sees, in the memory filesystem that holds them."""


@dataclass(frozen=True)
class OutputSealer:
    """Seals folders of one run to the lease's output recipient, signed by the run key.

    Args:
        tenant: Tenant id.
        run: Run id.
        recipient: From the lease.
        run_key: Signs the manifests.
        store: Where ciphertext goes.
        spool: Folder for ciphertext that waits for upload.
    """

    tenant: str
    run: str
    recipient: Recipient
    run_key: SigningKey
    store: ObjectSink
    spool: Path

    def seal_output(self, memory: Path, within: str, number: int, name: str) -> Envelope:
        """Seal the declared output `number` and sign its manifest.

        Args:
            memory: Root of what the job could write.
            within: Path of the output beneath it, reached without following links.
            number: From 1, in the order the job declares them.
            name: Goes into the sealed contents.

        Raises:
            NotFoundError: The job did not make it.
            UsageError: There is something in it that cannot be packed, such as a link, a device or a hole.
        """
        head = VersionHead(self.tenant, f"{self.run}/{number}", 1, "", self.recipient, name=name)
        with plan_shards(memory, within=within, ignore=_LEFT_OUT, heeds_own=False) as plan:
            self._check_size(plan, memory)
            sealed = Sealer(head, self.store, self.spool).seal(plan)
        return sign_manifest(sealed.manifest, self.run_key)

    def seal_checkpoint(self, memory: Path, within: str, before: str, previous: Manifest | None) -> Envelope:
        """Seal the checkpoint folder as the next version of the run's chain of checkpoints.

        Shards that did not change since the version before are shared with it, if this attempt made it.
        What is remembered for that names files, so it lies in the run's memory and never on the disk.

        Raises:
            ConflictError: The job was writing to it; try again.
        """
        version = previous.version + 1 if previous else 1
        head = VersionHead(
            self.tenant,
            f"{self.run}/checkpoint",
            version,
            before,
            self.recipient,
            name="checkpoint",
        )
        index = memory / _INDEX
        with (
            plan_shards(
                memory, within=within, previous=self._indexes(index), ignore=_LEFT_OUT, heeds_own=False
            ) as plan,
            IndexWriter(index, owner=head.owner, recipient=self.recipient.text) as writer,
        ):
            self._check_size(plan, memory)
            sealed = Sealer(head, self.store, self.spool).seal(plan, writer)
        return sign_manifest(sealed.manifest, self.run_key)

    @staticmethod
    def _check_size(plan: Plan, memory: Path) -> None:
        """Check that what is sealed can really be there.

        A file with a hole has any size and costs its writer nothing; sealing it would take for ever.
        """
        room = os.statvfs(memory)
        if plan.files_size > room.f_blocks * room.f_frsize:
            raise UsageError(
                f"the files are larger than their memory ({format_size(plan.files_size)}): they have holes"
            )

    def _indexes(self, path: Path) -> list[Index]:
        try:
            return [Index.load(path)]
        except NotFoundError:
            return []
