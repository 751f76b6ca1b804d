"""The job writes files its launcher reads: files of any size, names of any length, folders of any depth."""

import json
import os
import socket
import stat
import subprocess
import sys
import tracemalloc

import pytest

from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import CapacityError, KifabrikError, UsageError
from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.keeper import CheckpointKeeper
from kifabrik.launcher.metrics import MetricsReader
from kifabrik.launcher.outputs import OutputSealer
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified
from kifabrik.transfer.opening import open_contents
from kifabrik.values import Kind, new_id
from memory_objects import MemoryObjects

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


def sealer(folder, identity=None, store=None):
    """Seals outputs of a run."""
    return OutputSealer(
        new_id(Kind.TENANT),
        new_id(Kind.RUN),
        (identity or Identity.generate()).recipient,
        SigningKey.generate(),
        store or Nowhere(),
        folder / "spool",
    )


def test_a_metrics_file_of_any_size_is_read_to_a_limit(tmp_path):
    with_hole(tmp_path / "metrics.jsonl")
    kept = Kept()
    assert MetricsReader(tmp_path / "metrics.jsonl", kept, limit=3 * 2**20).close() == {}
    odd, reached = kept.notes  # each is said once
    assert odd.startswith("A metric is a line such as")
    assert reached == "The metrics reached 3.15 MB; no more are read."


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


def sealed_names(folder):
    """Seal the declared output `model`; return the names its sealed contents list."""
    identity, store = Identity.generate(), MemoryObjects()
    envelope = sealer(folder, identity, store).seal_output(folder, "out/model", 1, "model")
    manifest, _ = read_unverified(envelope, Manifest)
    version = open_contents(manifest, store.objects[manifest.headers], [identity], store)
    return sorted(entry.path for entry in version.contents.files())


HOSTILE = {
    "new\nline": "control character",
    "\x1b]0;title\x07": "control character",
    b"\xff\xfe".decode(errors="surrogateescape"): "not valid Unicode",
    "back\\slash": "backslash",
    "/".join(["deep"] * 101): "deeper than 100 folders",
    "/".join(["x" * 250] * 9): "longer than 2048 bytes",
}
HARMLESS = (
    "-rf",
    "--help",
    "x" * 255,
    "Case",
    "case",
    "e\u0301",
    "\u00e9",
    "...",
    " ",
    "~",
    "$(id)",
    "a b",
    "üñí",
    "nul",
)


def made(folder, path):
    """Make a file at a path of any name and depth, as a job would."""
    *above, name = path.split("/")
    here = os.open(folder, os.O_RDONLY)
    for part in above:
        os.mkdir(part, dir_fd=here)
        here, left = os.open(part, os.O_RDONLY, dir_fd=here), here
        os.close(left)
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=here))
    os.close(here)


@pytest.fixture
def out(tmp_path):
    """The folder of a declared output."""
    folder = tmp_path / "out" / "model"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(("name", "fault"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_an_output_with_a_hostile_name_is_refused_in_words_that_are_safe_to_show(tmp_path, out, name, fault):
    made(out, name)
    with pytest.raises(UsageError, match=fault) as refused:
        sealer(tmp_path).seal_output(tmp_path, "out/model", 1, "model")
    assert refused.value.message.isprintable()
    refused.value.message.encode()


def test_odd_names_that_harm_nobody_come_through_each_as_itself(tmp_path, out):
    for name in HARMLESS:
        made(out, name)
    assert sealed_names(tmp_path) == sorted(HARMLESS)


def test_an_output_does_not_say_itself_what_is_left_out_of_it(tmp_path, out):
    """Matching patterns of the job's own making against names of its own making took the launcher days."""
    (out / ".kifabrikignore").write_text("*\n" + "".join(f"*x{number}*y\n" for number in range(900)))
    (out / "part").mkdir()
    for name in ("weights", "part/more", "part/.kifabrikignore"):
        (out / name).touch()
    assert sealed_names(tmp_path) == ["part/more", "weights"]


def special(folder, kind):
    """Make something that is not a plain file."""
    place = folder / "thing"
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(place))
    makers = {
        "link": lambda: place.symlink_to("/etc/shadow"),
        "folder link": lambda: place.symlink_to("/etc"),
        "loop": lambda: place.symlink_to("."),
        "fifo": lambda: os.mkfifo(place),
        "device": lambda: os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5)),
        "socket": lambda: None,
    }
    makers[kind]()


@pytest.mark.parametrize("kind", ["link", "folder link", "loop", "fifo", "device", "socket"])
@pytest.mark.parametrize("what", ["out/model", "out/model/thing", "checkpoint"])
def test_what_is_no_plain_file_is_neither_opened_nor_followed(tmp_path, out, kind, what):
    if kind == "device" and os.geteuid() != 0:
        pytest.skip("only root can make a device")
    folder = tmp_path / "checkpoint" if what == "checkpoint" else out
    folder.mkdir(exist_ok=True)
    special(folder, kind)
    seals = sealer(tmp_path)
    seal = seals.seal_checkpoint if what == "checkpoint" else seals.seal_output
    arguments = ("", None) if what == "checkpoint" else (1, "model")
    with pytest.raises(KifabrikError):
        seal(tmp_path, what, *arguments)


def test_a_file_of_two_names_is_sealed_as_two_files(tmp_path, out):
    (out / "one").write_text("content")
    os.link(out / "one", out / "two")
    assert sealed_names(tmp_path) == ["one", "two"]


def test_only_declared_outputs_are_sealed(tmp_path, out):
    (out / "weights").write_text("declared")
    for place in ("out/other", "out/model2", "work", "metrics"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / "secret").write_text("undeclared")
    assert sealed_names(tmp_path) == ["weights"]


def test_the_number_of_files_is_bounded(tmp_path, out, monkeypatch):
    monkeypatch.setattr("kifabrik.datasets.walking.MOST_FILES", 50)
    for number in range(51):
        made(out, str(number))
    with pytest.raises(CapacityError, match="more than 50 files"):
        sealer(tmp_path).seal_output(tmp_path, "out/model", 1, "model")


def test_looking_for_a_changed_checkpoint_takes_the_same_memory_for_any_number_of_files(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    for folder in range(30):
        (tmp_path / "checkpoint" / f"f{folder}").mkdir()
        for number in range(100):
            (tmp_path / "checkpoint" / f"f{folder}" / ("x" * 200 + str(number))).touch()
    keeper = CheckpointKeeper(None, sealer(tmp_path), tmp_path, "checkpoint", None, Kept())
    tracemalloc.start()
    keeper._fingerprint()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000  # the names alone are 600,000 bytes


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        lambda path: path.symlink_to(path.parent / "other.jsonl"),
        lambda path: path.symlink_to(path),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b'{"name": "a", "value": 1}\n' * 3),
    ],
    ids=["fifo", "link", "loop", "folder", "file"],
)
def test_metrics_are_read_from_a_plain_file_only(tmp_path, make):
    (tmp_path / "other.jsonl").write_bytes(b'{"name": "b", "value": 2}\n')
    make(tmp_path / "metrics.jsonl")
    kept = Kept()
    values = MetricsReader(tmp_path / "metrics.jsonl", kept).close()
    is_file = (tmp_path / "metrics.jsonl").is_file() and not (tmp_path / "metrics.jsonl").is_symlink()
    assert (values, kept.metrics) == (({"a": 1.0}, 3) if is_file else ({}, 0))


def test_lines_that_are_no_metrics_are_left_out(tmp_path):
    good = b'{"name": "auc", "value": 0.5}'
    bad = [
        *(b"", b"\0" * 1000, b"\xff\xfe", b"[" * 20_000, b"[]", b"7", b"null", b'"auc"', b"{}", b'{"name": "x"}'),
        *(b'{"name": "x", "value": NaN}', b'{"name": "x", "value": 1e999}', b'{"name": "", "value": 1}'),
        *(b'{"name": "' + b"x" * 101 + b'", "value": 1}', b'{"name": "x", "value": ' + b"9" * 5000 + b"}"),
        *(b'{"name": "x", "value": 1, "step": "no"}', b'{"name": "x", "value": 1, "step": 1e999}', b"x" * 200_000),
    ]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([*bad, good, good[:-1]]))
    kept = Kept()
    assert MetricsReader(tmp_path / "metrics.jsonl", kept).close() == {"auc": 0.5}
    assert kept.metrics == 1


def test_a_metrics_file_that_shrinks_or_vanishes_disturbs_nobody(tmp_path):
    path, kept = tmp_path / "metrics.jsonl", Kept()
    path.write_text('{"name": "a", "value": 1}\n')
    reader = MetricsReader(path, kept)
    reader._read()
    path.write_text("")
    reader._read()
    path.unlink()
    assert reader.close() == {"a": 1.0}
