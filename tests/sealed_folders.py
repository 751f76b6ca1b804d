"""Folders sealed into a folder of ciphertext, as a node sees one, for tests of what opens them."""

import hashlib
import shutil
from contextlib import contextmanager
from pathlib import Path

from kifabrik.datasets.grouping import ShardSizes
from kifabrik.datasets.packing import plan_shards
from kifabrik.seals.identities import Identity
from kifabrik.transfer.opening import OpenedVersion, open_contents
from kifabrik.transfer.sealing import Sealer, VersionHead

TENANT, DATASET = "t-" + "a" * 32, "d-" + "b" * 16
SIZES = ShardSizes(target=2**20, small_file=2**19)
"""Small shards, so that small folders have several of both kinds."""


class FolderOfObjects:
    """A store of ciphertext in a folder, laid out as the factory does: `aa/digest`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opened = 0

    def path(self, digest):
        return self.root / digest[:2] / digest

    def missing(self, digests):
        return {digest for digest in digests if not self.path(digest).exists()}

    def upload(self, source, digest, size, progress):
        self.path(digest).parent.mkdir(parents=True, exist_ok=True)
        with self.path(digest).open("wb") as file:
            shutil.copyfileobj(source, file, 2**20)
        progress(size)

    def upload_bytes(self, data):
        digest = hashlib.sha256(data).hexdigest()
        self.path(digest).parent.mkdir(parents=True, exist_ok=True)
        self.path(digest).write_bytes(data)
        return digest

    def upload_small(self, bodies):
        for data in bodies:
            self.upload_bytes(data)

    def fetch(self, digest, limit):
        return self.path(digest).read_bytes()[: limit + 1]

    @contextmanager
    def open(self, digest, _size):
        with self.path(digest).open("rb", buffering=0) as file:
            yield file

    def at_any_position(self, digest, _size):
        self.opened += 1
        return self.path(digest)


def seal_folder(folder: Path, root: Path, spool: Path, sizes: ShardSizes = SIZES) -> OpenedVersion:
    """Seal a folder into `root/objects` and read what is in it, as a launcher with a lease would."""
    identity, store = Identity.generate(), FolderOfObjects(root)
    head = VersionHead(TENANT, DATASET, 1, "", identity.recipient)
    with plan_shards(folder, previous=(), sizes=sizes) as plan:
        sealed = Sealer(head, store, spool).seal(plan)
    headers = store.fetch(sealed.manifest.headers, 2**30)
    return open_contents(sealed.manifest, headers, [identity], store)
