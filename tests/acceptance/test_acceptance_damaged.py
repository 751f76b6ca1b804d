"""Parts of a sealed model that are damaged or missing at the factory: a member is told which, and loses nothing."""

import re
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from behind_the_service import Sealed, exchange, flip, objects

from kifabrik.datasets.manifest import Manifest
from kifabrik.signatures.statements import read_unverified

pytestmark = pytest.mark.xdist_group("acceptance")


@dataclass(frozen=True)
class Stored:
    """A model as it lies at the factory."""

    stage: object
    sealed: Sealed
    statement: object


def half(data):
    return data[: len(data) // 2]


def shard_flipped(stored):
    stored.sealed.change(stored.sealed.first.shards[0].sha256, flip)


def shard_truncated(stored):
    stored.sealed.change(stored.sealed.first.shards[0].sha256, half)


def shard_missing(stored):
    stored.sealed.delete(stored.sealed.first.shards[0].sha256)


def list_of_files_truncated(stored):
    stored.sealed.change(stored.sealed.first.sealed_manifest.sha256, half)


def list_of_files_missing(stored):
    stored.sealed.delete(stored.sealed.first.sealed_manifest.sha256)


def manifest_truncated(stored):
    text = stored.statement.to_json()
    exchange(stored.stage, stored.statement.digest, text, text[: len(text) // 2], stored.sealed.undo)


DAMAGES = [
    shard_flipped,
    shard_truncated,
    shard_missing,
    list_of_files_truncated,
    list_of_files_missing,
    manifest_truncated,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_pull_names_what_is_damaged_or_missing_leaves_nothing_and_succeeds_once_it_is_back(
    stage, trained, tmp_path, damage
):
    name, target = stage.name("slope"), tmp_path / "model"
    run = stage.sdk.session.catalogue().run(name).run
    digest = stage.sdk.session.runs.evidence(run).manifests[0]
    statement = stage.sdk.session.datasets.statement(digest)
    manifest = read_unverified(statement, Manifest)[0]
    with ExitStack() as undo:
        damage(Stored(stage, Sealed(objects(stage), undo, manifest, manifest), statement))
        said = stage.customer.kifabrik("model", "pull", name, "--to", target, expect=None)
        assert said.status in {3, 6, 7}, said
        assert said.out == ""
        (error,) = [line for line in said.err.splitlines() if line.startswith("error: ")]
        assert re.search(r"[0-9a-f]{12}|shard|manifest|statement|contents|header", error), said.err
        assert "hint: " in said.err, said.err
        assert "unforeseen" not in said.err
        assert not target.exists()
        assert list(tmp_path.iterdir()) == []
    stage.customer.kifabrik("model", "pull", name, "--to", target)
    assert (target / "slope.json").exists()
