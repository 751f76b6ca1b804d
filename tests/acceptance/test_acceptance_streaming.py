"""Data that no node can hold, through both parties: streamed, said so, and never wrong."""

import hashlib
import json
import os
import random
import tomllib

import pytest

from kifabrik.datasets.manifest import Manifest
from kifabrik.runs.states import Outcome, RunState
from kifabrik.sandbox.streamed import cannot_stream
from kifabrik.signatures.statements import read_unverified
from kifabrik.values import parse_size

pytestmark = [
    pytest.mark.xdist_group("acceptance"),
    pytest.mark.skipif(os.geteuid() != 0 or bool(cannot_stream()), reason="needs root and FUSE"),
]

TEXT = "\n".join(map(str, random.Random(9).choices(range(10**6), k=300_000)))
"""About 2 MB, more than is left beside the run."""
READ = """
import hashlib, os
with open("/data/ore/large.txt", "rb") as file:
    print(hashlib.sha256(file.read()).hexdigest())
print(sorted(os.listdir("/data/ore")), [line.split()[2] for line in open("/proc/mounts") if "/data/ore" in line])
"""


@pytest.fixture(scope="module")
def ore(stage):
    """A dataset that does not fit beside the runs of this module; and what they ask for."""
    sealed = stage.seal(stage.name("ore"), {"large.txt": TEXT, "small.txt": "small"})
    stage.grant(stage.name("ore"), "upkeep")
    node = tomllib.loads((stage.factory.home / "factory" / "node" / "node.toml").read_text())
    parts = {
        "data": {"/data/ore": stage.name("ore")},
        "resources": {"cpu": 1, "memory": str(parse_size(node["memory"]) - 10**6)},
    }
    return sealed, parts


def history(stage, run):
    return " ".join(event.reason for event in stage.sdk.session.runs.history(run))


def test_data_no_node_can_hold_is_streamed_and_the_plan_says_so(stage, ore, tmp_path):
    _, parts = ore
    job = stage.job(tmp_path / "plan", READ, **parts)
    assert "MB, streamed: opened while it is read" in stage.customer.kifabrik("apply", job, "--dry-run").err
    assert json.loads(stage.customer.kifabrik("apply", job, "--dry-run", "--json").out)["streamed"]
    future = stage.order(tmp_path / "run", READ, **parts)
    result = future.result(120)
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    assert [line.text for line in result.log()] == [digest, "['large.txt', 'small.txt'] ['fuse']"]
    said = history(stage, future.run)
    assert "is streamed: no node has memory for it." in said
    assert "the data is opened while it is read" in said


def test_data_that_fits_is_opened_into_memory(stage, ore, tmp_path):
    _, parts = ore
    fits = parts | {"resources": {"cpu": 1, "memory": "300MB"}}
    future = stage.order(tmp_path, READ, **fits)
    assert "['tmpfs']" in [line.text for line in future.result(120).log()][1]
    assert "streamed" not in history(stage, future.run)


def test_a_damaged_shard_ends_a_streaming_run_with_its_name_and_no_wrong_byte(stage, ore, tmp_path):
    _, parts = ore
    session = stage.sdk.session
    dataset = session.catalogue().dataset(stage.name("ore"))
    manifest, _ = read_unverified(session.datasets.statement(dataset.manifests[0]), Manifest)
    largest = max(manifest.shards, key=lambda body: body.size)
    path = stage.factory.home / "factory" / "objects" / session.tenant / largest.sha256[:2] / largest.sha256
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    path.write_bytes(changed)
    try:
        future = stage.order(tmp_path, READ, **parts)
        view = stage.end(future)
    finally:
        path.write_bytes(whole)
    assert (view.state, view.attempts[-1].outcome) == (RunState.FAILED, Outcome.INTEGRITY)
    assert f"shard {largest.sha256[:16]} is damaged" in view.reason
    said = stage.log(future.run)
    assert any(f"shard {largest.sha256[:16]} is damaged" in line for line in said)
    assert any("Input/output error" in line for line in said)
    assert not any(len(line) == 64 for line in said)  # no digest of wrong bytes
    again = stage.order(tmp_path / "again", READ, **parts)
    assert again.result(120).view.state is RunState.SUCCEEDED
