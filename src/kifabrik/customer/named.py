"""What members call by a name: datasets, runs, sweeps, models; found by the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kifabrik.datasets.names import is_name
from kifabrik.errors import NotFoundError
from kifabrik.jobs.matrix import Matrix
from kifabrik.values import task_run

_MODEL: Final = "model"


@dataclass(frozen=True)
class DatasetName:
    """A dataset by its name.

    Args:
        name: As its members call it.
        dataset: Dataset id.
        manifests: Digest of the manifest statement of each version, from 1.
        erased: Whether it was erased or its erasure decided.
    """

    name: str
    dataset: str
    manifests: tuple[str, ...]
    erased: bool


@dataclass(frozen=True)
class RunName:
    """A run by the name of its job, or a sweep as a whole.

    Args:
        name: Job name.
        run: Run id.
        outputs: Names of its declared outputs, numbered from 1.
        finished: Digests of the manifests of its outputs, once it has finished well; none of a sweep as a whole.
        time: When it was ordered.
        order: Digest of the order statement.
        matrix: Points of the sweep, as they were ordered; None for one run.
        only: Numbers of the tasks that were ordered; empty for all of them.
        again: Digest of the earlier order whose tasks these are again; empty normally.
    """

    name: str
    run: str
    outputs: tuple[str, ...]
    finished: tuple[str, ...]
    time: str
    order: str = ""
    matrix: Matrix | None = None
    only: tuple[int, ...] = ()
    again: str = ""

    def has_task(self, number: int) -> bool:
        """Whether this order of a sweep covers a task."""
        tasks = len(self.matrix) if self.matrix is not None else 0
        return number in (self.only or range(1, tasks + 1))


@dataclass(frozen=True)
class SweepName:
    """A sweep with what was ordered again of it.

    Args:
        orders: The first order, then those of failed tasks, in the order of the log.
    """

    orders: tuple[RunName, ...]

    @property
    def name(self) -> str:
        """Job name."""
        return self.orders[0].name

    @property
    def run(self) -> str:
        """Run id of the first order."""
        return self.orders[0].run

    @property
    def matrix(self) -> Matrix:
        """Its points."""
        matrix = self.orders[0].matrix
        if matrix is None:
            raise AssertionError
        return matrix

    def order_of(self, number: int) -> RunName:
        """Return the newest order that covers a task.

        Raises:
            NotFoundError: The sweep has no such task.
        """
        if not 1 <= number <= len(self.matrix):
            raise NotFoundError(f"{self.name} has no task {number}", hint=f"It has tasks 1 to {len(self.matrix)}.")
        return next(order for order in reversed(self.orders) if order.has_task(number))

    def run_of(self, number: int) -> str:
        """Return the run id of a task, as it was ordered last."""
        return task_run(self.order_of(number).run, number)


@dataclass(frozen=True)
class ModelVersion:
    """An output of a finished run under the name of its job, counted in the order of finishing.

    What a sweep's task has put out counts from the moment a member has promoted it, and not before.
    """

    name: str
    version: int
    run: RunName
    output: int

    @property
    def owner(self) -> str:
        """The owner its manifest names, such as `r-…/1`."""
        return f"{self.run.run}/{self.output}"

    @property
    def manifest(self) -> str:
        """Digest of its manifest statement."""
        return self.run.finished[self.output - 1]


def model_output(outputs: tuple[str, ...]) -> int | None:
    """Return the number of the output that is the model: the one of this name, or the only one; None if none is."""
    if _MODEL in outputs:
        return outputs.index(_MODEL) + 1
    return 1 if len(outputs) == 1 else None


def are_names(said: Mapping[str, Any]) -> bool:
    """Whether what a colleague's device has signed as names are some."""
    outputs = said.get("outputs", ())
    given = [said["name"]] if "name" in said else []
    return isinstance(outputs, list | tuple) and all(
        isinstance(one, str) and is_name(one) for one in (*given, *outputs)
    )
