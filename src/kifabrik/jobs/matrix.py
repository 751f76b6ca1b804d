"""The points of a sweep: which parameters each task gets, from a grid or a list.

Invariants:
- every point has the same parameters, and no point stands twice;
- points keep their order, so a task's number means the same parameters wherever it is read;
- a parameter reaches the job as an environment variable, never as a piece of a command line: the shell
  expands `$lr` and does not read what it holds as a command.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, TypeAlias

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.values import MOST_TASKS

Value: TypeAlias = str | int | float | bool
Point: TypeAlias = Mapping[str, Value]

PARAMETERS: Final = "KIFABRIK_PARAMETERS"
"""Variable with all of a task's parameters as one JSON object."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TAKEN: Final = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "TMPDIR",
        "IFS",
        "ENV",
        "PWD",
        "OMP_NUM_THREADS",
        "VIRTUAL_ENV",
        "PYTHONUNBUFFERED",
        "RANK",
        "LOCAL_RANK",
        "GROUP_RANK",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
    ]
)
"""Variables that mean something to the shell, Python or torchrun."""
_TAKEN_BEGINNINGS: Final = ("KIFABRIK_", "LD_", "PYTHON")
_LONGEST_TEXT: Final = 1000
_MOST_NAMES: Final = 64


@dataclass(frozen=True)
class Matrix:
    """The points of a sweep.

    Args:
        names: Of the parameters.
        grid: Values by parameter, the last parameter changing fastest; empty for a list.
        rows: Values of each point in the order of `names`; empty for a grid.

    Raises:
        UsageError: A name or value cannot be a parameter's, or the points are too many, or one stands twice.
    """

    names: tuple[str, ...]
    grid: tuple[tuple[Value, ...], ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= _MOST_NAMES:
            raise UsageError(f"a matrix has 1 to {_MOST_NAMES} parameters")
        for name in self.names:
            _check_name(name)
        values = self.grid or self.rows
        for value in (one for row in values for one in row):
            _check_value(value)
        if not values or len(self) < 1:
            raise UsageError("a matrix has at least one point")
        if len(self) > MOST_TASKS:
            raise UsageError(f"the matrix has {len(self)} points, at most {MOST_TASKS}")
        for row in self.grid or ([self.rows] if self.rows else []):
            if len({_key(one) for one in row}) != len(row):
                raise UsageError("a value or point of the matrix stands twice")

    def __len__(self) -> int:
        return math.prod(len(values) for values in self.grid) if self.grid else len(self.rows)

    def points(self) -> tuple[Point, ...]:
        """Return all points; task 1 gets the first."""
        rows = product(*self.grid) if self.grid else self.rows
        return tuple(dict(zip(self.names, row, strict=True)) for row in rows)

    def to_body(self) -> dict[str, Any]:
        """Return the matrix as plain values, short."""
        grid = [list(values) for values in self.grid]
        return {"names": list(self.names), "grid": grid, "rows": [list(row) for row in self.rows]}

    @classmethod
    def from_body(cls, body: Any) -> "Matrix":
        """Read what `to_body` made.

        Raises:
            IntegrityError: It is none.
        """
        try:
            grid = tuple(tuple(values) for values in body["grid"])
            return cls(tuple(body["names"]), grid, tuple(tuple(row) for row in body["rows"]))
        except (KeyError, TypeError, UsageError):
            raise IntegrityError("the matrix of a sweep is malformed") from None

    @classmethod
    def from_plain(cls, written: Any) -> "Matrix":
        """Read a grid `{lr: [0.1, 0.01], depth: [3, 5]}` or a list `[{lr: 0.1, depth: 3}, …]`.

        Raises:
            UsageError: It is neither.
        """
        if isinstance(written, Mapping):
            return cls(_texts(written), tuple(_values(name, values) for name, values in written.items()))
        if isinstance(written, Sequence) and not isinstance(written, str) and written:
            return cls._from_list(written)
        raise UsageError("write a grid like {lr: [0.1, 0.01]} or a list like [{lr: 0.1}, {lr: 0.01}]")

    @classmethod
    def _from_list(cls, written: Sequence[Any]) -> "Matrix":
        if not all(isinstance(point, Mapping) for point in written):
            raise UsageError("every point of a list names its parameters, like {lr: 0.1, depth: 3}")
        names = _texts(written[0])
        for number, point in enumerate(written, 1):
            if set(point) != set(names):
                raise UsageError(f"point {number} has other parameters than the first: {', '.join(_texts(point))}")
        return cls(names, (), tuple(tuple(point[name] for name in names) for point in written))


def variables_of(point: Point) -> dict[str, str]:
    """Return the environment variables that carry a point: one for each parameter, and all as JSON."""
    texts = {name: _text(value) for name, value in point.items()}
    return texts | {PARAMETERS: json.dumps(dict(point), ensure_ascii=False)}


def show_value(value: Value) -> str:
    """Return a value as people write it in a job file."""
    return _text(value)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _texts(point: Mapping[Any, Any]) -> tuple[str, ...]:
    return tuple(str(name) for name in point)


def _values(name: Any, values: Any) -> tuple[Value, ...]:
    if not isinstance(values, list | tuple):
        raise UsageError(f"the values of {name!r} are not a list, like [0.1, 0.01]")
    return tuple(values)


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name!r} is no name of a parameter", hint="Letters, digits and _, such as lr or MAX_DEPTH."
        )
    if name in _TAKEN or name.startswith(_TAKEN_BEGINNINGS):
        raise UsageError(f"{name!r} is a variable with a meaning of its own", hint="Call the parameter otherwise.")


def _check_value(value: Any) -> None:
    number = isinstance(value, int | float) and math.isfinite(value) and abs(value) < 2**53
    text = isinstance(value, str) and len(value) <= _LONGEST_TEXT and "\0" not in value
    if not (number or text):
        raise UsageError(
            f"{str(value)[:80]!r} cannot be a parameter", hint="A number, a truth value or a short text."
        )


def _key(value: Any) -> Any:
    """Tell `1`, `1.0` and `true` apart, which Python calls equal."""
    return (
        tuple((type(one).__name__, one) for one in value)
        if isinstance(value, tuple)
        else (type(value).__name__, value)
    )
