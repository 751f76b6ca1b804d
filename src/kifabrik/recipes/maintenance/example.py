"""Made-up readings of a milling machine to try things with, as a controller in Germany would export them.

Eight weeks, a row every five minutes. Three times the bearing of the spindle wears: temperature and vibration rise
for one to three days, until it fails. Once the coolant runs low, which nobody has noted.
"""

from pathlib import Path
from typing import Final

import numpy as np

START: Final = np.datetime64("2026-01-05T06:00", "s")
EVERY: Final = np.timedelta64(300, "s")
WEEKS: Final = 8
_A_DAY: Final = 288
_FAILURES: Final = ((18.3, 1.6), (41.6, 2.4), (52.2, 1.2))
"""Days from the start until the bearing fails, and days it wears before."""
_COOLANT: Final = (47.0, 47.4)
_SEED: Final = 2026
_HEAD: Final = (
    "Datum;Uhrzeit;Last [%];Schwingung [mm/s];Temperatur [°C];Öl [°C];Kühlmittel [l/min];Stückzahl;Status"
)


def write_example(folder: Path) -> None:
    """Write two CSV files of readings into a folder, with the faults in the column `Störung`."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(_SEED)
    rows = WEEKS * 7 * _A_DAY
    day = np.arange(rows) / _A_DAY
    shift = np.where((day % 1) < 0.6, 1.0, 0.35) * np.where((day % 7) < 5, 1.0, 0.5)  # noqa: PLR2004 - hours and days
    load = np.clip(55 * shift + 8 * np.sin(day * 9) * shift + random.normal(0, 3, rows), 3, 100)
    wear = np.zeros(rows)
    failing = np.zeros(rows, dtype=bool)
    for at, before in _FAILURES:
        wearing = (day > at - before) & (day < at)
        wear[wearing] = ((day[wearing] - at + before) / before) ** 1.5
        failing |= (day >= at) & (day < at + 3 / 24)
    coolant = 12 + random.normal(0, 0.15, rows) - 2.5 * ((day > _COOLANT[0]) & (day < _COOLANT[1]))
    warm = _follows(load, 0.15)
    temperature = 34 + 0.22 * warm + 6 * wear + random.normal(0, 0.5, rows) + 25 * failing
    vibration = 0.5 + 0.006 * load + 0.45 * wear + random.normal(0, 0.05, rows) + 2.0 * failing
    oil = 38 + 0.25 * _follows(load, 0.05) + random.normal(0, 0.4, rows)
    pieces = np.cumsum(random.random(rows) < load / 120)
    lines = []
    for at in range(rows):
        date, clock = str(START + at * EVERY).split("T")
        figures = (load[at], vibration[at], temperature[at], oil[at], coolant[at])
        cells = ";".join(f"{figure:.2f}" for figure in figures).replace(".", ",")
        status = "Störung" if failing[at] else "läuft"
        lines.append(f"{'.'.join(date.split('-')[::-1])};{clock};{cells};{pieces[at]};{status};{int(failing[at])}")
    half = rows // 2
    for name, part in (("Fräse-7 Januar.csv", lines[:half]), ("Fräse-7 Februar.csv", lines[half:])):
        text = "\r\n".join((f"{_HEAD};Störung", *part)) + "\r\n"
        (folder / name).write_bytes(text.encode("cp1252"))


def _follows(values: np.ndarray, share: float) -> np.ndarray:
    """What comes after something else, slowly: each step a share of the way."""
    found = np.empty_like(values)
    now = values[0]
    for at, value in enumerate(values):
        now += share * (value - now)
        found[at] = now
    return found
