"""Readings on disk: a Parquet file for each meter, with what it measures in its schema.

Invariants:
    - A file is written under another name and then renamed: a reader sees all of it or what was before.
    - Times are UTC and rise; a time that is there already is replaced, so the same file may be imported twice.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.durable import make_folder, replacing
from kifabrik.errors import CapacityError, UsageError
from kifabrik.plant.law.filling import Metered
from kifabrik.plant.metering.kinds import Kind, Meter
from kifabrik.plant.metering.readings import Readings, merged

_KEYS: Final = ("name", "kind", "unit", "field")
_KWH: Final = 3.6e6


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

    def add(self, readings: Readings) -> Readings:
        """Add readings to a meter's, and give all of them.

        Raises:
            CapacityError: The disk is full.
            UsageError: The meter measures something else, or the folder cannot be written to.
        """
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
            make_folder(self.folder)
            with replacing(path) as fresh:
                pq.write_table(table, fresh, compression="zstd")
        except OSError as error:
            message = f"Readings cannot be written to {self.folder}: {error.strerror or error}."
            raise CapacityError(message, hint="Free some space, or choose another folder.") from error
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

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _meter(self, path: Path) -> Meter:
        try:
            metadata = pq.read_schema(path).metadata or {}
            told = {key: metadata[key.encode()].decode() for key in _KEYS}
            return Meter(name=told["name"], kind=Kind(told["kind"]), unit=told["unit"], field=told["field"])
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise UsageError(
                f"{path} does not hold a meter's readings.", hint="Take it out of the folder."
            ) from error
