"""Molecules streamed from files of any size, in chunks that are the same in every run.

Files: SMILES lines (`.smi`, `.smiles`, `.txt`: a SMILES, then an id), tables (`.csv`, `.tsv`: a header names the
columns), each also with `.gz`; and Parquet.

Invariants:
    - Memory holds one chunk, whatever the size of the file.
    - Row `r` of the file (from 0, without header and blank lines) is row `r` here; a line that cannot be read is a
      row with a reason.
    - Text that is no UTF-8 is kept with replacement letters; no line ends the stream.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Final

from kifabrik.errors import UsageError

SMILES_COLUMNS: Final = ("smiles", "canonical_smiles", "structure", "drug", "mol", "molecule", "cxsmiles")
ID_COLUMNS: Final = (
    "id",
    "compound_id",
    "molecule_id",
    "mol_id",
    "drug_id",
    "zinc_id",
    "chembl_id",
    "name",
    "title",
)
_LINES: Final = frozenset({".smi", ".smiles", ".txt", ".ism", ".cxsmiles"})
_TABLES: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET: Final = frozenset({".parquet", ".pq"})
_LONGEST_LINE: Final = 65_536
_AT_ONCE: Final = 8_192
_TOO_LONG: Final = f"the line is longer than {_LONGEST_LINE:,} letters"


@dataclass(frozen=True, slots=True)
class Molecules:
    """Consecutive molecules of a library.

    Attributes:
        first: Row of the first.
        ids: Of each; the row's number where the file names none.
        smiles: Of each; empty where the line has none.
        reasons: Why a row could not be read, by its place here.
    """

    first: int
    ids: Sequence[str]
    smiles: Sequence[str]
    reasons: dict[int, str]


@dataclass(frozen=True, slots=True)
class Library:
    """A file of molecules.

    Attributes:
        path: The file.
        smiles_column: Of a table; found by its name if empty.
        id_column: Of a table; found by its name if empty, and may be missing then.
    """

    path: Path
    smiles_column: str = ""
    id_column: str = ""

    def chunks(self, size: int, *, start: int = 0) -> Iterator[Molecules]:
        """Stream the molecules.

        Args:
            size: Rows in a chunk; the last one may be shorter.
            start: Row to begin with, a multiple of `size`; those before are passed over without being kept.

        Raises:
            UsageError: The file is missing, is no library, or breaks off.
        """
        rows = islice(self._rows(), start, None)
        first = start
        while batch := list(islice(rows, size)):
            reasons = {place: reason for place, (_, _, reason) in enumerate(batch) if reason}
            ids = [name or str(first + place) for place, (_, name, _) in enumerate(batch)]
            yield Molecules(first, ids, [text for text, _, _ in batch], reasons)
            first += len(batch)

    def count(self) -> int:
        """Rows of the file, by reading it once."""
        if self._kind() in _PARQUET:
            import pyarrow.parquet as pq  # noqa: PLC0415 - only where a file asks for it

            with self._told():
                return int(pq.ParquetFile(self.path).metadata.num_rows)
        return sum(1 for _ in self._rows())

    def _kind(self) -> str:
        """The suffix that says what the file is."""
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        if suffixes and suffixes[-1] == ".gz":
            suffixes.pop()
        kind = suffixes[-1] if suffixes else ""
        if kind not in _LINES | _TABLES.keys() | _PARQUET:
            raise UsageError(
                f"{self.path} is no library kifabrik can read.",
                hint="Give .smi, .smiles, .txt, .csv, .tsv (each also with .gz) or .parquet.",
            )
        return kind

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        """SMILES, id and what is wrong with each row."""
        kind = self._kind()
        with self._told():
            if kind in _PARQUET:
                yield from self._parquet_rows()
            elif kind in _LINES:
                yield from self._line_rows()
            else:
                yield from self._table_rows(_TABLES[kind])

    def _told(self) -> "_Told":
        return _Told(self.path)

    def _open(self) -> IO[str]:
        if self.path.suffix.lower() == ".gz":
            return gzip.open(self.path, "rt", encoding="utf-8-sig", errors="replace", newline="\n")
        return self.path.open(encoding="utf-8-sig", errors="replace", newline="\n")

    def _lines(self, file: IO[str]) -> Iterator[str]:
        """Lines that are not blank; what is too long is cut, so that a file without line ends fills no memory."""
        while line := file.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE and not line.endswith("\n"):
                while (rest := file.readline(_LONGEST_LINE)) and not rest.endswith("\n"):
                    pass
                yield line
            elif line.strip():
                yield line.rstrip("\r\n")

    def _line_rows(self) -> Iterator[tuple[str, str, str]]:
        with self._open() as file:
            for line in self._lines(file):
                if len(line) == _LONGEST_LINE:
                    yield "", "", _TOO_LONG
                    continue
                smiles, _, rest = line.rstrip().replace("\t", " ").partition(" ")
                yield smiles, rest.strip(), ""

    def _table_rows(self, separator: str) -> Iterator[tuple[str, str, str]]:
        with self._open() as file:
            lines = self._lines(file)
            header = next(lines, "")
            if separator == "," and header.count(";") > header.count(","):
                separator = ";"
            names = _cells(header, separator)
            at, name_at = self._columns(names)
            for line in lines:
                if len(line) == _LONGEST_LINE:
                    yield "", "", _TOO_LONG
                    continue
                cells = _cells(line, separator)
                name = cells[name_at].strip() if name_at is not None and len(cells) > name_at else ""
                if len(cells) != len(names):
                    yield "", name, f"the line has {len(cells)} cells, the header {len(names)}"
                else:
                    yield cells[at].strip(), name, ""

    def _parquet_rows(self) -> Iterator[tuple[str, str, str]]:
        import pyarrow.parquet as pq  # noqa: PLC0415 - only where a file asks for it

        file = pq.ParquetFile(self.path)
        names = file.schema_arrow.names
        at, name_at = self._columns(names)
        columns = [names[at]] if name_at is None else [names[at], names[name_at]]
        for batch in file.iter_batches(_AT_ONCE, columns=columns):
            cells = [batch.column(name).to_pylist() for name in columns]
            for row, smiles in enumerate(cells[0]):
                name = cells[-1][row] if name_at is not None else None
                yield str(smiles or "").strip(), "" if name is None else str(name), ""

    def _columns(self, names: Sequence[str]) -> tuple[int, int | None]:
        """Where SMILES and ids stand."""
        at = _find(names, self.smiles_column, SMILES_COLUMNS)
        name_at = _find(names, self.id_column, ID_COLUMNS)
        if not any(name.strip() for name in names):
            raise UsageError(f"{self.path} is empty.", hint="It needs a row of column names and rows of molecules.")
        if at is None:
            asked = f"no column {self.smiles_column!r}" if self.smiles_column else "no column of SMILES"
            raise UsageError(
                f"{self.path} has {asked}; it has {', '.join(map(repr, names[:12])) or 'no columns'}.",
                hint="Name the column with --smiles-column.",
            )
        if self.id_column and name_at is None:
            raise UsageError(
                f"{self.path} has no column {self.id_column!r}; it has {', '.join(map(repr, names[:12]))}.",
                hint="Name the column with --id-column, or leave the option out.",
            )
        return at, None if name_at == at else name_at


class _Told:
    """Turns what goes wrong with a file into a sentence."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise UsageError(f"There is no file {self._path}.", hint="Check the path.") from error
        if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error):
            raise UsageError(
                f"{self._path} is no whole gzip file: {error}.", hint="Fetch or pack it again; it may be cut off."
            ) from error
        if isinstance(error, OSError):
            raise UsageError(f"{self._path} cannot be read: {error.strerror or error}.") from error
        if type(error).__module__.startswith("pyarrow"):
            raise UsageError(f"{self._path} is no Parquet file: {error}.") from error


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _find(names: Sequence[str], asked: str, usual: Sequence[str]) -> int | None:
    plain = [name.strip().strip('"').lower() for name in names]
    for name in (asked.lower(),) if asked else usual:
        if name in plain:
            return plain.index(name)
    return None
