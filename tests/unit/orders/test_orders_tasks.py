"""Which runs an order covers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_orders_order import ORDER

from kifabrik.orders.order import Input, Need, order_subjects
from kifabrik.orders.tasks import covers, order_run, runs_of, shape_fault
from kifabrik.values import MOST_TASKS, is_run, sweep_of, task_number, task_run

OTHER = "r-" + "b" * 16
SWEEP = replace(ORDER, tasks=20)


def test_an_order_of_one_run_covers_it_and_no_task() -> None:
    assert runs_of(ORDER) == (ORDER.run,)
    assert covers(ORDER, ORDER.run)
    assert not covers(ORDER, task_run(ORDER.run, 1))


def test_an_order_of_a_sweep_covers_its_tasks_and_not_the_sweep_itself() -> None:
    assert len(runs_of(SWEEP)) == 20
    assert all(covers(SWEEP, run) for run in runs_of(SWEEP))
    assert not covers(SWEEP, SWEEP.run)
    assert not covers(SWEEP, task_run(SWEEP.run, 21))
    assert not covers(SWEEP, task_run(OTHER, 1))


def test_an_order_of_some_tasks_covers_these_under_their_numbers() -> None:
    some = replace(SWEEP, only=(3, 17))
    assert runs_of(some) == (task_run(SWEEP.run, 3), task_run(SWEEP.run, 17))
    assert covers(some, task_run(SWEEP.run, 17))
    assert not covers(some, task_run(SWEEP.run, 4))


@given(st.text(alphabet="r-ab234567019/", max_size=30))
def test_no_other_text_is_covered(text: str) -> None:
    for order in (ORDER, SWEEP):
        assert not covers(order, text) or text in runs_of(order)
        assert not covers(order, ORDER.run + text) or ORDER.run + text in runs_of(order)


@given(st.integers(1, MOST_TASKS))
def test_a_tasks_run_names_its_sweep_and_number(number: int) -> None:
    run = task_run(ORDER.run, number)
    assert (sweep_of(run), task_number(run), order_run(run), is_run(run)) == (ORDER.run, number, ORDER.run, True)


@pytest.mark.parametrize("text", ["-0", "-01", "-10001", "-100000", "-1-1", "--1", "-", "-1\n", "-½"])
def test_nothing_else_is_a_tasks_run(text: str) -> None:
    assert not is_run(ORDER.run + text)


def test_the_subjects_name_what_is_needed_and_repeated_and_no_empty_digest() -> None:
    order = replace(
        ORDER,
        inputs=(*ORDER.inputs, Input(f"{OTHER}/1", 1, "")),
        needs=(Need(OTHER, "99" * 32),),
        again="88" * 32,
    )
    subjects = order_subjects(order)
    assert subjects[OTHER] == "99" * 32
    assert subjects["again"] == "88" * 32
    assert "" not in subjects.values()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": MOST_TASKS + 1}, "1 to 10000"),
        ({"tasks": -1}, "1 to 10000"),
        ({"max_parallel": -1, "tasks": 2}, "max_parallel"),
        ({"only": (1,)}, "only a sweep"),
        ({"max_parallel": 1}, "only a sweep"),
        ({"tasks": 3, "only": (2, 2)}, "ascending"),
        ({"tasks": 3, "only": (3, 1)}, "ascending"),
        ({"tasks": 3, "only": (4,)}, "does not have"),
        ({"tasks": 3, "only": (0,)}, "does not have"),
        ({"needs": (Need(OTHER, "1"), Need(OTHER, "2"))}, "one twice"),
        ({"needs": (Need(task_run(OTHER, 1), "1"),)}, "not an order's run"),
        ({"needs": (Need(ORDER.run, "1"),)}, "needs itself"),
        (
            {"inputs": (Input("d-" + "a" * 16, 1, "11" * 32), Input("d-" + "a" * 16, 2, "22" * 32))},
            "one input twice",
        ),
        ({"inputs": (Input(f"{OTHER}/1", 1, ""),)}, "not of a run it needs"),
        ({"inputs": (Input("d-" + "a" * 16, 1, ""),)}, "not of a run it needs"),
    ],
)
def test_what_is_impossible_about_an_order_is_said(changes: dict, words: str) -> None:
    assert words in shape_fault(replace(ORDER, **changes))


def test_what_is_possible_has_no_fault() -> None:
    needs = (Need(OTHER, "99" * 32),)
    awaited = (Input(f"{task_run(OTHER, 3)}/1", 1, ""),)
    assert shape_fault(ORDER) == ""
    assert shape_fault(replace(SWEEP, only=(1, 20), max_parallel=3, needs=needs, inputs=awaited)) == ""
