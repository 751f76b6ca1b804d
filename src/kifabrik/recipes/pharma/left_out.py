"""`rejects.csv`: rows that were left out, each with its reason."""

import csv
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

COLUMNS: Final = ("row", "id", "smiles", "reason")
_LONGEST: Final = 500


class RejectsFile:
    """A file of rejected rows: the row of the library (from 0), its id, its SMILES as given, and the reason.

    Args:
        path: Replaced if there.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)

    def write(self, rejects: Iterable[tuple[int, str, str, str]]) -> None:
        """Add rows; long SMILES are cut."""
        self._writer.writerows((row, name, text[:_LONGEST], reason) for row, name, text, reason in rejects)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._file.close()
