"""The code bundle: the job's workdir and its private description, sealed like a dataset."""

import shutil
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from kifabrik.datasets.contents import contents_digest
from kifabrik.datasets.manifest import sign_manifest
from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.jobs.private import PATH, WORK, PrivateJob
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.transfer.objects import ObjectSink
from kifabrik.transfer.sealing import Sealer, VersionHead
from kifabrik.values import format_size

LEFT_OUT: Final = (
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    "*.pyc",
    ".mypy_cache",
    ".pytest_cache",
    "node_modules",
)
_LARGEST_BYTES: Final = 2 * 10**9


class CodeBundle:
    """A temporary folder with the bundle's tree; use as a context manager.

    Args:
        workdir: The job's code.
        job: The private description.

    Raises:
        NotFoundError: There is no such folder.
        UsageError: It is too large to be code.
    """

    def __init__(self, workdir: Path, job: PrivateJob) -> None:
        _check(workdir)
        self._temporary = TemporaryDirectory(prefix="kifabrik-bundle-")
        self._root = Path(self._temporary.name)
        try:
            shutil.copytree(workdir, self._root / WORK, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
            (self._root / PATH).parent.mkdir(parents=True)
            (self._root / PATH).write_bytes(job.to_bytes())
        except shutil.Error as error:
            self._temporary.cleanup()
            source, _, why = error.args[0][0]
            raise UsageError(f"{source} cannot be part of the code: {why}", hint="Move it elsewhere.") from None
        except BaseException:
            self._temporary.cleanup()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._temporary.cleanup()

    def code_digest(self) -> str:
        """The digest a grant can be bound to: of the code and the description together."""
        with plan_shards(self._root) as plan:
            return plan.digest()

    def seal(
        self, tenant: str, run: str, recipient: Recipient, device: SigningKey, store: ObjectSink
    ) -> tuple[Envelope, str]:
        """Seal and upload; return the signed manifest and the digest of the code tree."""
        head = VersionHead(tenant, f"{run}/code", 1, "", recipient, name="code")
        with TemporaryDirectory(prefix="kifabrik-spool-") as spool, plan_shards(self._root) as plan:
            sealed = Sealer(head, store, Path(spool)).seal(plan)
        return sign_manifest(sealed.manifest, device), contents_digest(sealed.contents)


def _check(workdir: Path) -> None:
    if not workdir.is_dir():
        raise NotFoundError(f"the workdir {workdir} does not exist")
    files = (path for path in workdir.rglob("*") if not path.is_dir() and not _left_out(path.relative_to(workdir)))
    size = sum(path.lstat().st_size for path in files)
    if size > _LARGEST_BYTES:
        raise UsageError(
            f"the workdir {workdir} holds {format_size(size)}", hint="Seal data as a dataset and mount it."
        )


def _left_out(path: Path) -> bool:
    return any(fnmatch(part, pattern) for part in path.parts for pattern in LEFT_OUT)
