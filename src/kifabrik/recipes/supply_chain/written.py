"""Numbers and days as people and their programs write them, a column at a time.

A cell alone can be doubtful: `1.500` and `03/04/2026` mean one thing in one country and another in the next.

Invariants:
    - What can be read in two ways, and nothing in its column or table tells which, is refused, never guessed.
"""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

_GROUPED_BY_POINTS: Final = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+")
_GROUPED_BY_COMMAS: Final = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")
_DECIMAL_COMMA: Final = re.compile(r"(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_DECIMAL_POINT: Final = re.compile(r"(?:\d+|\d{1,3}(?:,\d{3})+)\.\d+")
_LONG: Final = re.compile(r"[1-9]\d{3,}")
"""Thousands that nothing parts."""
_BLANKS: Final = str.maketrans("", "", "\u00a0\u202f\u2009' ")
"""What parts thousands and means nothing: blanks of all widths, and the Swiss apostrophe."""
_EXCEL_DAYS: Final = (20_000, 80_000)  # 1954 to 2119
_EXCEL_ORIGIN: Final = date(1899, 12, 30)
_DATED_BY_POINTS: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}|\d{2})")
_DATED_BY_STROKES: Final = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")
_DATED_BY_YEAR: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_IN_ONE: Final = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)")
_CLOCK: Final = re.compile(r"[T ]\d{1,2}:\d\d.*")
_MONTHS: Final = (
    re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})"),
    re.compile(r"(?P<month>\d{1,2})[./](?P<year>\d{4})"),
)
_WEEKS: Final = (
    re.compile(r"(?P<year>\d{4})[-/ ]?(?:KW|W|CW) ?(?P<week>\d{1,2})", re.IGNORECASE),
    re.compile(r"(?:KW|W|CW) ?(?P<week>\d{1,2})[/. -]+(?P<year>\d{4})", re.IGNORECASE),
)
_CENTURY: Final = 2000
_MINUS: Final = "-\u2212"


class DoubtError(ValueError):
    """A column that can be read in two ways; says which."""


class Numbers:
    """Reads the numbers of one column: decimal comma or point, thousands parted or not, a minus before or after."""

    def __init__(self, column: Iterable[Any], *, german: bool | None = None) -> None:
        """Look at a column.

        Args:
            column: Its cells.
            german: Whether the rest of the table is written as in Germany, which tells where the column does not;
                None: that is not known either.

        Raises:
            DoubtError: If points or commas part thousands or decimals, and nothing tells which.
        """
        texts = {_bare(cell) for cell in column if isinstance(cell, str)}
        points = {text for text in texts if _DECIMAL_POINT.fullmatch(text)}
        commas = {text for text in texts if _DECIMAL_COMMA.fullmatch(text)}
        sure_points = {text for text in points if not _GROUPED_BY_POINTS.fullmatch(text)}
        sure_commas = {text for text in commas if not _GROUPED_BY_COMMAS.fullmatch(text)}
        if sure_points and sure_commas:
            pair = f"{min(sure_commas)!r} and {min(sure_points)!r}"
            raise DoubtError(f"holds {pair}: one has a decimal comma, the other a decimal point.")
        if not (sure_points or sure_commas) and any(map(_LONG.fullmatch, texts)):
            sure_points, sure_commas = points, commas  # thousands are not parted
        self.comma = _is_comma(texts, points | commas, sure_points, sure_commas, german)

    def read(self, cell: Any) -> float:
        """A cell as a number; NaN if it is none."""
        if not isinstance(cell, str):
            try:
                return float(cell)
            except (TypeError, ValueError):
                return math.nan
        text = _bare(cell)
        sign = -1.0 if cell.strip()[:1] in _MINUS or cell.strip()[-1:] == "-" else 1.0
        if self.comma:
            text = text.replace(".", "") if "," in text or _GROUPED_BY_POINTS.fullmatch(text) else text
            text = text.replace(",", ".")
        elif _GROUPED_BY_COMMAS.fullmatch(text.partition(".")[0]):
            text = text.replace(",", "")
        try:
            return sign * float(text)
        except ValueError:
            return math.nan


def _is_comma(
    texts: set[str], parted: set[str], sure_points: set[str], sure_commas: set[str], german: bool | None
) -> bool:
    if sure_commas or sure_points:
        return bool(sure_commas)
    for sign in ".,":
        if any(text.count(sign) > 1 for text in texts):
            return sign == "."
    if german is None and parted:
        text = min(parted)
        grouped = text.replace(".", "").replace(",", "")
        raise DoubtError(f"holds {text!r}, which may be {grouped} or {float(text.replace(',', '.')):g}.")
    return bool(german)


def _bare(cell: str) -> str:
    """A number without its sign and without what parts its thousands and means nothing."""
    return cell.strip().translate(_BLANKS).strip(f"+{_MINUS}")


def is_german(cells: Iterable[str]) -> bool:
    """Whether cells are written as in Germany: a decimal comma that is no comma of thousands, or 31.12.2026."""
    for cell in cells:
        text = _bare(cell)
        if _DATED_BY_POINTS.fullmatch(text):
            return True
        if _DECIMAL_COMMA.fullmatch(text.rstrip("€%")) and not _GROUPED_BY_COMMAS.fullmatch(text):
            return True
    return False


class Days:
    """Reads the days of one column: 2026-12-31, 31.12.2026, 12/31/2026, 20261231, 2026-12, KW 7/2026, Excel's."""

    def __init__(self, column: Sequence[Any], *, counted: bool = False) -> None:
        """Look at a column.

        Args:
            column: Its cells.
            counted: Whether plain numbers are numbers of periods, never days as Excel counts them.

        Raises:
            DoubtError: If days cannot be told from months.
        """
        texts = {_day_part(cell) for cell in column if isinstance(cell, str)}
        parted = [found for text in texts if (found := _DATED_BY_STROKES.fullmatch(text))]
        first = any(int(found[1]) > 12 for found in parted)  # noqa: PLR2004 - months a year
        second = any(int(found[2]) > 12 for found in parted)  # noqa: PLR2004
        if parted and first == second:
            text = min(found[0] for found in parted)
            why = "days stand first in some cells, second in others" if first else "days may be first or second"
            raise DoubtError(f"holds {text!r}: {why}.")
        self.day_first = not second
        numbers = [number for cell in column if (number := _plain(cell)) is not None]
        low, high = _EXCEL_DAYS
        self.excel = not counted and bool(numbers) and all(low < number < high for number in numbers)

    def read(self, cell: Any) -> date | None:
        """A cell as a day, the first of its week or month if it names one; None if it is none."""
        if isinstance(cell, datetime):
            return cell.date()
        if isinstance(cell, date):
            return cell
        number = _plain(cell)
        if number is not None and self.excel:
            return _EXCEL_ORIGIN + timedelta(days=int(number))
        try:
            return self._written(_day_part(str(cell)))
        except ValueError:
            return None

    def _written(self, text: str) -> date | None:
        if found := _DATED_BY_YEAR.fullmatch(text) or _IN_ONE.fullmatch(text):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := _DATED_BY_POINTS.fullmatch(text):
            year = int(found[3])
            return date(year if year > 99 else year + _CENTURY, int(found[2]), int(found[1]))  # noqa: PLR2004
        if found := _DATED_BY_STROKES.fullmatch(text):
            day, month = (found[1], found[2]) if self.day_first else (found[2], found[1])
            return date(int(found[3]), int(month), int(day))
        return period_start(text)


def period_start(text: str) -> date | None:
    """The first day of a written month (`2026-12`, `12.2026`) or week (`2026-W07`, `KW 7/2026`); None otherwise."""
    for form in _MONTHS:
        if found := form.fullmatch(text):
            return date(int(found["year"]), int(found["month"]), 1)
    for form in _WEEKS:
        if found := form.fullmatch(text):
            return date.fromisocalendar(int(found["year"]), int(found["week"]), 1)
    return None


def _day_part(cell: str) -> str:
    return _CLOCK.sub("", cell.strip())


def _plain(cell: Any) -> float | None:
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int | float):
        return float(cell)
    text = str(cell).strip() if isinstance(cell, str) else ""
    return float(text) if text.isdecimal() and len(text) < len("20261231") else None
