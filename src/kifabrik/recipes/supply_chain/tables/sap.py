"""Joins exports of SAP's own tables, one file or sheet each, to the tables of a network.

SAP keeps in several tables what belongs together. Joined here are, where they were not joined before:

| ours | of SAP | by |
|---|---|---|
| `bom` | MAST, STKO, STPO | STLNR, and STLAL where it is given |
| `sourcing` | EORD, EINA, EINE; or EINA, EINE | MATNR and LIFNR, INFNR; a plant's terms before general ones |
| `product_site` | MARC, MBEW | MATNR and plant; prices are those of VPRSV, for one unit (PEINH) |
| `production` | MARC | where it has DZEIT, and BESKZ is not F (bought) |

Invariants:
    - A row keeps the number of the row that it is about, so that a problem is found where it was written.
    - Of joined tables, rows that SAP marks as deleted (LOEKZ, LVORM) or blocked (NOTKZ) are left out.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import UsageError

_GONE: Final = ("LOEKZ", "LVORM", "NOTKZ")
_ONE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Grid:
    """A sheet as written.

    Attributes:
        name: Of file or sheet.
        headings: As written.
        lines: Number in the sheet, and cells, of each row.
    """

    name: str
    headings: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]

    @classmethod
    def of(cls, name: str, cells: Sequence[Sequence[str]]) -> "Grid":
        """The grid of these rows, headings first."""
        lines = tuple((number, tuple(row)) for number, row in enumerate(cells[1:], start=2))
        return cls(name, tuple(cells[0]) if cells else (), lines)

    @property
    def table(self) -> str:
        """Name in capitals, as SAP's tables are called."""
        return self.name.strip().upper()

    def has(self, *fields: str) -> bool:
        """Whether it has all of these fields."""
        return set(fields) <= {heading.strip().upper() for heading in self.headings}

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Number and cells by field in capitals; blank rows and those deleted in SAP are left out."""
        fields = [heading.strip().lstrip("#").upper() for heading in self.headings]
        for number, line in self.lines:
            row = {field: cell.strip() for field, cell in zip(fields, line, strict=False) if cell and cell.strip()}
            if row and not any(row.get(mark) for mark in _GONE):
                yield number, row


def joined(grids: Sequence[Grid]) -> list[Grid]:
    """The grids with SAP's tables joined; others stay as they are.

    Raises:
        UsageError: If a table is there that says nothing without another one.
    """
    by_table = {grid.table: grid for grid in grids}
    found = [grid for grid in grids if grid.table not in _left_out(by_table)]
    found = [_priced(grid) for grid in found]
    if "STPO" in by_table and not by_table["STPO"].has("MATNR"):
        found.append(_bom(by_table))
    if "EINE" in by_table and not by_table["EINE"].has("MATNR"):
        found.append(_sourcing(by_table))
    if "MARC" in by_table and by_table["MARC"].has("DZEIT") and not _there(grids, "production", "PLKO", "CRHD"):
        found.append(_production(by_table["MARC"]))
    return found


def _there(grids: Sequence[Grid], *names: str) -> bool:
    return any(grid.table in {name.upper() for name in names} for grid in grids)


def _left_out(by_table: Mapping[str, Grid]) -> set[str]:
    """Tables that are taken up in a join."""
    out: set[str] = set()
    if "STPO" in by_table and not by_table["STPO"].has("MATNR"):
        out |= {"MAST", "STKO", "STPO"}
    if "EINE" in by_table and not by_table["EINE"].has("MATNR"):
        out |= {"EORD", "EINA", "EINE"}
    return out


def _needed(by_table: Mapping[str, Grid], table: str, fields: Sequence[str], of: str) -> Grid:
    grid = by_table.get(table)
    if grid is None:
        raise UsageError(
            f"{of} names no material, and there is no {table} that says whose it is.",
            hint=f"Export {table} too, with {', '.join(fields)}; or join them before.",
        )
    if not grid.has(*fields):
        missing = [field for field in fields if not grid.has(field)]
        raise UsageError(f"{grid.name} has no column {missing[0]}, by which it is joined with {of}.")
    return grid


def _grid(name: str, rows: Sequence[tuple[int, dict[str, str]]]) -> Grid:
    fields = tuple(dict.fromkeys(field for _, row in rows for field in row))
    return Grid(
        name, fields, tuple((number, tuple(row.get(field, "") for field in fields)) for number, row in rows)
    )


def _kept(row: Mapping[str, str], *fields: str) -> dict[str, str]:
    return {field: row[field] for field in fields if field in row}


def _bom(by_table: Mapping[str, Grid]) -> Grid:
    """Components of each material: those of its bill, of the quantity that the bill is for."""
    items = _needed(by_table, "STPO", ("STLNR", "IDNRK"), "STPO")
    links = _needed(by_table, "MAST", ("MATNR", "WERKS", "STLNR"), "STPO")
    heads = by_table.get("STKO")
    sizes = {}
    for _, row in heads.rows() if heads else ():
        sizes[row.get("STLNR", ""), row.get("STLAL", "")] = row.get("BMENG", "")
    of_bill: dict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    for number, row in items.rows():
        of_bill[row.get("STLNR", "")].append((number, row))
    rows = []
    for _, link in links.rows():
        bill, way = link.get("STLNR", ""), link.get("STLAL", "")
        size = sizes.get((bill, way)) or sizes.get((bill, ""), "")
        for number, item in of_bill[bill]:
            if way and item.get("STLAL", way) != way:
                continue
            row = _kept(link, "MATNR", "WERKS") | _kept(item, "IDNRK", "MENGE", "AUSCH")
            rows.append((number, row | ({"BMENG": size} if size else {})))
    return _grid("bom", rows)


_TERMS: Final = ("APLFZ", "NETPR", "PEINH", "BSTRF")


def _sourcing(by_table: Mapping[str, Grid]) -> Grid:
    """Suppliers of each material at each plant, with its terms for the plant, or else for all plants."""
    terms = _needed(by_table, "EINE", ("INFNR",), "EINE")
    records = _needed(by_table, "EINA", ("INFNR", "MATNR", "LIFNR"), "EINE")
    of_record: dict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    for number, row in terms.rows():
        of_record[row.get("INFNR", "")].append((number, row))
    numbers = {
        (row.get("MATNR", ""), row.get("LIFNR", "")): row.get("INFNR", "") for _, row in records.rows()
    }  # the last record counts, as in a list sorted by age
    rows = []
    if "EORD" in by_table:
        listed = _needed(by_table, "EORD", ("MATNR", "WERKS", "LIFNR"), "EINE")
        for number, row in listed.rows():
            known = of_record.get(numbers.get((row.get("MATNR", ""), row.get("LIFNR", "")), ""), [])
            rows.append((number, _kept(row, "MATNR", "WERKS", "LIFNR") | _terms(known, row.get("WERKS", ""))))
        return _grid("sourcing", rows)
    plants = _plants(by_table)
    for (material, supplier), record in numbers.items():
        here = {row["WERKS"] for _, row in of_record[record] if "WERKS" in row}
        general = any("WERKS" not in row for _, row in of_record[record])
        for plant in sorted(here | (plants.get(material, set()) if general else set())):
            number = next((n for n, row in of_record[record] if row.get("WERKS", plant) == plant), 0)
            row = {"MATNR": material, "WERKS": plant, "LIFNR": supplier}
            rows.append((number, row | _terms(of_record[record], plant)))
    return _grid("sourcing", rows)


def _terms(known: Sequence[tuple[int, Mapping[str, str]]], plant: str) -> dict[str, str]:
    general = next((row for _, row in known if "WERKS" not in row), {})
    own = next((row for _, row in known if row.get("WERKS") == plant), {})
    return _kept(general, *_TERMS) | _kept(own, *_TERMS)


def _plants(by_table: Mapping[str, Grid]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    marc = by_table.get("MARC")
    for _, row in marc.rows() if marc else ():
        if row.get("BESKZ", "F") in {"F", "X"}:
            found[row.get("MATNR", "")].add(row.get("WERKS", ""))
    return found


def _production(marc: Grid) -> Grid:
    rows = [
        (number, _kept(row, "MATNR", "WERKS", "DZEIT"))
        for number, row in marc.rows()
        if "DZEIT" in row and row.get("BESKZ", "E") in {"E", "X"}
    ]
    return _grid("production", rows)


def _priced(grid: Grid) -> Grid:
    """Prices for one unit, of the kind that SAP values with; LGRAD, which SAP keeps in per cent, as a share."""
    if grid.table not in {"MARC", "MBEW"} or not any(map(grid.has, ("STPRS", "VERPR", "LGRAD"))):
        return grid
    rows = []
    for number, row in grid.rows():
        prices = {"V": row.pop("VERPR", ""), "S": row.pop("STPRS", "")}
        size, kind = row.pop("PEINH", ""), row.pop("VPRSV", "S").upper()
        price = prices.get(kind) or prices["S"] or prices["V"]
        if price:
            row["STPRS"] = _divided(price, _amount(size) or _ONE)
        if _amount(row.get("LGRAD", "")) > _ONE:
            row["LGRAD"] = _divided(row["LGRAD"], 100)
        rows.append((number, row))
    return _grid(grid.name, rows)


def _amount(written: str) -> float:
    try:
        return float(written)
    except ValueError:
        return _ONE


def _divided(written: str, by: float) -> str:
    """A number divided; what is none stays, to be reported where it is read."""
    try:
        return f"{float(written) / by:.12g}"
    except ValueError:
        return written
