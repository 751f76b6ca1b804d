"""Nodes and pods of a cluster, as Alibaba's `openb` tables give them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.plant.readable import rows_of

Ints = np.ndarray[Any, np.dtype[np.int64]]
MILLI: Final = 1000
"""Of one GPU."""
MOST_GPUS: Final = 8
_MOST: Final = 10**12
_NODE_COLUMNS: Final = ("cpu_milli", "memory_mib", "gpu")
_POD_COLUMNS: Final = ("cpu_milli", "memory_mib", "num_gpu", "gpu_milli")


@dataclass(frozen=True)
class Nodes:
    """Nodes of a cluster, in the order in which ties are broken.

    Attributes:
        cpu: Thousandths of cores; shape (nodes,).
        memory: MiB; shape (nodes,).
        gpus: Of each; shape (nodes,).
    """

    cpu: Ints
    memory: Ints
    gpus: Ints

    @property
    def milli(self) -> int:
        """Thousandths of GPUs of all nodes."""
        return int(self.gpus.sum()) * MILLI

    def in_order(self, numbers: Ints) -> "Nodes":
        """The same nodes in another order, given by their numbers in this one; shape (nodes,)."""
        return Nodes(self.cpu[numbers], self.memory[numbers], self.gpus[numbers])


@dataclass(frozen=True)
class Pods:
    """What containers ask for.

    Attributes:
        cpu: Thousandths of cores; shape (pods,).
        memory: MiB; shape (pods,).
        gpus: How many; 0: none; shape (pods,).
        milli: Thousandths of each; below 1000 only of a single GPU; shape (pods,).
    """

    cpu: Ints
    memory: Ints
    gpus: Ints
    milli: Ints

    @property
    def count(self) -> int:
        """How many."""
        return len(self.cpu)


def read_nodes(path: Path) -> Nodes:
    """Read `openb_nodes.csv`.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no such table; the message names line and field.
    """
    rows = np.array(list(_rows(path, _NODE_COLUMNS)), dtype=np.int64).reshape(-1, len(_NODE_COLUMNS))
    if not len(rows) or not rows[:, 2].sum():
        raise UsageError(f"{path} has no node with a GPU.", hint="Give Alibaba's table openb_nodes.csv.")
    if rows[:, 2].max() > MOST_GPUS:
        line = int(np.argmax(rows[:, 2] > MOST_GPUS)) + 2
        raise UsageError(f"{path}, line {line}, field gpu: more than {MOST_GPUS}.", hint="Split such nodes.")
    return Nodes(rows[:, 0], rows[:, 1], rows[:, 2])


def read_pods(path: Path) -> Pods:
    """Read `openb_pods.csv`.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no such table; the message names line and field.
    """
    rows = np.array(list(_rows(path, _POD_COLUMNS)), dtype=np.int64).reshape(-1, len(_POD_COLUMNS))
    if not len(rows) or not rows[:, 2].sum():
        raise UsageError(f"{path} has no pod with a GPU.", hint="Give Alibaba's table openb_pods.csv.")
    wrong = ((rows[:, 2] == 1) & ~((rows[:, 3] > 0) & (rows[:, 3] <= MILLI))) | (
        (rows[:, 2] > 1) & (rows[:, 3] != MILLI)
    )
    if wrong.any():
        line = int(np.argmax(wrong)) + 2
        raise UsageError(
            f"{path}, line {line}, field gpu_milli: {rows[line - 2, 3]} with {rows[line - 2, 2]} GPUs.",
            hint="One GPU may be shared: 1 to 1000; several are whole: 1000.",
        )
    return Pods(rows[:, 0], rows[:, 1], rows[:, 2], np.where(rows[:, 2] > 0, rows[:, 3], 0))


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[list[int]]:
    if not path.is_file():
        raise NotFoundError(f"There is no table {path}.", hint="It comes with Alibaba's cluster-trace-gpu-v2023.")
    for where, row in rows_of(path, columns, "Give Alibaba's table."):
        yield [_count(row[name], f"{where}, field {name}") for name in columns]


def _count(text: str | None, where: str) -> int:
    try:
        value = int(text or "")
    except ValueError:
        value = -1
    if not 0 <= value <= _MOST:
        raise UsageError(f"{where}: '{text}' is not a whole number from 0 to {_MOST:,}.", hint="Correct the line.")
    return value
