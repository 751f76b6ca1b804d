"""Numbered parts of long work in a folder: what is there is whole, and is not done again.

Invariants:
    - Parts are written in order, each whole or not at all; the first missing one is where work goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kifabrik.durable import replacing
from kifabrik.recipes.pharma.left_out import RejectsFile


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of one stage.

    Attributes:
        folder: Where they lie.
        stage: How their names begin.
        suffix: How their names end.
    """

    folder: Path
    stage: str
    suffix: str

    def path(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"{self.stage}-{number:06d}{self.suffix}"

    def finished(self) -> int:
        """How many parts are there, one after the other."""
        number = 0
        while self.path(number).exists():
            number += 1
        return number

    def write_table(self, number: int, table: pa.Table) -> None:
        """Write a part that is a table."""
        with replacing(self.path(number)) as fresh:
            pq.write_table(table, fresh)

    def tables(self) -> Iterator[pa.Table]:
        """All parts that are tables."""
        for number in range(self.finished()):
            yield pq.read_table(self.path(number))

    def write_scores(
        self, number: int, scores: NDArray[np.float32], rejects: list[tuple[int, str, str, str]]
    ) -> None:
        """Write a part that is scores, and the rejects beside it first."""
        if rejects:
            with RejectsFile(self.rejects_path(number)) as file:
                file.write(rejects)
        with replacing(self.path(number)) as fresh, fresh.open("wb") as target:
            np.save(target, scores)

    def scores(self) -> Iterator[NDArray[np.float32]]:
        """All parts that are scores."""
        for number in range(self.finished()):
            yield np.load(self.path(number), allow_pickle=False)

    def rejects_path(self, number: int) -> Path:
        """Where the rejects of a part lie, if it has any."""
        return self.path(number).with_suffix(".csv")
