"""Real sensor readings, out of a package that is installed with the tests.

UCI Statlog (Shuttle), donated by NASA, licence CC BY 4.0 (archive.ics.uci.edu/dataset/148), cast as
anomaly detection by the ODDS benchmark; carried by the package `river` (BSD-3-Clause).
"""

import gzip
from importlib.resources import files
from pathlib import Path

SOURCE = "NASA space shuttle sensor readings: UCI Statlog (Shuttle), from the package river"
LICENCE = "CC BY 4.0"
_PARTS, _HELD_OUT = 8, 9_097


def write_readings(folder: Path, held_out: Path) -> tuple[int, int]:
    """Write the readings as CSV files; return how many to train on, and how many are held out."""
    packed = files("river.datasets").joinpath("shuttle.csv.gz").read_bytes()
    head, *rows = gzip.decompress(packed).decode().splitlines()
    folder.mkdir(parents=True)
    train = rows[:-_HELD_OUT]
    size = -(-len(train) // _PARTS)
    for part in range(_PARTS):
        lines = [head, *train[part * size : (part + 1) * size]]
        (folder / f"readings-week-{part + 1}.csv").write_text("\n".join(lines) + "\n")
    held_out.write_text("\n".join([head, *rows[-_HELD_OUT:]]) + "\n")
    return len(train), _HELD_OUT
