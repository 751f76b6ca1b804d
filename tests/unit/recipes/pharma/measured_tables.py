"""Small tables of compounds for tests."""

import gzip
from pathlib import Path

from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.endpoints import Endpoint, Kind
from kifabrik.recipes.pharma.measuring import Wishes
from kifabrik.recipes.pharma.preparing import Prepared, prepare

CORES = ("c1ccccc1", "c1ccncc1", "C1CCCCC1", "c1ccc2[nH]ccc2c1", "c1ccoc1", "c1ccsc1", "C1CCNCC1", "c1cncnc1")


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def prepared(folder: Path, text: str, wishes: Wishes | None = None, name: str = "table.csv") -> Prepared:
    return prepare([write(folder / name, text)], wishes)


def series(count: int) -> list[tuple[str, float]]:
    """Different compounds with a value that grows with their chains and depends on the core."""
    made = []
    for at in range(count):
        core, length = CORES[at % len(CORES)], at // len(CORES)
        made.append(("C" * (length + 1) + "O" + "C" * (at % 3 + 1) + core, float(length + 3 * (at % len(CORES)))))
    return made


def compounds_of(rows: list[tuple[str, float]], folder: Path) -> tuple[Compounds, Endpoint]:
    """Compounds of a table of SMILES and numbers."""
    lines = "\n".join(f"c{at},{smiles},{value}" for at, (smiles, value) in enumerate(rows))
    made = prepared(folder, f"id,smiles,y\n{lines}\n")
    return made.compounds, made.endpoints[0]


def as_classes(compounds: Compounds, endpoint: Endpoint) -> tuple[Compounds, Endpoint]:
    """The same with 1 where the value is above the median."""
    values = compounds.endpoints[endpoint.name]
    median = sorted(values.value)[len(compounds) // 2]
    values.value[:] = values.value > median
    return compounds, Endpoint(endpoint.name, Kind.CLASS)
