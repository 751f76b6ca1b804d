"""Small parts of the launcher: its assignment, node, metrics, staging checks, folders, provenance."""

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.jobs.private import PrivateJob
from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.folder import claimed_folder
from kifabrik.launcher.metrics import MetricsReader
from kifabrik.launcher.node import Node
from kifabrik.launcher.staging import _check_job
from kifabrik.models.provenance import Provenance, Ran, sign_provenance
from kifabrik.orders.order import Input, Order
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import verify_statement
from kifabrik.values import Place, Resources

ASSIGNED = {"factory": "http://f", "attempt": "a-1", "token": "kfa_hidden", "tenant": "t-1"}


def test_an_assignment_is_read_and_its_token_never_shows():
    found = Assignment.from_json(json.dumps(ASSIGNED | {"gpus": [0, 3], "new field": 1}))
    assert (found.attempt, found.gpus, found.token) == ("a-1", (0, 3), "kfa_hidden")
    assert "kfa_hidden" not in repr(found)


@pytest.mark.parametrize("missing", ASSIGNED)
def test_an_assignment_that_lacks_something_is_refused_without_quoting_it(missing):
    line = json.dumps({name: value for name, value in ASSIGNED.items() if name != missing})
    with pytest.raises(UsageError) as refused:
        Assignment.from_json(line)
    assert "hidden" not in str(refused.value)


@given(st.text())
def test_any_line_is_an_assignment_or_refused(line):
    with pytest.raises(UsageError):
        Assignment.from_json(line)


def node_home(folder, toml="name = 'box'\n", key=b"\1" * 32):
    (folder / "node.toml").write_text(toml)
    (folder / "node.key").write_bytes(key)
    return folder


def test_a_node_home_is_read(tmp_path):
    node = Node.load(node_home(tmp_path, "name = 'box'\nobjects = '/o'\n"))
    assert (node.name, str(node.objects), node.runs) == ("box", "/o", tmp_path / "runs")
    assert node.key.seed.hex() not in repr(node)


@pytest.mark.parametrize(("toml", "key"), [("name = ", b"\1" * 32), ("name = 'box'", b"short")])
def test_a_damaged_node_home_names_the_file(tmp_path, toml, key):
    with pytest.raises(UsageError, match=r"node\.(toml|key)"):
        Node.load(node_home(tmp_path, toml, key))
    (tmp_path / "node.key").unlink()
    with pytest.raises(UsageError, match=r"node\.(toml|key)"):
        Node.load(tmp_path)


class Kept:
    """What a journal does with metrics, in memory."""

    def __init__(self):
        self.metrics = []
        self.notes = []

    def line(self, kind, text):
        assert kind == "note"
        self.notes.append(text)

    def metric(self, name, value, step):
        self.metrics.append((name, value, step))


def read_metrics(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    kept = Kept()
    return MetricsReader(path, kept).close(), kept.metrics


def test_metrics_are_read_and_the_last_value_of_each_counts(tmp_path):
    lines = [
        {"name": "auc", "value": 0.5, "step": 1},
        {"name": "auc", "value": 0.75, "step": 2},
        {"name": "n", "value": 3},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    last, all_of_them = read_metrics(tmp_path / "m", text)
    assert last == {"auc": 0.75, "n": 3.0}
    assert all_of_them == [("auc", 0.5, 1), ("auc", 0.75, 2), ("n", 3.0, 0)]


def test_a_line_of_another_form_is_noted_once_without_being_quoted(tmp_path):
    kept = Kept()
    path = tmp_path / "m"
    path.write_text('{"auc": 0.123}\n\n{"auc": 0.456}\n')
    assert MetricsReader(path, kept).close() == {}
    assert len(kept.notes) == 1
    assert "0.123" not in kept.notes[0]
    assert '{"name": "auc", "value": 0.9}' in kept.notes[0]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        "[" * 100_000,
        '{"name": "a"}',
        '{"name": "a", "value": "much"}',
        '{"name": "a", "value": null}',
        '{"name": "a", "value": NaN}',
        '{"name": "a", "value": 1e999}',
        '{"name": "a", "value": -Infinity}',
        '{"name": "", "value": 1}',
        json.dumps({"name": "x" * 101, "value": 1}),
        '{"name": "a", "value": 1, "step": "first"}',
        '{"name": "a", "value": 1, "step": 1e999}',
        '{"name": "a", "value": 1' + "0" * 5000 + "}",
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_a_hostile_line_is_left_out_and_the_next_one_counts(tmp_path, line):
    raw = line if isinstance(line, bytes) else line.encode()
    last, _ = read_metrics(tmp_path / "m", raw + b'\n{"name": "good", "value": 1}\n')
    assert last == {"good": 1.0}


@given(st.binary(max_size=300))
def test_no_bytes_stop_the_metrics_reader(tmp_path_factory, data):
    last, _ = read_metrics(tmp_path_factory.mktemp("m") / "m", data + b'\n{"name": "good", "value": 1}\n')
    assert last["good"] == 1.0


def test_a_metrics_file_that_is_a_link_a_pipe_or_missing_is_not_read(tmp_path):
    (tmp_path / "secret").write_text('{"name": "of the host", "value": 1}\n')
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "missing"):
        assert MetricsReader(tmp_path / name, Kept()).close() == {}


ORDER = Order(
    run="r-x",
    tenant="t-x",
    member="m-x",
    purpose="p",
    inputs=(Input("d-one", 1, "1" * 64), Input("d-two", 1, "2" * 64)),
    code="c" * 64,
    lock="l" * 64,
    python="3.11",
    resources=Resources(),
    place=Place(),
    outputs=1,
    publish=("auc",),
    checkpoint=True,
    attempts=1,
    retry_on=(),
    max_duration_s=60,
    budget_micro_eur=0,
    priority=0,
    ask=False,
    created="2026-11-23T08:00:00Z",
    deadline="2026-11-24T08:00:00Z",
    nonce="0" * 32,
    keyholder=1,
)
JOB = PrivateJob(
    name="n",
    run="true",
    variables={},
    mounts={"/data/a": "d-one", "/data/b": "d-two"},
    outputs={"model": "/out/model"},
    checkpoint="/checkpoint",
    publish=("auc",),
)


def test_a_job_that_says_what_its_order_says_is_staged():
    _check_job(JOB, ORDER)


@pytest.mark.parametrize(
    "change",
    [
        {"mounts": {"/data/a": "d-one"}},
        {"mounts": {"/data/a": "d-one", "/data/b": "d-three"}},
        {"outputs": {}},
        {"outputs": {"model": "/out/model", "more": "/out/more"}},
        {"outputs": {"model": "/data/a"}},
        {"outputs": {"model": "/out/../data"}},
        {"outputs": {"model": "/outside"}},
        {"checkpoint": ""},
        {"publish": ()},
        {"publish": ("auc", "loss")},
    ],
)
def test_a_job_that_says_something_else_than_its_order_is_refused(change):
    with pytest.raises(IntegrityError):
        _check_job(replace(JOB, **change), ORDER)


def test_two_versions_of_one_dataset_are_refused_and_neither_stands_for_the_other():
    twice = replace(ORDER, inputs=(Input("d-one", 1, "1" * 64), Input("d-one", 2, "2" * 64)))
    with pytest.raises(IntegrityError, match="other inputs"):
        _check_job(replace(JOB, mounts={"/data/a": "d-one", "/data/b": "d-one"}), twice)


def test_the_folder_of_an_attempt_is_there_while_it_is_claimed(tmp_path):
    with claimed_folder(tmp_path / "runs", "a-one") as folder:
        (folder / "spool").mkdir()
        (folder / "spool" / "body").write_bytes(b"x")
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_next_launcher_clears_away_what_a_killed_one_left_and_no_more(tmp_path):
    runs = tmp_path / "runs"
    code = "from pathlib import Path; import os, sys; from kifabrik.launcher.folder import claimed_folder\n"
    code += "with claimed_folder(Path(sys.argv[1]), 'a-killed') as f: (f / 'x').touch(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, runs], check=False)
    assert (runs / "a-killed" / "x").exists()
    with claimed_folder(runs, "a-alive") as alive, claimed_folder(runs, "a-next"):
        assert not (runs / "a-killed").exists()
        assert alive.exists()


def test_a_folder_that_another_launcher_clears_before_it_is_opened_is_made_again(tmp_path, monkeypatch):
    usual, cleared = os.open, []

    def late(path, flags, *others, **more):
        if path == tmp_path / "a-one" and not cleared:
            cleared.append(path)
            path.rmdir()  # what clearing does to a folder that nobody has locked yet
        return usual(path, flags, *others, **more)

    monkeypatch.setattr(os, "open", late)
    with claimed_folder(tmp_path, "a-one") as folder:
        assert cleared
        assert folder.is_dir()


def test_a_claimed_folder_is_locked(tmp_path):
    with claimed_folder(tmp_path, "a-one") as folder:
        handle = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)


def test_provenance_has_the_shape_of_slsa_v1_and_names_no_names():
    key = SigningKey.generate()
    ran = Ran(
        run="r-x",
        attempt="a-x",
        order="1" * 64,
        purpose="p",
        lease="2" * 64,
        materials={"d-one@1": "3" * 64, "code": "4" * 64},
        nodes=("5" * 64, "7" * 64),
        version="1.0",
        started="2026-11-23T08:00:00Z",
        finished="2026-11-23T08:01:00Z",
    )
    envelope = sign_provenance(ran, {"r-x/1": "6" * 64}, key)
    statement = verify_statement(envelope, Provenance, [key.public])
    assert json.loads(envelope.payload)["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement.subjects == {"r-x/1": "6" * 64}
    build, details = statement.predicate.buildDefinition, statement.predicate.runDetails
    assert {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"} == build.keys()
    assert [one["digest"]["sha256"][0] for one in build["resolvedDependencies"]] == ["4", "3"]
    assert details["builder"]["id"].endswith("5" * 64)
    assert details["metadata"]["invocationId"] == "r-x/a-x"
