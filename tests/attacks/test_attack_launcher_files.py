"""The job writes files its launcher reads: files of any size, names of any length, folders of any depth."""

import json
import os
import subprocess
import sys

import pytest

from kifabrik.errors import UsageError
from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.keeper import CheckpointKeeper
from kifabrik.launcher.metrics import MetricsReader
from kifabrik.launcher.outputs import OutputSealer
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey
from kifabrik.values import Kind, new_id

HOLE = 2**42
"""Bytes of a file that takes no space: reading it would take an hour."""


class Kept:
    """What a journal is told, in memory."""

    def __init__(self):
        self.metrics, self.notes = 0, []

    def metric(self, _name, _value, _step):
        self.metrics += 1

    def line(self, kind, text):
        assert kind == "note"
        self.notes.append(text)


class Nowhere:
    """A store that must not be asked for anything."""

    def missing(self, digests):
        raise AssertionError(list(digests))


def with_hole(path):
    """Make a file that is larger than its disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(HOLE)


def sealer(folder):
    """Seals outputs of a run."""
    return OutputSealer(
        new_id(Kind.TENANT),
        new_id(Kind.RUN),
        Identity.generate().recipient,
        SigningKey.generate(),
        Nowhere(),
        folder / "spool",
    )


def test_a_metrics_file_of_any_size_is_read_to_a_limit(tmp_path):
    with_hole(tmp_path / "metrics.jsonl")
    kept = Kept()
    assert MetricsReader(tmp_path / "metrics.jsonl", kept, limit=3 * 2**20).close() == {}
    assert kept.notes == ["The metrics reached 3.15 MB; no more are read."]


def test_metrics_of_any_number_of_names_take_bounded_memory(tmp_path):
    lines = "".join(json.dumps({"name": f"m{number}", "value": number}) + "\n" for number in range(10_500))
    (tmp_path / "metrics.jsonl").write_text(lines)
    kept = Kept()
    values = MetricsReader(tmp_path / "metrics.jsonl", kept).close()
    assert len(values) == 10_000
    assert kept.metrics == 10_500


def test_an_output_with_a_hole_larger_than_its_memory_is_refused_at_once(tmp_path):
    with_hole(tmp_path / "out" / "model" / "weights.bin")
    with pytest.raises(UsageError, match="they have holes"):
        sealer(tmp_path).seal_output(tmp_path, "out/model", 1, "model")


def test_a_checkpoint_folder_of_any_depth_is_a_remark_not_the_launchers_end(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    kept = Kept()
    keeper = CheckpointKeeper(None, sealer(tmp_path), tmp_path, "checkpoint", None, kept)
    folder = os.open(tmp_path / "checkpoint", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=folder)
        folder, above = os.open("x" * 250, os.O_RDONLY, dir_fd=folder), folder
        os.close(above)
    os.close(os.open("weights", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
    os.close(folder)
    keeper.close(needed=True)
    assert len(kept.notes) == 1
    assert kept.notes[0].startswith("A checkpoint could not be kept")


def test_a_launcher_that_fails_unforeseen_says_no_more_than_the_kind_of_error(tmp_path):
    (tmp_path / "node.toml").write_text("runs = 7\n")
    (tmp_path / "node.key").write_bytes(b"\1" * 32)
    assignment = Assignment("http://127.0.0.1:9", new_id(Kind.ATTEMPT), "token", new_id(Kind.TENANT))
    ran = subprocess.run(
        [sys.executable, "-m", "kifabrik.launcher", "--node-home", str(tmp_path)],
        input=json.dumps(assignment.__dict__) + "\n",
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (1, "TypeError\n")
