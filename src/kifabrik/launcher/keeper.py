"""Keeps checkpoints: seals the checkpoint folder when it has changed and is quiet, and at the end."""

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from kifabrik.client.attempts import Attempts
from kifabrik.datasets.folder import Folder
from kifabrik.datasets.folders import open_folder
from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import ConflictError, KifabrikError, NotFoundError
from kifabrik.launcher.journal import Journal
from kifabrik.launcher.outputs import OutputSealer
from kifabrik.launcher.work import NamedManifest
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified

INTERVAL_S: Final = 60.0
_DIGEST_BYTES: Final = 16


class CheckpointKeeper:
    """Seals checkpoints while a job runs.

    Args:
        attempts: Client of this attempt.
        sealer: Seals and signs.
        memory: Root of what the job can write.
        within: Path of the checkpoint folder beneath it.
        last: The checkpoint the attempt was started from, if any.
        journal: Gets a note of every checkpoint.
        interval_s: Seconds between looks.
    """

    def __init__(
        self,
        attempts: Attempts,
        sealer: OutputSealer,
        memory: Path,
        within: str,
        last: NamedManifest | None,
        journal: Journal,
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._attempts = attempts
        self._sealer = sealer
        self._memory = memory
        self._within = within
        self._journal = journal
        self._interval_s = interval_s
        self._before: str = last.digest if last else ""
        self._manifest: Manifest | None = last.manifest if last else None
        self._seen = self._fingerprint()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="checkpoints", daemon=True)

    @property
    def last(self) -> str:
        """Digest of the newest checkpoint's manifest statement, or empty."""
        return self._before

    def start(self) -> None:
        """Begin to look."""
        self._watcher.start()

    def close(self, *, needed: bool) -> None:
        """Stop looking; call it when the job has ended.

        Args:
            needed: Whether another attempt may go on from what the job left: then it is sealed a last time.
        """
        self._ended.set()
        if self._watcher.is_alive():
            self._watcher.join()
        if needed:
            self._look()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval_s):
            self._look()

    def _look(self) -> None:
        try:
            now = self._fingerprint()
            if not now[1] or now == self._seen:
                return
            self._seal()
        except ConflictError:
            return  # the job is writing; the next look will find it quiet
        except KifabrikError as error:
            self._journal.line("note", f"A checkpoint could not be kept: {error.message}")
            return
        except (OSError, RecursionError) as error:  # names that are too long, folders that are too deep
            self._journal.line("note", f"A checkpoint could not be kept: {error}")
            return
        self._seen = now

    def _seal(self) -> None:
        envelope = self._sealer.seal_checkpoint(self._memory, self._within, self._before, self._manifest)
        self._attempts.add_checkpoint(envelope)
        self._take(envelope)
        self._journal.line("note", f"Checkpoint {self._manifest.version if self._manifest else 1} is kept.")

    def _take(self, envelope: Envelope) -> None:
        self._before = envelope.digest
        self._manifest, _ = read_unverified(envelope, Manifest)

    def _fingerprint(self) -> tuple[int, int]:
        """Digest of names, sizes and times of all files, and their number; a change is a reason to seal.

        A sum of digests, so that the order of names does not count and nothing is remembered for each
        file: their number is the job's choice, and they must not fill the launcher's memory.
        """
        folded = found = 0
        with closing(open_folder(self._memory)) as root, closing(root.enter(self._within)) as folder:
            waiting = [""]
            while waiting:
                above = waiting.pop()
                for path, status in _listing(folder, above):
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(path)
                        continue
                    folded = (folded + _digest(path, status)) % (1 << 8 * _DIGEST_BYTES)
                    found += 1
        return folded, found


def _digest(path: str, status: os.stat_result) -> int:
    said = f"{path}\0{status.st_size}\0{status.st_mtime_ns}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(said, digest_size=_DIGEST_BYTES).digest(), "big")


def _listing(folder: Folder, above: str) -> Iterator[tuple[str, os.stat_result]]:
    """List a folder by paths; it may have vanished since it was seen."""
    with suppress(NotFoundError):
        for one in folder.scan(above):
            yield (f"{above}/{one.name}" if above else one.name), one.stat
