"""Compounds with their measurements, and the table they are kept in between the steps.

Columns of such a table, in this order: `id`, `smiles`, `inchikey`, `date` (where known), one column for each
endpoint and beside it `ENDPOINT.relation` and `ENDPOINT.n`, then properties as they were given.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.durable import write_whole
from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.molecules import SKELETON
from kifabrik.recipes.pharma.numbers import Relation

FIXED: Final = ("id", "smiles", "inchikey", "date")
_RELATION: Final = ".relation"
_COUNT: Final = ".n"
_SIDES: Final = {Relation.BELOW.value: -1, Relation.ABOVE.value: 1}
_EXACT: Final = 2.0**53
"""Below it whole numbers are exact as floats."""
_AGAIN: Final = "It should be a table that `kifabrik pharma prepare` or `split` wrote."


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Measurements of one endpoint.

    Attributes:
        value: [compound]; NaN where there is none.
        relation: [compound] of `=`, `<`, `>`; empty where there is no value.
        count: [compound], how many measurements it was made from.
    """

    value: NDArray[np.float64]
    relation: tuple[str, ...]
    count: NDArray[np.int64]

    @property
    def side(self) -> NDArray[np.int8]:
        """[compound], on which side of the value the truth lies: 1 for `>`, -1 for `<`, 0 where it was measured."""
        return np.array([_SIDES.get(one, 0) for one in self.relation], dtype=np.int8)

    def __getitem__(self, places: NDArray[np.intp]) -> "Values":
        """Those of some compounds."""
        return Values(
            value=self.value[places],
            relation=tuple(self.relation[at] for at in places),
            count=self.count[places],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compounds:
    """Compounds, each once.

    Attributes:
        id: Of each compound.
        smiles: Standardised.
        inchikey: Standard InChIKey.
        date: ISO 8601, or empty.
        endpoints: Measurements by name of the endpoint.
        properties: Further columns by name, as they were given.
    """

    id: tuple[str, ...]
    smiles: tuple[str, ...]
    inchikey: tuple[str, ...]
    date: tuple[str, ...]
    endpoints: dict[str, Values] = field(hash=False)
    properties: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, places: Sequence[int] | NDArray[np.intp]) -> "Compounds":
        """Some of them, in the order of the places."""
        at = np.asarray(places, dtype=np.intp)

        def chosen(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(column[number] for number in at)

        return Compounds(
            id=chosen(self.id),
            smiles=chosen(self.smiles),
            inchikey=chosen(self.inchikey),
            date=chosen(self.date),
            endpoints={name: values[at] for name, values in self.endpoints.items()},
            properties={name: chosen(column) for name, column in self.properties.items()},
        )

    @property
    def skeleton(self) -> tuple[str, ...]:
        """First block of each InChIKey: what stereoisomers share."""
        return tuple(key[:SKELETON] for key in self.inchikey)

    def measured(self, endpoint: str) -> "Compounds":
        """Those that have a value of an endpoint."""
        return self[np.flatnonzero(np.isfinite(self.endpoints[endpoint].value))]

    def exact(self, endpoint: str) -> "Compounds":
        """Those that have a value of an endpoint which is not a bound."""
        values = self.endpoints[endpoint]
        return self[np.flatnonzero(np.isfinite(values.value) & (values.side == 0))]

    def with_properties(self, more: dict[str, tuple[str, ...]]) -> "Compounds":
        """The same with further columns."""
        return replace(self, properties={**self.properties, **more})


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV file whole or not at all: UTF-8, commas, decimal points; floats are exact."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    write_whole(path, text.getvalue().encode("utf-8", "replace"), mode=0o644)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, float | np.floating):
        return str(value)
    plain = float(value)
    if math.isnan(plain):
        return ""
    return str(int(plain)) if plain.is_integer() and abs(plain) < _EXACT else repr(plain)


def write_compounds(path: Path, compounds: Compounds) -> None:
    """Write compounds as a table."""
    header = ["id", "smiles", "inchikey"]
    columns: list[Sequence[Any]] = [compounds.id, compounds.smiles, compounds.inchikey]
    if any(compounds.date):
        header.append("date")
        columns.append(compounds.date)
    for name, values in compounds.endpoints.items():
        header += [name, f"{name}{_RELATION}", f"{name}{_COUNT}"]
        columns += [values.value.tolist(), values.relation, values.count.tolist()]
    header += compounds.properties
    columns += compounds.properties.values()
    write_table(path, header, list(zip(*columns, strict=True)))


def read_compounds(path: Path) -> Compounds:
    """Read a table that `write_compounds` wrote.

    Raises:
        UsageError: If it is not there or not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        raise UsageError(f"There is no table {path}.", hint=_AGAIN) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read.", hint=_AGAIN) from error
    header = rows[0] if rows else []
    missing = [name for name in ("id", "smiles", "inchikey") if name not in header]
    if missing:
        raise UsageError(f"{path} has no column {missing[0]}.", hint=_AGAIN)
    uneven = next((number for number, row in enumerate(rows, 1) if len(row) != len(header)), None)
    if uneven is not None:
        raise UsageError(f"Row {uneven} of {path} has other columns than the first.", hint=_AGAIN)
    body = rows[1:]
    columns = {name: tuple(row[at] for row in body) for at, name in enumerate(header)}
    endpoints = {}
    for name in header:
        if f"{name}{_RELATION}" in columns and f"{name}{_COUNT}" in columns:
            endpoints[name] = Values(
                value=_floats(columns[name], name, path),
                relation=columns[f"{name}{_RELATION}"],
                count=_floats(columns[f"{name}{_COUNT}"], name, path).astype(np.int64),
            )
    used = {*FIXED, *(column for name in endpoints for column in (name, f"{name}{_RELATION}", f"{name}{_COUNT}"))}
    return Compounds(
        id=columns["id"],
        smiles=columns["smiles"],
        inchikey=columns["inchikey"],
        date=columns.get("date", ("",) * len(body)),
        endpoints=endpoints,
        properties={name: column for name, column in columns.items() if name not in used},
    )


def _floats(cells: Sequence[str], name: str, path: Path) -> NDArray[np.float64]:
    try:
        return np.array([float(cell) if cell else math.nan for cell in cells], dtype=np.float64)
    except ValueError:
        bad = next(number for number, cell in enumerate(cells, 2) if cell and not _is_float(cell))
        raise UsageError(f"Row {bad} of {path} has no number in the column {name}.", hint=_AGAIN) from None


def _is_float(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
