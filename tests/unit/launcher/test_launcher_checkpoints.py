"""Checkpoints: sealed when they have changed, chained, and never on the node's disk in plaintext."""

import pytest

from kifabrik.datasets.manifest import Manifest, verify_manifest
from kifabrik.errors import UnavailableError
from kifabrik.launcher.keeper import CheckpointKeeper
from kifabrik.launcher.outputs import OutputSealer
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified
from memory_objects import MemoryObjects

NAME = "zirbel-weights.pt"


class Stored(MemoryObjects):
    """An object store, and a factory that keeps manifests and notes."""

    def __init__(self):
        super().__init__()
        self.manifests, self.notes, self.away = [], [], False

    def upload(self, source, digest, size, progress):
        if self.away:
            raise UnavailableError("the factory is away")
        super().upload(source, digest, size, progress)

    def add_checkpoint(self, manifest):
        self.manifests.append(manifest)

    def line(self, kind, text):
        self.notes.append((kind, text))


@pytest.fixture
def playing(tmp_path):
    """A store, a keeper that has just begun, and the folders it works with."""
    memory, spool = tmp_path / "memory", tmp_path / "spool"
    (memory / "checkpoint").mkdir(parents=True)
    store, key = Stored(), SigningKey.generate()
    sealer = OutputSealer("t-" + "a" * 32, "r-" + "b" * 16, Identity.generate().recipient, key, store, spool)
    keeper = CheckpointKeeper(store, sealer, memory, "checkpoint", None, store)
    return store, keeper, memory, spool, key


def write(memory, text):
    path = memory / "checkpoint" / NAME
    path.write_text(text)
    return path


def test_what_the_job_left_is_sealed_at_the_end(playing):
    store, keeper, memory, _, key = playing
    write(memory, "step 1")
    keeper.close(needed=True)
    (envelope,) = store.manifests
    manifest = verify_manifest(envelope, [key.public]).predicate
    assert (manifest.owner, manifest.version, manifest.previous) == ("r-" + "b" * 16 + "/checkpoint", 1, "")
    assert keeper.last == envelope.digest
    assert store.notes == [("note", "Checkpoint 1 is kept.")]


def test_nothing_is_sealed_where_nobody_needs_it_or_nothing_is_there(playing):
    store, keeper, memory, _, _ = playing
    keeper.close(needed=True)
    write(memory, "step 1")
    keeper.close(needed=False)
    assert store.manifests == []
    assert keeper.last == ""


def test_checkpoints_are_chained_and_unchanged_ones_not_sealed_again(playing):
    store, keeper, memory, _, _ = playing
    write(memory, "step 1")
    keeper.close(needed=True)
    keeper.close(needed=True)
    write(memory, "step 22")
    keeper.close(needed=True)
    first, second = store.manifests
    assert read_unverified(second, Manifest)[0].previous == first.digest
    assert read_unverified(second, Manifest)[0].version == 2


def test_no_file_name_and_no_content_of_a_checkpoint_reaches_the_disk(playing):
    store, keeper, memory, spool, _ = playing
    store.away = True  # what waits for upload stays on the disk
    write(memory, "zirbel content " * 100)
    keeper.close(needed=True)
    assert store.manifests == []
    assert "could not be kept" in store.notes[0][1]
    on_disk = [path for path in spool.rglob("*") if path.is_file()]
    assert on_disk
    for path in on_disk:
        assert b"zirbel" not in path.read_bytes()
        assert "zirbel" not in path.name


def test_a_checkpoint_that_could_not_be_kept_is_tried_again(playing):
    store, keeper, memory, _, _ = playing
    write(memory, "step 1")
    store.away = True
    keeper.close(needed=True)
    store.away = False
    keeper.close(needed=True)
    assert len(store.manifests) == 1
