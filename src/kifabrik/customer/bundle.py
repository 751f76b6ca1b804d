"""The code bundle: the job's workdir and its private description, sealed like a dataset."""

import os
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from kifabrik.datasets.contents import contents_digest
from kifabrik.datasets.manifest import sign_manifest
from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import FULL_DISK, CapacityError, NotFoundError, UsageError
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
_KEY_FOLDERS: Final = ("member", "keyholder", "factory")
"""Of a home."""
_LARGEST_BYTES: Final = 2 * 10**9


class CodeBundle:
    """The bundle's tree, copied together.

    Args:
        workdir: The job's code.
        job: The private description.
        scratch: An empty folder for the copy; whoever made it removes it.
        home: Folder of this machine's keys, which are never part of the code.

    Raises:
        NotFoundError: There is no such folder.
        UsageError: It is too large to be code.
    """

    def __init__(self, workdir: Path, job: PrivateJob, scratch: Path, home: Path) -> None:
        secret = _secret(home, workdir)
        _check(workdir, secret)

        def left_out(folder: str, names: list[str]) -> set[str]:
            return {name for name in names if _left_out(Path(name)) or Path(folder, name) in secret}

        self._spool = scratch / "spool"
        self._root = scratch / "tree"
        try:
            shutil.copytree(workdir.resolve(), self._root / WORK, ignore=left_out, symlinks=True)
            (self._root / PATH).parent.mkdir(parents=True)
            (self._root / PATH).write_bytes(job.to_bytes())
        except shutil.Error as error:
            source, _, why = error.args[0][0]
            raise _not_copied(source, why, scratch) from None

    def code_digest(self) -> str:
        """Digest of the code and the description together: the part of `bound_code` that is not the packages."""
        with plan_shards(self._root) as plan:
            return plan.digest()

    def seal(
        self, tenant: str, run: str, recipient: Recipient, device: SigningKey, store: ObjectSink
    ) -> tuple[Envelope, str]:
        """Seal and upload; return the signed manifest and the digest of the code tree."""
        head = VersionHead(tenant, f"{run}/code", 1, "", recipient, name="code")
        with plan_shards(self._root) as plan:
            sealed = Sealer(head, store, self._spool).seal(plan)
        return sign_manifest(sealed.manifest, device), contents_digest(sealed.contents)


def _secret(home: Path, workdir: Path) -> frozenset[Path]:
    """Folders within a workdir that hold keys: the home in it, or those of a home the workdir is or lies in."""
    home = home.resolve()
    return frozenset({home} if workdir.resolve() in home.parents else {home / name for name in _KEY_FOLDERS})


def check_workdir(workdir: Path) -> None:
    """Check that there is such a folder; what is in it is looked at when it is copied.

    Raises:
        NotFoundError: There is nothing of that name.
        UsageError: It is no folder.
    """
    if not workdir.exists():
        raise NotFoundError(f"the workdir {workdir} does not exist", hint="It is named from the job file's folder.")
    if not workdir.is_dir():
        raise UsageError(f"the workdir {workdir} is not a folder", hint="Name the folder that holds the code.")


def _not_copied(source: str, why: str, scratch: Path) -> UsageError | CapacityError:
    """Return the error that says why something could not be copied, of which shutil keeps the text alone."""
    number = re.match(r"\[Errno (\d+)\] ", why)
    if number and int(number[1]) in FULL_DISK:
        return CapacityError(
            f"There is no room to put the code together in {scratch}.", hint="Free some space, then order again."
        )
    reason = why.removeprefix(number[0]).partition(": ")[0] if number else why
    return UsageError(f"{source} cannot be part of the code: {reason}", hint="Move it elsewhere.")


def _size(folder: str, file: str) -> int:
    try:
        return Path(folder, file).lstat().st_size
    except FileNotFoundError:  # gone since the folder was listed, as temporary files of editors are
        return 0


def _check(workdir: Path, secret: frozenset[Path]) -> None:
    check_workdir(workdir)
    root, size = workdir.resolve(), 0
    for folder, folders, files in os.walk(root):
        folders[:] = [one for one in folders if not _left_out(Path(one)) and Path(folder, one) not in secret]
        size += sum(_size(folder, file) for file in files if not _left_out(Path(file)))
    if size > _LARGEST_BYTES:
        raise UsageError(
            f"the workdir {workdir} holds {format_size(size)}", hint="Seal data as a dataset and mount it."
        )


def _left_out(path: Path) -> bool:
    return any(fnmatch(path.name, pattern) for pattern in LEFT_OUT)
