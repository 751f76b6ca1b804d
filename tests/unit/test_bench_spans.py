"""The functions `bench/submit.py` times are named in text, so renaming one would only show when it is run."""

import ast
import importlib
from functools import reduce
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def _constant(file: Path, name: str) -> object:
    for statement in ast.parse(file.read_text()).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                return ast.literal_eval(value)
    raise AssertionError(f"{file}: no {name}")


POINTS: dict[str, tuple[str, ...]] = _constant(BENCH / "spans/spans.py", "POINTS")  # type: ignore[assignment]


@pytest.mark.parametrize(("module", "names"), POINTS.items())
def test_every_function_that_is_timed_exists(module: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert callable(reduce(getattr, name.split("."), importlib.import_module(module)))


def test_every_step_of_a_submit_is_timed() -> None:
    steps: tuple[tuple[str, str, str], ...] = _constant(BENCH / "submit.py", "STEPS")  # type: ignore[assignment]
    assert {function for _, function, _ in steps} <= {name for names in POINTS.values() for name in names}
