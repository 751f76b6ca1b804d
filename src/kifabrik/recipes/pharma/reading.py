"""Files of compounds as they come: CSV, SDF and SMILES files, gzipped or not, one row after the other.

Invariants:
- a file is read once, from beginning to end, whatever its size;
- a broken row or record is given back as broken, with its number, and reading goes on.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from kifabrik.errors import UsageError

STRUCTURE: Final = "\0structure"
"""Name of the cell that holds the structure: a SMILES or a molblock."""
TITLE: Final = "_Name"
"""Name of the cell that holds the title of an SDF record, or what follows the SMILES in a SMILES file."""
_STRUCTURES: Final = (
    "smiles", "canonical_smiles", "smi", "structure", "molecule", "mol", "drug", "struktur", "isomeric_smiles",
)  # fmt: skip
_DELIMITERS: Final = ",;\t|"
_SAMPLE: Final = 64 * 1024
_LONGEST_CELL: Final = 16 * 1024 * 1024
_SUFFIXES: Final = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".sdf": "sdf", ".sd": "sdf", ".smi": "smi", ".smiles": "smi",
    ".ism": "smi", ".can": "smi",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, or a record of an SDF.

    Attributes:
        number: Its line in the file, or the number of the record; the first is 1.
        cells: Text by column; the structure stands under `STRUCTURE`.
        broken: What is wrong with its form; empty if nothing is.
    """

    number: int
    cells: dict[str, str] = field(hash=False)
    broken: str = ""

    @property
    def structure(self) -> str:
        """The structure as given; empty if there is none."""
        return self.cells.get(STRUCTURE, "")


def rows_of(path: Path, smiles_column: str = "") -> Iterator[Row]:
    """Read a file.

    Args:
        path: A file that ends in .csv, .tsv, .txt, .sdf, .smi, or one of these and .gz.
        smiles_column: Name of the column with structures; empty: the one that is usually called so.

    Raises:
        UsageError: If the file is not there, not of a known kind, or has no column of structures.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_packed = suffixes[-1:] == [".gz"]
    kind = _SUFFIXES.get((suffixes[:-1] if is_packed else suffixes)[-1] if suffixes[is_packed:] else "")
    if kind is None:
        raise UsageError(
            f"{path.name} is no kind of file that is known.",
            hint="In Excel, save the sheet as CSV (semicolons and decimal commas are read)."
            if suffixes[-1:] in ([".xlsx"], [".xls"], [".xlsm"], [".ods"])
            else "Name a .csv, .tsv, .sdf or .smi file, or .gz.",
        )
    with _opened(path, is_packed=is_packed) as stream:
        match kind:
            case "csv":
                yield from _csv_rows(stream, path, smiles_column)
            case "sdf":
                yield from _sdf_rows(stream)
            case _:
                yield from _smiles_rows(stream)


@contextmanager
def _opened(path: Path, *, is_packed: bool) -> Iterator[TextIO]:
    try:
        with gzip.open(path, "rb") if is_packed else path.open("rb") as raw:
            sample = raw.read(_SAMPLE)
            raw.seek(0)
            with io.TextIOWrapper(raw, _encoding(sample), errors="replace", newline="") as stream:
                yield stream
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.", hint="Check the name and the folder.") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise UsageError(f"{path} cannot be read: {reason}.", hint="Is it whole, and may you read it?") from error


def _encoding(sample: bytes) -> str:
    """UTF-8 if it can be; else what Excel writes on Windows."""
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        sample.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return "utf-8-sig" if error.start > len(sample) - 4 else "cp1252"  # cut within a letter
    return "utf-8-sig"


def _csv_rows(stream: TextIO, path: Path, smiles_column: str) -> Iterator[Row]:
    before = csv.field_size_limit(_LONGEST_CELL)  # of the whole process
    try:
        yield from _rows_of_csv(stream, path, smiles_column)
    finally:
        csv.field_size_limit(before)


def _rows_of_csv(stream: TextIO, path: Path, smiles_column: str) -> Iterator[Row]:
    sample = stream.read(_SAMPLE)
    stream.seek(0)
    first = next((line for line in sample.splitlines() if line.strip()), "")
    if not first:
        raise UsageError(f"{path.name} is empty.", hint="It needs a row of column names and rows of compounds.")
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(stream, delimiter=delimiter)
    header: list[str] = []
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(reader.line_num, {}, str(error))
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = _header(cells, path, smiles_column)
            continue
        if len(cells) != len(header) and not _is_padded(cells, len(header)):
            broken = f"{len(cells)} cells, {len(header)} columns"
            yield Row(reader.line_num, dict(zip(header, cells, strict=False)), broken)
            continue
        yield Row(reader.line_num, dict(zip(header, cells, strict=False)))


def _is_padded(cells: list[str], width: int) -> bool:
    """Spreadsheets add empty cells at the end of a row."""
    return len(cells) > width and not any(cell.strip() for cell in cells[width:])


def _header(cells: list[str], path: Path, smiles_column: str) -> list[str]:
    names = [" ".join(cell.split()) for cell in cells]
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:
        raise UsageError(f"{path.name} has two columns {min(twice)}.", hint="Rename one of them.")
    lower = [name.lower().replace(" ", "_") for name in names]
    if smiles_column:
        if smiles_column not in names:
            raise UsageError(f"{path.name} has no column {smiles_column}.", hint=f"It has: {_listed(names)}.")
        at = names.index(smiles_column)
    else:
        found = [lower.index(name) for name in _STRUCTURES if name in lower]
        if not found:
            raise UsageError(
                f"{path.name} has no column of structures (smiles).",
                hint=f"Name it with --smiles-column. Columns: {_listed(names)}.",
            )
        at = found[0]
    return [STRUCTURE if number == at else name or f"column {number + 1}" for number, name in enumerate(names)]


def _listed(names: list[str], most: int = 12) -> str:
    shown = ", ".join(name or "(no name)" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _smiles_rows(stream: TextIO) -> Iterator[Row]:
    for number, line in enumerate(stream, 1):
        parts = line.split(None, 1)
        if not parts or parts[0].startswith("#") or (number == 1 and parts[0].lower() in _STRUCTURES):
            continue
        yield Row(number, {STRUCTURE: parts[0], TITLE: parts[1].strip() if len(parts) > 1 else ""})


def _sdf_rows(stream: TextIO) -> Iterator[Row]:
    lines: list[str] = []
    number = 0
    for line in stream:
        if line.startswith("$$$$"):
            number += 1
            yield _record(lines, number)
            lines = []
        else:
            lines.append(line.rstrip("\r\n"))
    if any(line.strip() for line in lines):
        yield _record(lines, number + 1)


def _record(lines: list[str], number: int) -> Row:
    """A molblock and its data items (BIOVIA CTfile formats, 2020, chapter SDfiles)."""
    end = next((at for at, line in enumerate(lines) if line.startswith("M  END")), None)
    if end is None:
        return Row(number, {TITLE: lines[0].strip() if lines else ""}, "no line M  END")
    cells = {STRUCTURE: "\n".join([*lines[: end + 1], ""]), TITLE: lines[0].strip()}
    name = ""
    for line in lines[end + 1 :]:
        if line.startswith(">") and "<" in line:
            name = line[line.index("<") + 1 :].rpartition(">")[0].strip()
        elif name and line.strip():
            cells[name] = f"{cells[name]} {line.strip()}" if name in cells else line.strip()
        elif not line.strip():
            name = ""
    return Row(number, cells)
