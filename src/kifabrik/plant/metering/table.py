"""CSV files of meters: the usual separators, decimal commas, local times with their days of 23 and 25 hours."""

import csv
import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kifabrik.errors import UsageError
from kifabrik.plant.metering.kinds import Meter
from kifabrik.plant.metering.readings import Finding, Oddity, Readings, readings_of

_LONGEST_CELL: Final = 200
"""Characters; no time and no number is longer, and messages quote what they refuse."""
_FORMATS: Final = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%y %H:%M")
_SEPARATORS: Final = ";\t,"
_FAR: Final = 1e10
"""Seconds since 1970: the year 2286. Now in milliseconds is beyond it."""


@dataclass(frozen=True)
class Read:
    """What a file gave.

    Attributes:
        readings: In order of time.
        findings: Odd things, with the line of the file in words.
    """

    readings: Readings
    findings: tuple[Finding, ...]


def read_table(path: Path, meter: Meter, *, time: str, value: str, zone: str) -> Read:
    """Read a meter's CSV file.

    Args:
        path: Of the file.
        meter: Whose readings these are.
        time: Column of times: ISO 8601, `25.10.2026 02:00`, or seconds since 1970.
        value: Column of values; decimal commas are understood where the separator is not a comma.
        zone: Of times without an offset, such as Europe/Berlin.

    Raises:
        UsageError: A column is missing, a line is none, or times go back beyond the end of summer time.
    """
    local = _zone(zone)
    rows, separator = _rows(path, time, value)
    clock = Clock(local)
    pairs: list[tuple[int, float]] = []
    lines: list[int] = []
    for line, told_time, told_value in rows:
        where = f"{path}, line {line}"
        pairs.append((clock.read(told_time, where), _number(told_value, separator, where)))
        lines.append(line)
        if len(pairs) > 1 and pairs[-1][0] <= pairs[-2][0]:
            message = f"{where}: the time {told_time} is not after the line before."
            hint = "Was the meter's clock set back? Split the file there, or give times with their offset."
            raise UsageError(message, hint=hint)
    if not pairs:
        raise UsageError(f"{path} has no readings.", hint="It needs a line at least.")
    readings = readings_of(meter, pairs)
    findings = [Finding(one.oddity, one.at, f"line {lines[one.at]}: {one.says}") for one in readings.findings()]
    findings += [Finding(Oddity.CLOCK, 0, says) for says in clock.remarks]
    return Read(readings, tuple(findings))


class Clock:
    """Turns told times to seconds since 1970 and follows a local clock through the end of summer time.

    Args:
        zone: Of times without an offset.
    """

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self.remarks: list[str] = []
        self._before: datetime | None = None
        self._second = False

    def read(self, text: str, where: str) -> int:
        """Seconds since 1970.

        Raises:
            UsageError: It is no time, or one that the local clock never showed.
        """
        seconds = _seconds(text, where)
        if seconds is not None:
            return seconds
        told = _parse(text, where)
        if told.tzinfo is not None:
            return round(told.timestamp())
        first, second = (told.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        back = first.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None)
        if back != told:
            message = f"{where}: {text} never was: clocks went forward over it."
            raise UsageError(message, hint="The meter keeps one time all year: give `--zone Etc/GMT-1` for UTC+1.")
        ambiguous = first.utcoffset() != second.utcoffset()
        if not ambiguous:
            self._second = False
        elif self._before is not None and told <= self._before and not self._second:
            self._second = True
            self.remarks.append(f"{where}: the hour is repeated, summer time ended")
        self._before = told
        return round((second if self._second and ambiguous else first).timestamp())


def _seconds(text: str, where: str) -> int | None:
    """Seconds since 1970, if that is how a time is told.

    Raises:
        UsageError: It is a number, but no such time.
    """
    try:
        number = float(text)
    except ValueError:
        return None
    if math.isfinite(number) and abs(number) < _FAR:
        return round(number)
    hint = "Seconds since 1970 are meant; are these milliseconds?" if math.isfinite(number) else ""
    raise UsageError(f"{where}: {text!r} is no time.", hint=hint)


def _parse(text: str, where: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the zone comes with the file
        except ValueError:
            continue
    raise UsageError(f"{where}: {text!r} is no time.", hint="Write 2026-10-25T02:00 or 25.10.2026 02:00.")


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"{name!r} is no time zone.", hint="Write Europe/Berlin, UTC or Etc/GMT-1.") from None


def _rows(path: Path, time: str, value: str) -> tuple[list[tuple[int, str, str]], str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", hint="Check its name.") from None
    head = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=head.count)
    reader = csv.DictReader(text.splitlines(), delimiter=separator)
    try:
        missing = [name for name in (time, value) if name not in (reader.fieldnames or ())]
        if missing:
            columns = ", ".join(name or "''" for name in reader.fieldnames or ()) or "none"
            raise UsageError(
                f"{path}, line 1: the column {missing[0]!r} is missing.", hint=f"It has: {columns[:200]}."
            )
        found = [(reader.line_num, (row[time] or "").strip(), (row[value] or "").strip()) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num + 1}: {error}.", hint="Is it a CSV file?") from None
    for line, *cells in found:
        if (longest := max(map(len, cells))) > _LONGEST_CELL:
            raise UsageError(f"{path}, line {line}: a cell has {longest:,} characters.", hint="Is it a CSV file?")
    return [row for row in found if row[1] or row[2]], separator


def _number(text: str, separator: str, where: str) -> float:
    tidy = text.replace("\u00a0", "").replace(" ", "")
    if separator != "," and "," in tidy:
        if tidy.rfind(".") > tidy.find(","):
            raise UsageError(f"{where}: {text!r} is no number.", hint="Decimal commas are meant: write 1.234,5.")
        tidy = tidy.replace(".", "").replace(",", ".")
    try:
        value = float(tidy)
    except ValueError:
        raise UsageError(f"{where}: {text!r} is no number.", hint="Leave out lines without a reading.") from None
    if not math.isfinite(value):
        raise UsageError(f"{where}: {text!r} is no number.", hint="Leave out lines without a reading.")
    return value
