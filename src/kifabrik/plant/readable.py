"""Reading people's files: whatever goes wrong with a file itself is said in a sentence that names it."""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from kifabrik.errors import UsageError

_HINT: Final = "It has to be a text file in UTF-8, or one packed by gzip where that is said."


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Translate failures to open, unpack, decode or split a file.

    Args:
        path: Of the file, to be named.

    Raises:
        UsageError: One of these happened inside.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint=_HINT) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8 (byte {error.start}).", hint=_HINT) from None
    except (EOFError, zlib.error, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}.", hint=_HINT) from None


def opened(path: Path) -> TextIO:
    """Open a text file, also one packed by gzip (`.gz`)."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def rows_of(path: Path, columns: Sequence[str], hint: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a CSV file by column, each with where it stands (`FILE, line 7`); a cell that is lacking is None.

    Args:
        path: Of the file.
        columns: That it must have.
        hint: What to do where it has not.

    Raises:
        UsageError: The file cannot be read, or lacks a column.
    """
    with readable(path), opened(path) as file:
        rows = csv.DictReader(file)
        missing = [name for name in columns if name not in (rows.fieldnames or ())]
        if missing:
            raise UsageError(f"{path}, line 1: the column {missing[0]} is missing.", hint=hint)
        for row in rows:
            yield f"{path}, line {rows.line_num}", row
