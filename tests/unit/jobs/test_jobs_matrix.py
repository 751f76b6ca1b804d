"""Points of a sweep."""

import json
import subprocess

import pytest

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.jobs.jobfile import parse_job
from kifabrik.jobs.matrix import PARAMETERS, Matrix, variables_of
from kifabrik.jobs.references import InputReference

HEAD = "name: a\npurpose: b\nrun: x\n"


def test_a_grid_has_every_combination_the_last_parameter_changing_fastest() -> None:
    matrix = Matrix.from_plain({"lr": [0.1, 0.01], "depth": [3, 5]})
    assert len(matrix) == 4
    assert [tuple(point.values()) for point in matrix.points()] == [(0.1, 3), (0.1, 5), (0.01, 3), (0.01, 5)]


def test_a_list_has_its_points_in_the_order_of_the_first_ones_names() -> None:
    matrix = Matrix.from_plain([{"lr": 0.1, "opt": "adam"}, {"opt": "sgd", "lr": 1}])
    assert matrix.points() == ({"lr": 0.1, "opt": "adam"}, {"lr": 1, "opt": "sgd"})


@pytest.mark.parametrize(
    "written", [{"a": [1, 2], "b": ["x", True]}, [{"a": 1}, {"a": "1"}, {"a": 1.0}, {"a": True}]]
)
def test_a_matrix_comes_back_from_its_short_form(written: object) -> None:
    matrix = Matrix.from_plain(written)
    assert Matrix.from_body(json.loads(json.dumps(matrix.to_body()))) == matrix


@pytest.mark.parametrize("body", [None, [], {}, {"names": ["a"], "grid": [], "rows": []}, {"names": 3}])
def test_a_malformed_short_form_is_refused(body: object) -> None:
    with pytest.raises(IntegrityError):
        Matrix.from_body(body)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (3, "write a grid"),
        ("lr", "write a grid"),
        ([], "write a grid"),
        ([3], "every point"),
        ({}, "1 to 64"),
        ({"lr": 0.1}, "not a list"),
        ({"lr": []}, "at least one"),
        ({"lr": [0.1, 0.1]}, "twice"),
        ([{"a": 1}, {"a": 1}], "twice"),
        ([{"a": 1}, {"b": 1}], "other parameters"),
        ({"a": [None]}, "cannot be"),
        ({"a": [[1]]}, "cannot be"),
        ({"a": [float("inf")]}, "cannot be"),
        ({"a": [2**53]}, "cannot be"),
        ({"a": ["x" * 1001]}, "cannot be"),
        ({"a": ["\0"]}, "cannot be"),
        ({"a b": [1]}, "no name"),
        ({"PATH": [1]}, "meaning of its own"),
        ({"LD_PRELOAD": ["x.so"]}, "meaning of its own"),
        ({"PYTHONPATH": ["x"]}, "meaning of its own"),
        ({"KIFABRIK_RUN": [1]}, "meaning of its own"),
        ({"a": list(range(101)), "b": list(range(100))}, "at most 10000"),
    ],
)
def test_what_is_no_matrix_is_refused_with_a_sentence(written: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Matrix.from_plain(written)


def test_parameters_are_variables_and_all_of_them_json() -> None:
    found = variables_of({"lr": 0.1, "deep": True, "opt": "a b"})
    assert json.loads(found.pop(PARAMETERS)) == {"lr": 0.1, "deep": True, "opt": "a b"}
    assert found == {"lr": "0.1", "deep": "true", "opt": "a b"}


@pytest.mark.parametrize(
    "value", ["$(touch hacked)", "`touch hacked`", "'; touch hacked; '", '"; touch hacked; "', "a b"]
)
def test_the_shell_never_reads_a_value_as_a_command(tmp_path, value: str) -> None:
    said = subprocess.run(
        ["/bin/sh", "-c", 'printf %s "$name"; printf "|%s" $name'],
        env=variables_of({"name": value}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith(value + "|")
    assert not (tmp_path / "hacked").exists()


def test_a_job_file_with_a_matrix_keeps_it_when_it_is_changed() -> None:
    job = parse_job(HEAD + "matrix: {lr: [0.1, 0.01]}\nmax_parallel: 2\n")
    changed = job.changed(variables={"A": "1"}, name="c")
    assert (len(changed.swept()), changed.max_parallel) == (2, 2)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("max_parallel: 2", "max_parallel is for a sweep"),
        ("matrix: {a: 3}", "matrix: the values of 'a'"),
        ("matrix: {A: [1]}\nenvironment: {variables: {A: x}}", "stands in the matrix and among"),
        ("needs: ['a/b']", "needs"),
    ],
)
def test_a_job_file_says_what_is_wrong_with_its_sweep(rest: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_job(f"{HEAD}{rest}\n")


def test_an_output_is_named_by_run_task_and_name() -> None:
    assert InputReference.from_text("output:prepare/features") == InputReference("prepare", output="features")
    task = InputReference.from_text("output:search/17/model")
    assert (task.run, task.output, str(task)) == ("search/17", "model", "output:search/17/model")


@pytest.mark.parametrize("text", ["output:prepare", "output:a/b/c", "output:a/0/b", "output:/x", "output:a/17/"])
def test_what_is_no_output_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        InputReference.from_text(text)
    assert "output:RUN/OUTPUT" in refused.value.hint
