"""Cells as numbers and times: decimal comma or point, days as Excel counts them, words for nothing."""

import re
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOSTLY: Final = 0.95
"""Share of a column's filled cells that must read as a number or a time for the column to be one."""
NOTHING: Final = frozenset(
    (
        "",
        "-",
        "--",
        "—",
        "?",
        "n/a",
        "na",
        "nan",
        "null",
        "none",
        "#nv",
        "#n/a",
        "#wert!",
        "#value!",
        "#div/0!",
        "bad",
    )
)
"""What stands in a cell that holds nothing, in small letters: of Excel in two languages, of loggers, of people."""
_EXCEL_DAYS: Final = (20_000, 80_000)  # 1954 to 2119
_EPOCH_SECONDS: Final = (3e8, 4e9)  # 1979 to 2096
_EXCEL_ORIGIN: Final = "1899-12-30"
_TIME_WORDS: Final = ("zeit", "datum", "time", "date", "stamp")
_FORMATS: Final = ("ISO8601", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y")
"""Tried before the parser that takes any form and is a hundred times slower."""
_TWO_NUMBERS: Final = r"^(\d{1,2})[/.-](\d{1,2})[/.-]\d"
_MONTHS: Final = 12
_LOOKS_DATED: Final = r"\d.*[-./:].*\d"


def filled(column: Any) -> NDArray[np.bool_]:
    """Which cells hold something."""
    if pd.api.types.is_numeric_dtype(column):
        return np.asarray(column.notna())
    return np.asarray(column.notna() & ~_text(column).str.lower().isin(NOTHING))


def numbers(column: Any) -> NDArray[np.float64]:
    """Cells as numbers, NaN where there is none.

    Where comma and point both occur in a cell, the last of them is the decimal one; where a column has decimal
    commas, a point before three digits groups thousands.
    """
    if pd.api.types.is_bool_dtype(column):
        return np.asarray(column, dtype=float)
    if pd.api.types.is_numeric_dtype(column):
        return _finite(np.asarray(column, dtype=float))
    text = _text(column)
    comma = text.str.fullmatch(r"[-+]?[\d.]*,\d+", na=False)
    grouped = text.str.fullmatch(r"[-+]?\d{1,3}(\.\d{3})+", na=False) & bool(comma.any())
    text = text.mask(comma | grouped, text.str.replace(".", "", regex=False))
    english = text.str.contains(r",.*\.", na=False)
    text = text.mask(english, text.str.replace(",", "", regex=False))
    read = pd.to_numeric(text.str.replace(",", ".", regex=False), errors="coerce")
    return _finite(np.asarray(read.astype(float)))


def times(name: str, column: Any) -> NDArray[np.datetime64] | None:
    """Cells as times (NaT where there is none), or None if the column holds no times.

    Numbers are times only in a column that is called so: days as Excel counts them, or seconds or milliseconds
    since 1970.
    """
    values = numbers(column)
    known = np.isfinite(values)
    if known.any() and known.sum() >= MOSTLY * filled(column).sum():
        return _counted(name, values)
    text = _text(column)
    if text.str.contains(_LOOKS_DATED, na=False).sum() < MOSTLY * max(1, filled(column).sum()):
        return None
    return written_times(text)


def written_times(text: Any) -> NDArray[np.datetime64] | None:
    """Written dates and times. Those with an offset become UTC.

    Days come before months, unless no month could then be one of twelve.
    """
    text = _text(text)
    days_first = not _months_first(text)
    for form in (*_FORMATS, "mixed"):
        read = pd.to_datetime(text, errors="coerce", utc=True, format=form, dayfirst=days_first and form == "mixed")
        if len(read) and read.notna().sum() >= MOSTLY * max(1, text.notna().sum()):
            return np.asarray(read.dt.tz_localize(None), dtype="datetime64[s]")
    return None


def _months_first(text: Any) -> bool:
    """Whether dates such as 03/14/2026 have their month first: what stands there is never above 12, the next is."""
    parts = text.str.extract(_TWO_NUMBERS).astype("Float64")
    return bool((parts[1] > _MONTHS).any() and not (parts[0] > _MONTHS).any())


def _counted(name: str, values: NDArray[np.float64]) -> NDArray[np.datetime64] | None:
    if not any(word in name.lower() for word in _TIME_WORDS):
        return None
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    for (least, most), unit, origin in (
        (_EXCEL_DAYS, "D", _EXCEL_ORIGIN),
        (_EPOCH_SECONDS, "s", "unix"),
        ((1000 * _EPOCH_SECONDS[0], 1000 * _EPOCH_SECONDS[1]), "ms", "unix"),
    ):
        if least <= low and high <= most:
            read = pd.to_datetime(pd.Series(values), unit=unit, origin=origin, errors="coerce").dt.round("s")
            return np.asarray(read, dtype="datetime64[s]")
    return None


def _text(column: Any) -> Any:
    return column.astype("string").str.strip().str.replace(re.compile("[\u00a0\u202f]"), "", regex=True)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)
