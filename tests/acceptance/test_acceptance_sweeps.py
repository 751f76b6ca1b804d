"""A sweep and a pipeline as a person plays them: order, look, retry, promote, pull; with processes killed."""

import csv
import io
import json

import pytest
from two_parties import WAITS

from kifabrik.errors import UsageError
from kifabrik.runs.states import RunState

pytestmark = pytest.mark.xdist_group("acceptance")

REGRESS = """
import csv, json, os
from pathlib import Path

lr, depth = float(os.environ["lr"]), int(os.environ["depth"])
point = json.loads(os.environ["KIFABRIK_PARAMETERS"])
assert (point["lr"], point["depth"]) == (lr, depth), point
rows = [row for file in Path("/data/line").iterdir() for row in csv.reader(file.open())]
pairs = [(float(x) / 200, float(y) / 400) for x, y in rows[1:]]
weights = [0.0] * (depth + 1)
for _ in range(60):
    slopes = [0.0] * len(weights)
    for x, y in pairs:
        error = sum(w * x**n for n, w in enumerate(weights)) - y
        for n in range(len(weights)):
            slopes[n] += error * x**n
    weights = [w - lr * s / len(pairs) for w, s in zip(weights, slopes)]
loss = sum((sum(w * x**n for n, w in enumerate(weights)) - y) ** 2 for x, y in pairs) / len(pairs)
model = Path("/out/model")
model.mkdir()
(model / "weights.json").write_text(json.dumps({"weights": weights, "lr": lr, "depth": depth}))
with open(os.environ["KIFABRIK_METRICS"], "a") as file:
    print(json.dumps({"name": "loss", "value": loss}), file=file)
print("task", os.environ["KIFABRIK_TASK"], "of", os.environ["KIFABRIK_TASKS"], "lr", lr, "depth", depth)
"""


@pytest.fixture(scope="module")
def swept(stage, tmp_path_factory):
    """A grid of six tasks that train, ordered and followed with the installed command; what it printed."""
    job = stage.job(
        tmp_path_factory.mktemp("swept"),
        REGRESS,
        name=stage.name("grid"),
        run='echo "shell sees $lr $depth"; python job.py',
        matrix={"lr": [0.1, 0.5, 1.0], "depth": [1, 3]},
        max_parallel=2,
        outputs={"model": "/out/model"},
        budget="5 EUR",
    )
    planned = stage.customer.kifabrik("apply", job, "--dry-run")
    said = stage.customer.kifabrik("apply", job, "--yes")
    return planned, said


def test_a_sweep_is_planned_and_followed_as_one(stage, swept):
    planned, said = swept
    assert "6, one for each point of lr, depth, at most 2 at once" in planned.err
    assert "for all tasks" in planned.err
    assert "all 6 tasks succeeded" in said.err
    orders = [e for e in stage.sdk.session.catalogue().entries if e.kind == "run.ordered" and "tasks" in e.refs]
    assert len([e for e in orders if e.refs["tasks"] == 6]) == 1


def test_ps_shows_a_sweep_as_one_line_and_its_tasks_on_request(stage, swept):
    (line,) = [
        one
        for one in stage.customer.kifabrik("ps", "--limit", 500, "--json").json()
        if one["name"] == stage.name("grid")
    ]
    assert (line["state"], line["tasks"]) == ("succeeded", {"succeeded": 6})
    tasks = stage.customer.kifabrik("ps", stage.name("grid"), "--json").json()
    assert [(one["task"], one["state"]) for one in tasks] == [(n, "succeeded") for n in range(1, 7)]
    assert tasks[3]["parameters"] == {"lr": 0.5, "depth": 3}
    assert "6/6" in stage.customer.kifabrik("ps").out
    assert "6/6" in stage.customer.kifabrik("ps", "--state", "succeeded", "--limit", 500).out
    assert stage.name("grid") not in stage.customer.kifabrik("ps", "--unfinished").out
    assert len(stage.customer.kifabrik("ps", stage.name("grid"), "--state", "succeeded", "--json").json()) == 6
    assert "none of these" in stage.customer.kifabrik("ps", stage.name("grid"), "--state", "failed").err


def test_ps_shows_the_first_tasks_of_a_sweep_up_to_the_limit_and_says_how_many_there_are(stage, swept):
    few = stage.customer.kifabrik("ps", stage.name("grid"), "--limit", 2, "--json").json()
    assert [one["task"] for one in few] == [1, 2]
    said = stage.customer.kifabrik("ps", stage.name("grid"), "--limit", 2)
    assert said.out.count("succeeded") == 2
    assert "the first 2 of 6 tasks" in said.err


def test_a_task_has_a_log_of_its_own_and_knows_its_parameters(stage, swept):
    said = stage.customer.kifabrik("logs", f"{stage.name('grid')}/4")
    assert "shell sees 0.5 3" in said.out
    assert "task 4 of 6 lr 0.5 depth 3" in said.out


def test_results_are_one_table_sorted_by_a_sealed_metric_opened_with_one_request(stage, swept):
    def requests():
        return sum(entry.kind == "lease.requested" for entry in stage.sdk.session.catalogue().entries)

    before = requests()
    rows = stage.customer.kifabrik("results", stage.name("grid"), "--by", "loss", "--min", "--json").json()
    assert requests() == before + 1
    losses = [row["metrics"]["loss"] for row in rows]
    assert len(losses) == 6
    assert losses == sorted(losses)
    assert {(row["parameters"]["lr"], row["parameters"]["depth"]) for row in rows} == {
        (lr, depth) for lr in (0.1, 0.5, 1.0) for depth in (1, 3)
    }
    shown = stage.customer.kifabrik("results", stage.name("grid"), "--by", "loss", "--min").out.splitlines()
    assert shown[0].split()[:4] == ["TASK", "lr", "depth", "loss"]
    assert shown[1].split()[0] == str(rows[0]["task"])
    table = list(csv.DictReader(io.StringIO(stage.customer.kifabrik("results", stage.name("grid"), "--csv").out)))
    assert {float(row["loss"]) for row in table} == set(losses)


def test_what_is_not_published_the_factory_does_not_show(stage, swept):
    rows = stage.customer.kifabrik("results", stage.name("grid"), "--published", "--json").json()
    assert all(row["metrics"] == {} for row in rows)
    said = stage.customer.kifabrik("results", stage.name("grid"), "--by", "auc", expect=3)
    assert "There are: loss" in said.err


def test_the_plot_has_a_panel_for_each_parameter_and_a_dot_for_each_task(stage, swept):
    picture = stage.customer.home / "loss.svg"
    stage.customer.kifabrik("results", stage.name("grid"), "--by", "loss", "--min", "--plot", picture)
    text = picture.read_text()
    assert text.count('class="task"') == 2 * 5
    assert text.count('class="best"') == 2
    assert "lr" in text


def test_no_task_is_a_model_version_until_one_is_promoted_and_pulled(stage, swept):
    name = stage.name("grid")
    missing = stage.customer.kifabrik("model", "pull", name, "--to", stage.customer.home / "none", expect=3)
    assert "there is no model" in missing.err
    best = stage.customer.kifabrik("results", name, "--by", "loss", "--min", "--json").json()[0]
    told = stage.customer.kifabrik("model", "promote", name, "--by", "loss", "--min", "--json").json()
    assert (told["model"], told["task"], told["run"]) == (f"{name}@1", best["task"], best["run"])
    again = stage.customer.kifabrik("model", "promote", f"{name}/{best['task']}", "--json").json()
    assert again["model"] == f"{name}@1"
    folder = stage.customer.home / "grid-model"
    stage.customer.kifabrik("model", "pull", name, "--to", folder)
    weights = json.loads((folder / "weights.json").read_text())
    assert {"lr": weights["lr"], "depth": weights["depth"]} == best["parameters"]
    other = 1 if best["task"] != 1 else 2
    assert stage.customer.kifabrik("model", "promote", f"{name}/{other}", "--json").json()["model"] == f"{name}@2"


def test_a_failing_task_is_retried_alone(stage, tmp_path):
    job = stage.job(
        tmp_path,
        "import os, sys\nprint('number', os.environ['n'])\n"
        "sys.exit(3 if os.environ['n'] == '2' and 'r-' in os.environ['KIFABRIK_RUN'] else 0)",
        name=stage.name("flaky"),
        matrix=[{"n": 1}, {"n": 2}, {"n": 3}],
        data=None,
        max_parallel=2,
    )
    failed = stage.customer.kifabrik("apply", job, "--yes", expect=9)
    assert "kifabrik retry" in failed.err
    why = stage.customer.kifabrik("why", stage.name("flaky")).out
    assert "Task 2: The job's program ended with an error" in why
    said = stage.customer.kifabrik("retry", stage.name("flaky"), "--yes", "--json").json()
    assert said["tasks"] == {"queued": 1}
    stage.end(said["run"])
    tasks = stage.customer.kifabrik("ps", stage.name("flaky"), "--json").json()
    assert [one["state"] for one in tasks] == ["succeeded", "failed", "succeeded"]
    assert tasks[1]["run"] == f"{said['run']}-2"
    assert "number 2" in stage.customer.kifabrik("logs", f"{stage.name('flaky')}/2").out
    assert stage.customer.kifabrik("retry", f"{stage.name('flaky')}/2", "--yes").status == 0


PREPARE = """
import csv, json
from pathlib import Path

rows = [row for file in Path("/data/line").iterdir() for row in csv.reader(file.open())]
Path("/out/features").mkdir()
Path("/out/features/pairs.json").write_text(json.dumps([[float(x), float(y)] for x, y in rows[1:]]))
print("prepared", len(rows) - 1, "pairs of", rows[0][0])
"""
TRAIN = """
import json
from pathlib import Path

assert not Path("/data/line").exists()
pairs = json.loads(Path("/data/features/pairs.json").read_text())
slope = sum(x * y for x, y in pairs) / sum(x * x for x, y in pairs)
Path("/out/model").mkdir()
Path("/out/model/slope.json").write_text(json.dumps(slope))
print("slope", slope, "of", len(pairs), "pairs")
"""


def test_a_pipeline_is_ordered_at_once_and_survives_the_service_being_killed(stage, tmp_path):
    prepare = stage.job(
        tmp_path / "prepare",
        WAITS + PREPARE,
        name=stage.name("prepare"),
        outputs={"features": "/out/features"},
    )
    train = stage.job(
        tmp_path / "train",
        TRAIN,
        name=stage.name("train"),
        data={"/data/features": f"output:{stage.name('prepare')}/features"},
        outputs={"model": "/out/model"},
    )
    views = stage.customer.kifabrik("apply", train, prepare, "--yes", "--detach", "--json").json()
    first, second = (view["run"] for view in views)
    stage.wait_until(first, lambda view: view.state is RunState.RUNNING, "running")
    launcher = stage.launcher_of(first)
    stage.kill_service()
    stage.start_service()
    assert f"({stage.name('prepare')})." in " ".join(stage.customer.kifabrik("why", second).out.split())
    stage.let_go(launcher)
    assert stage.end(second).state is RunState.SUCCEEDED
    assert "slope 2.0 of 200 pairs" in stage.customer.kifabrik("logs", stage.name("train")).out
    folder = stage.customer.home / "pipeline-model"
    stage.customer.kifabrik("model", "pull", stage.name("train"), "--to", folder)
    assert json.loads((folder / "slope.json").read_text()) == 2.0
    listed = stage.customer.kifabrik("model", "ls", "--json").json()
    (made,) = [one for one in listed if one["name"] == stage.name("train")]
    assert made["inputs"] == [f"model:{stage.name('prepare')}@1"], "its only output"


def test_a_pipeline_ends_with_a_reason_when_its_first_part_fails(stage, tmp_path):
    prepare = stage.job(
        tmp_path / "prepare",
        "raise SystemExit(1)",
        name=stage.name("broken"),
        outputs={"features": "/out/features"},
    )
    train = stage.job(
        tmp_path / "train",
        TRAIN,
        name=stage.name("behind"),
        data={"/data/features": f"output:{stage.name('broken')}/features"},
    )
    said = stage.customer.kifabrik("apply", prepare, train, "--yes", expect=9)
    assert "succeeded" not in said.err
    why = " ".join(stage.customer.kifabrik("why", stage.name("behind")).out.split())
    assert f"({stage.name('broken')}), which ended as failed" in why
    refused = stage.customer.kifabrik("apply", train, "--yes", expect=5)
    assert "has not succeeded" in refused.err


def test_one_approval_covers_a_sweep(stage, tmp_path):
    job = stage.job(tmp_path, "print('hello')", name=stage.name("asked"), matrix={"n": [1, 2, 3]}, ask=True)
    view = stage.customer.kifabrik("apply", job, "--yes", "--detach", "--json").json()
    words = ("--key-file", stage.customer.home / "keyholder.key")

    def asked():
        return stage.customer.kifabrik("keyholder", "asked", *words, "--json").json()

    stage.wait_until(view["run"] + "-1", lambda one: "must decide" in one.reason, "asked")
    (waiting,) = [one for one in asked() if one["run"] == view["run"]]
    assert "all 3 tasks" in waiting["note"]
    stage.customer.kifabrik("keyholder", "approve", view["run"], *words)
    assert stage.end(view["run"]).state is RunState.SUCCEEDED
    assert not [one for one in asked() if one["run"] == view["run"]]


def test_a_script_orders_a_sweep_waits_and_chooses(stage, tmp_path):
    job = stage.job(tmp_path, REGRESS, name=stage.name("scripted"), outputs={"model": "/out/model"})
    future = stage.sdk.sweep(job, {"lr": [0.5, 1.0], "depth": [1]}, max_parallel=2)
    rows = future.results(timeout=90)
    assert [dict(row.point) for row in rows] == [{"lr": 0.5, "depth": 1}, {"lr": 1.0, "depth": 1}]
    best = min(rows, key=lambda row: row.metrics["loss"])
    assert future.promote(best.number).version == 1
    assert future.done()
    with pytest.raises(UsageError, match="has a matrix"):
        stage.sdk.submit(job, matrix={"lr": [1], "depth": [1]})
