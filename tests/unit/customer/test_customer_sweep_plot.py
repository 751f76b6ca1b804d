"""Ranking and drawing the tasks of a sweep; sorting jobs that need each other."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kifabrik.customer.resolving import in_order
from kifabrik.customer.sweep_plot import plot
from kifabrik.customer.sweeps import TaskResult, best, ranked
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.jobs.jobfile import JobFile, parse_job
from kifabrik.runs.states import RunState

SVG = "{http://www.w3.org/2000/svg}"


def task(number: int, auc: float | None, state: RunState = RunState.SUCCEEDED, **point) -> TaskResult:
    metrics = {} if auc is None else {"auc": auc}
    return TaskResult(number, f"r-x-{number}", point or {"lr": 10.0**-number}, state, "", metrics, 5, 1.0)


def test_tasks_are_ranked_by_a_metric_and_those_without_it_come_last() -> None:
    rows = [task(1, 0.5), task(2, None), task(3, 0.9), task(4, 0.5)]
    assert [row.number for row in ranked(rows, "auc")] == [3, 1, 4, 2]
    assert [row.number for row in ranked(rows, "auc", lowest=True)] == [1, 4, 3, 2]
    with pytest.raises(NotFoundError) as refused:
        ranked(rows, "loss")
    assert "auc" in refused.value.hint


def test_the_best_is_one_that_succeeded() -> None:
    rows = [task(1, 0.5), task(2, 0.99, RunState.FAILED), task(3, 0.7)]
    assert best(rows, "auc").number == 3
    with pytest.raises(NotFoundError, match="has succeeded yet"):
        best(rows[1:2], "auc")


def test_a_picture_is_well_formed_and_shows_every_task_in_every_panel() -> None:
    rows = [task(n, 0.5 + n / 50, lr=10.0**-n, opt="<adam>" if n % 2 else "sgd & co", fixed=1) for n in range(1, 7)]
    root = ET.fromstring(plot([*rows, task(7, None, lr=3.0, opt="sgd & co", fixed=1)], "auc", 'a "name" <b>'))
    dots = root.findall(f".//{SVG}circle")
    assert [dot.get("class") for dot in dots].count("best") == 2, "one for each of the two that vary"
    assert len(dots) == 2 * 6
    for dot in dots:
        assert 0 <= float(dot.get("cx")) <= 300
        assert 0 <= float(dot.get("cy")) <= 240
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert "<adam>" in texts
    assert not any(text == "fixed" for text in texts)


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [-5.0, 5.0], [1e-9, 1e9], [3.0, 3.0000001]])
def test_any_numbers_can_be_drawn(values: list[float]) -> None:
    rows = [task(n, value, lr=value) for n, value in enumerate(values, 1)]
    assert plot(rows, "auc", "x").count("<circle") >= len(values)
    with pytest.raises(UsageError, match="nothing to draw"):
        plot(rows, "loss", "x")


def job(name: str, *needs: str, **data: str) -> tuple[JobFile, Path]:
    lines = [f"name: {name}", "purpose: b", "run: x", f"needs: [{', '.join(needs)}]"]
    lines += [f"data: {{/data/x: {reference}}}" for reference in data.values()]
    return parse_job("\n".join(lines) + "\n"), Path()


def test_jobs_are_ordered_behind_those_they_need() -> None:
    jobs = [job("train", x="output:prepare/features"), job("other"), job("report", "train"), job("prepare", "raw")]
    assert [one.name for one, _ in in_order(jobs)] == ["prepare", "train", "other", "report"]


def test_jobs_in_a_circle_or_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="circle: a needs b needs a"):
        in_order([job("a", "b"), job("b", "a")])
    with pytest.raises(UsageError, match="one name"):
        in_order([job("a"), job("a")])
