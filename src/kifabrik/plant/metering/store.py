"""Readings on disk: a Parquet file for each meter, with what it measures in its schema, and its latest readings.

    NAME.parquet   readings in order of time
    NAME.latest    what came since, one after the other: seconds since 1970 (int64) and value in SI (float64)
    .lock          held by whoever writes

Invariants:
    - A Parquet file is written under another name and then renamed: a reader sees all of it or what was before.
    - What comes bit by bit is only added at the end of the latest readings: what that takes does not grow with what
      is there. From some thousands on they move into the Parquet file; a crash in between leaves them in both.
    - Writers take turns, over whole additions: of an import beside a watch neither loses what the other adds.
    - Times are UTC and rise; a time that is there already is replaced, so the same file may be imported twice.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.durable import make_folder, replacing, sync_folder
from kifabrik.errors import CapacityError, UsageError
from kifabrik.plant.law.filling import Metered
from kifabrik.plant.metering.kinds import Kind, Meter
from kifabrik.plant.metering.readings import Readings, merged
from kifabrik.plant.metering.turns import turn

_KEYS: Final = ("name", "kind", "unit", "field")
_KWH: Final = 3.6e6
_LATEST: Final = np.dtype([("time", "<i8"), ("value", "<f8")])
_MOST_LATEST: Final = 4096
"""More readings move into the Parquet file."""


class Store:
    """A folder of meters.

    Args:
        folder: Which; it is made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def meters(self) -> list[Meter]:
        """All meters, by name."""
        return [self._meter(path) for path in sorted(self.folder.glob("*.parquet"))]

    def read(self, name: str) -> Readings:
        """Readings of a meter.

        Raises:
            UsageError: There is none of that name, or its file is broken.
        """
        latest = self._latest(name)[::-1]  # of two at one time the later one stands
        stored = self._stored(name)  # after the latest, which may move into it meanwhile
        return merged(stored, Readings(stored.meter, latest["time"], latest["value"])) if len(latest) else stored

    def append(self, readings: Readings) -> None:
        """Add a few readings to a meter's latest ones; they last when this returns.

        Raises:
            CapacityError: The disk is full.
            UsageError: The meter measures something else, or the folder cannot be written to.
        """
        with self._turn():
            self._append(readings)

    def _append(self, readings: Readings) -> None:
        meter = readings.meter
        path = self._path(meter.name)
        if not path.is_file() or self._meter(path) != meter:
            self._add(readings)  # which says of the meter what is told of it now
            return
        path = self._latest_path(meter.name)
        size = path.stat().st_size // _LATEST.itemsize * _LATEST.itemsize if path.exists() else 0
        added = np.empty(len(readings.time), _LATEST)
        added["time"], added["value"] = readings.time, readings.value
        try:
            with path.open("r+b" if path.exists() else "wb") as file:
                file.truncate(size)  # without half a reading, of a write that was cut off
                file.seek(size)
                file.write(added.tobytes())
                file.flush()
                os.fsync(file.fileno())
            if not size:
                sync_folder(self.folder)
        except OSError as error:
            raise self._unwritten(error) from error
        if size + added.nbytes > _MOST_LATEST * _LATEST.itemsize:
            self._add(readings)

    def _stored(self, name: str) -> Readings:
        path = self._path(name)
        if not path.is_file():
            known = ", ".join(one.name for one in self.meters()) or "none"
            raise UsageError(f"There is no meter {name} in {self.folder}.", hint=f"Meters: {known}.")
        meter = self._meter(path)
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{path} is broken: {error}.", hint="Take it out of the folder.") from error
        time = table["time"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_numpy()
        return Readings(meter, np.array(time, dtype=np.int64), np.array(table["value"], dtype=np.float64))

    def add(self, readings: Readings, *, accept: bool = True) -> Readings:
        """Add readings to a meter's, and give all of them.

        Args:
            readings: Of one meter.
            accept: Whether what seems to be a change of unit is kept.

        Raises:
            CapacityError: The disk is full.
            UsageError: The meter measures something else, or, unless it is accepted, its unit seems to have changed
                since the readings that are there.
        """
        with self._turn():
            odd = [] if accept else self._changes_of_unit(readings)
            if odd:
                message = f"{readings.meter.name}: beside what {self.folder} has of it, {'; '.join(odd[:3])}."
                raise UsageError(f"{message} Nothing was kept.", hint="Give the unit it tells now, or --accept.")
            return self._add(readings)

    def last(self, name: str) -> tuple[int, float] | None:
        """The reading that was added last, as (seconds since 1970, value in SI); None if there is none."""
        latest = self._latest(name)
        if len(latest):
            return int(latest[-1]["time"]), float(latest[-1]["value"])
        if not self._path(name).is_file():
            return None
        stored = self._stored(name)
        return int(stored.time[-1]), float(stored.value[-1])

    def _changes_of_unit(self, readings: Readings) -> list[str]:
        """What looks like a change of unit where these readings meet those that are there, in words."""
        if not self._path(readings.meter.name).is_file():
            return []
        before = self.read(readings.meter.name)
        if before.meter.kind is not readings.meter.kind:
            return []  # which is refused for itself
        known = {at for at, _ in (*before.changes_of_unit(), *readings.changes_of_unit())}
        return [says for at, says in merged(before, readings).changes_of_unit() if at not in known]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            make_folder(self.folder)
            with turn(self.folder / ".lock"):
                yield
        except OSError as error:
            raise self._unwritten(error) from error

    def _add(self, readings: Readings) -> Readings:
        meter = readings.meter
        path = self._path(meter.name)
        if path.is_file():
            before = self.read(meter.name)
            if before.meter.kind is not meter.kind:
                message = f"{meter.name} measures {before.meter.kind.value}, not {meter.kind.value}."
                raise UsageError(message, hint="Give another name.")
            readings = merged(before, readings)
        else:
            readings = merged(readings, readings)  # two messages within a second are one reading
        told = {key: str(getattr(meter, key)) for key in ("name", "unit", "field")} | {"kind": meter.kind.value}
        schema = pa.schema([("time", pa.timestamp("s", tz="UTC")), ("value", pa.float64())], metadata=told)
        times = pa.array(readings.time.astype("datetime64[s]")).cast(pa.timestamp("s", tz="UTC"))
        table = pa.Table.from_arrays([times, pa.array(readings.value)], schema=schema)
        try:
            with replacing(path) as fresh:
                pq.write_table(table, fresh, compression="zstd")
            self._latest_path(meter.name).unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritten(error) from error
        return readings

    def year(self, year: int) -> dict[str, Metered]:
        """What meters that fill a field of a register gave in a calendar year (UTC+1), by field.

        Energies in kWh, water in m³, temperatures in °C. Meters of the same field are added up.
        """
        begin, end = (round(datetime(each, 1, 1, tzinfo=UTC).timestamp()) - 3600 for each in (year, year + 1))
        found: dict[str, Metered] = {}
        for meter in self.meters():
            if not meter.field:
                continue
            total, coverage = self.read(meter.name).used(begin, end)
            value = total / _KWH if meter.kind in {Kind.ENERGY, Kind.POWER} else total
            other = found.get(meter.field)
            found[meter.field] = (
                Metered(other.value + value, min(other.coverage, coverage)) if other else Metered(value, coverage)
            )
        return found

    def _latest(self, name: str) -> Any:
        path = self._latest_path(name)
        data = path.read_bytes() if path.exists() else b""
        return np.frombuffer(data[: len(data) // _LATEST.itemsize * _LATEST.itemsize], _LATEST)

    def _unwritten(self, error: OSError) -> CapacityError:
        message = f"Readings cannot be written to {self.folder}: {error.strerror or error}."
        return CapacityError(message, hint="Free some space, or choose another folder.")

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _latest_path(self, name: str) -> Path:
        return self.folder / f"{name}.latest"

    def _meter(self, path: Path) -> Meter:
        try:
            metadata = pq.read_schema(path).metadata or {}
            told = {key: metadata[key.encode()].decode() for key in _KEYS}
            return Meter(name=told["name"], kind=Kind(told["kind"]), unit=told["unit"], field=told["field"])
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise UsageError(
                f"{path} does not hold a meter's readings.", hint="Take it out of the folder."
            ) from error
