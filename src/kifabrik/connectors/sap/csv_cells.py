"""Cells of an exported CSV file as values the typing takes: numbers, dates and flags as SAP writes them.

Invariants:
- a number is read as it was meant or not at all: points that part thousands must part thousands;
- what is blank is no value, whatever the type.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from kifabrik.connectors.sap.columns import Column
from kifabrik.connectors.sap.file_plan import FileTable

Cell = Callable[[str], Any]
_DATES: Final = {"iso": "%Y-%m-%d", "german": "%d.%m.%Y", "sap": "%Y%m%d"}
_NO_DATE: Final = re.compile(r"0{8}|00\.00\.0{4}|0{4}-00-00")
"""What ABAP writes for an empty date (type DATS), as it lies in the table and as lists show it."""
_MOMENT: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:[.,](\d{1,7}))?")
"""ABAP's TIMESTAMP and TIMESTAMPL: UTC by definition."""
_CLOCK: Final = re.compile(r"(\d\d)(\d\d)(\d\d)")
"""ABAP's type TIMS."""
_LOGICAL: Final = {"true": True, "false": False, "x": True, "1": True, "0": False, "yes": True, "no": False}
_NUMBERS: Final = frozenset({"Edm.Decimal", "Edm.Int64", "Edm.Double"})
_BLANKS: Final = "\u00a0\u202f"
"""Blanks that do not break a line, which part thousands too."""


def cell_reader(wanted: FileTable, column: Column) -> Cell:
    """Return what reads a column's cells; it raises `ValueError` or `KeyError` for a cell that is none."""
    kind = column.field.type
    if kind in _NUMBERS:
        return _blank_is_none(_number(wanted.decimal, wanted.grouping))
    if kind in _OTHERS:
        return _blank_is_none(_OTHERS[kind](wanted))
    return _padded if wanted.delimiter == "|" else _text


def _blank_is_none(read: Cell) -> Cell:
    def reading(text: str) -> Any:
        stripped = text.strip()
        return read(stripped) if stripped else None

    return reading


def _text(text: str) -> str | None:
    return text or None


def _padded(text: str) -> str | None:
    """Lists fill cells with blanks up to the width of their column."""
    return text.strip() or None


def _number(decimal: str, grouping: str) -> Cell:
    whole = r"\d+"
    if grouping:
        mark = f"[{_BLANKS} ]" if grouping == " " else re.escape(grouping)
        whole = rf"\d{{1,3}}(?:(?P<mark>{mark})\d{{3}}(?:(?P=mark)\d{{3}})*)|\d+"
    form = re.compile(
        rf"([+-]?)\s*(?P<whole>{whole})?(?:{re.escape(decimal)}(?P<part>\d+))?(?P<power>[eE][+-]?\d+)?"
    )

    def read(text: str) -> str:
        found = form.fullmatch(_sign_before(text))
        if found is None or (found["whole"], found["part"]) == (None, None):
            raise ValueError
        digits = re.sub(r"\D", "", found["whole"] or "0")
        part = f".{found['part']}" if found["part"] else ""
        return f"{'-' if found[1] == '-' else ''}{digits}{part}{found['power'] or ''}"

    return read


def _sign_before(text: str) -> str:
    """ABAP writes the sign behind the number."""
    return f"-{text[:-1].strip()}" if text.endswith("-") else text


def _logical(_wanted: FileTable) -> Cell:
    return lambda text: _LOGICAL[text.lower()]


def _date(wanted: FileTable) -> Cell:
    form = _DATES[wanted.dates]

    def read(text: str) -> str | None:
        if _NO_DATE.fullmatch(text):
            return None
        return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007 - a day has no zone

    return read


def _moment(wanted: FileTable) -> Cell:
    def read(text: str) -> str | None:
        if not text.strip("0.,"):
            return None
        found = _MOMENT.fullmatch(text)
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second, part = found.groups()
        return f"{year}-{month}-{day}T{hour}:{minute}:{second}{f'.{part}' if part else ''}Z"

    return read if wanted.dates == "sap" else str


def _clock(wanted: FileTable) -> Cell:
    def read(text: str) -> str:
        found = _CLOCK.fullmatch(text)
        return ":".join(found.groups()) if found else text

    return read if wanted.dates == "sap" else str


_OTHERS: Final[Mapping[str, Callable[[FileTable], Cell]]] = {
    "Edm.Boolean": _logical,
    "Edm.Date": _date,
    "Edm.DateTimeOffset": _moment,
    "Edm.TimeOfDay": _clock,
}
