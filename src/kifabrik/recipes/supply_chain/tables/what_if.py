"""Named what-ifs: the rows of `scenarios`, applied to the tables before they are read."""

from fnmatch import fnmatchcase

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.recipes.supply_chain.tables.columns import TABLES
from kifabrik.recipes.supply_chain.tables.schema import Column
from kifabrik.recipes.supply_chain.tables.source import RawRow, RawTable, Tables


def scenario_names(tables: Tables) -> tuple[str, ...]:
    """Names of the what-ifs, in the order of their first rows."""
    rows = tables["scenarios"].rows if "scenarios" in tables else ()
    return tuple(dict.fromkeys(row.cells["name"] for row in rows if "name" in row.cells))


def apply_scenario(tables: Tables, name: str) -> Tables:
    """The tables as one what-if changes them; those given stay as they are.

    Raises:
        NotFoundError: If there is no what-if of this name.
        UsageError: If a change names no table or column, matches no row, or multiplies what is no number.
    """
    known = scenario_names(tables)
    if name not in known:
        listed = ", ".join(known) or "none"
        raise NotFoundError(f"There is no scenario '{name}'.", hint=f"The table scenarios has: {listed}.")
    changed = dict(tables)
    for change in tables["scenarios"].rows:
        if change.cells.get("name") == name:
            table, column = _place(change)
            changed[table] = _changed(changed.get(table, RawTable((), ())), table, column, change)
    return changed


def _where(change: RawRow) -> str:
    return f"scenarios, row {change.number}"


def _place(change: RawRow) -> tuple[str, Column]:
    table = TABLES.get(change.cells.get("table", ""))
    if table is None:
        raise UsageError(f"{_where(change)}: there is no table '{change.cells.get('table', '')}'.")
    column = table.by_name.get(change.cells.get("column", ""))
    if column is None:
        raise UsageError(f"{_where(change)}: {table.name} has no column '{change.cells.get('column', '')}'.")
    return table.name, column


def _changed(raw: RawTable, table: str, column: Column, change: RawRow) -> RawTable:
    wanted = _wanted(change, table)
    rows, hits = [], 0
    for row in raw.rows:
        if all(fnmatchcase(row.cells.get(name, ""), pattern) for name, pattern in wanted.items()):
            hits += 1
            rows.append(_with(row, table, column, change))
        else:
            rows.append(row)
    if not hits:
        key = change.cells.get("key", "")
        raise UsageError(f"{_where(change)}, column key: no row of {table} matches '{key}'.")
    return RawTable(tuple(dict.fromkeys((*raw.headings, column.name))), tuple(rows), raw.unknown)


def _wanted(change: RawRow, table: str) -> dict[str, str]:
    """Column name to pattern."""
    key = change.cells.get("key", "")
    wanted: dict[str, str] = {}
    for part in (part.strip() for part in key.split(",") if part.strip()):
        name, equals, pattern = part.partition("=")
        product, at, site = part.partition("@")
        if equals:
            if name.strip() not in TABLES[table].by_name:
                raise UsageError(f"{_where(change)}, column key: {table} has no column '{name.strip()}'.")
            wanted[name.strip()] = pattern.strip()
        elif at and {"product", "site"} <= TABLES[table].by_name.keys():
            wanted |= {"product": product, "site": site}
        else:
            wanted[TABLES[table].key[0] if TABLES[table].key else "name"] = part
    return wanted


def _with(row: RawRow, table: str, column: Column, change: RawRow) -> RawRow:
    cells = dict(row.cells)
    if "value" in change.cells:
        for heading in [heading for heading in cells if _says(heading, column)]:
            del cells[heading]
        cells[column.name] = change.cells["value"]
        return RawRow(row.number, cells)
    factor = _factor(change)
    told = [heading for heading in cells if _says(heading, column)]
    if not told:
        if not column.default:
            raise UsageError(f"{_where(change)}: {table}, row {row.number} has no {column.name} to multiply.")
        cells[column.name] = _times(column.default, factor, change)
    for heading in told:
        cells[heading] = _times(cells[heading], factor, change)
    return RawRow(row.number, cells)


def _says(heading: str, column: Column) -> bool:
    """Whether a heading holds this column's value, perhaps with a unit at its end."""
    if heading == column.name:
        return True
    return heading.startswith(f"{column.name}_") and heading != column.where_unit and not _is_column(heading)


def _is_column(heading: str) -> bool:
    return any(heading in table.by_name for table in TABLES.values())


def _factor(change: RawRow) -> float:
    try:
        return float(change.cells.get("factor", ""))
    except ValueError:
        raise UsageError(f"{_where(change)}: give a number as factor, or a value.") from None


def _times(written: str, factor: float, change: RawRow) -> str:
    """Every number in a cell multiplied; a unit behind it stays."""
    parts: list[str] = []
    for part in written.split():
        try:
            parts.append(f"{float(part) * factor:.12g}")
        except ValueError:
            parts.append(part)
    if parts == written.split() and factor != 1 and not any(part in {"0", "inf"} for part in parts):
        raise UsageError(f"{_where(change)}: '{written}' cannot be multiplied.")
    return " ".join(parts)
