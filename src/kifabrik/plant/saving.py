"""A study on disk: all series by the minute in Parquet, by the hour in Parquet and CSV, and what they came from.

Invariants:
    - `study.json` goes first when a study is replaced and comes last, so where it is, everything is.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from kifabrik.durable import make_folder, replacing, write_whole
from kifabrik.errors import UsageError, writing_to
from kifabrik.plant.physics import Year
from kifabrik.plant.results import Summary
from kifabrik.plant.site_file import SiteFile, parse_site
from kifabrik.plant.studies import Study, all_series

STUDY: Final = "study.json"
MINUTES: Final = "minutes.parquet"
HOURS: Final = "hours.parquet"
HOURS_CSV: Final = "hours.csv"
_FORMAT: Final = 1
_AGAIN: Final = "Run it again: `kifabrik plant run SITE --out FOLDER`."
_CELSIUS: Final = frozenset({"river_mixed", "loop_back", "river", "limit", "air", "network_flow"})
_UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_CELSIUS, "°C"),
    **dict.fromkeys(("river_water", "sprayed", "flow"), "m³/s"),
    **dict.fromkeys(("carbon_location", "carbon_market"), "g/kWh"),
    "price": "EUR/MWh",
    "store": "J",
    "cop": "1",
}


def save(study: Study, folder: Path, year: Year | None = None) -> None:
    """Write a study.

    Args:
        study: What to write.
        folder: Where; it is made if it is not there, and a study in it is replaced.
        year: With it, all series by the minute too.

    Raises:
        CapacityError: The disk is full.
        UsageError: The folder cannot be written to.
    """
    with writing_to(folder, "the study"):
        make_folder(folder)
        (folder / STUDY).unlink(missing_ok=True)
        (folder / MINUTES).unlink(missing_ok=True)
        if year is not None:
            minutes = {name: values.astype(np.float32) for name, values in all_series(year).items()}
            _write(_table(minutes, study.site.year, 60), folder / MINUTES)
        hours = _table(study.hourly, study.site.year, 3600)
        _write(hours, folder / HOURS)
        pa_csv.write_csv(hours, folder / HOURS_CSV)
        document = {
            "format": _FORMAT,
            "load": study.load,
            "summary": {
                name: value if math.isfinite(value) else None for name, value in asdict(study.summary).items()
            },
            "river_source": study.river_source,
            "weather_source": study.weather_source,
            "measured": study.measured,
            "bridged": study.bridged,
            "tariff_sources": list(study.tariff_sources),
            "changes": dict(study.file.changes),
            "site": study.file.text,
        }
        text = json.dumps(document, ensure_ascii=False, indent=1, default=str)
        write_whole(folder / STUDY, text.encode(), mode=0o644)


def load(folder: Path) -> Study:
    """Read a study that `save` wrote.

    Raises:
        UsageError: It is not there, not whole or not one.
    """
    path = folder / STUDY
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        table = pq.read_table(folder / HOURS)
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no study in {folder}: {Path(error.filename).name} is missing.", hint=_AGAIN
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"The study in {folder} cannot be read.", hint=_AGAIN) from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise UsageError(
            f"{path} is not of the format {_FORMAT}.", hint="It may come from another version of kifabrik."
        )
    try:
        changes = document["changes"]
        file = SiteFile(parse_site(document["site"], f"{path} (site)", changes), document["site"], changes)
        summary = {name: math.nan if value is None else float(value) for name, value in document["summary"].items()}
        return Study(
            file=file,
            load=str(document["load"]),
            summary=Summary(**summary),
            hourly={name: np.array(table[name], dtype=np.float64) for name in table.column_names if name != "time"},
            river_source=str(document["river_source"]),
            weather_source=str(document["weather_source"]),
            measured=bool(document["measured"]),
            bridged=int(document["bridged"]),
            tariff_sources=tuple(str(one) for one in document.get("tariff_sources", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} does not hold a study.", hint=_AGAIN) from error


def _table(series: Mapping[str, Any], year: int, seconds: int) -> pa.Table:
    length = len(next(iter(series.values())))
    start = np.datetime64(f"{year}-01-01T00:00", "s")
    times = start + np.arange(length) * seconds
    fields = [pa.field("time", pa.timestamp("s"), metadata={"meaning": "start of the step, UTC+1 all year"})]
    arrays = [pa.array(times)]
    for name, values in series.items():
        arrays.append(pa.array(values))
        fields.append(pa.field(name, arrays[-1].type, metadata={"unit": _UNITS.get(name, "W")}))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata={"kifabrik": str(_FORMAT)}))


def _write(table: pa.Table, path: Path) -> None:
    with replacing(path) as fresh:
        pq.write_table(table, fresh, compression="zstd", compression_level=1)
