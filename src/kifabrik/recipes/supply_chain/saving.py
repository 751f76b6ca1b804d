"""Results on disk: tables in Parquet that say what their columns mean, and the settings beside them.

Invariants:
    - A file is written under another name and then renamed: no name ever shows half a table.
    - `settings.json` goes first when results are replaced and comes last, so where it is, everything is.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from kifabrik.durable import make_folder, replacing, write_whole
from kifabrik.errors import UsageError, writing_to
from kifabrik.recipes.supply_chain.columns import describe
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.results import (
    LANE_FIGURES,
    NODE_FIGURES,
    SCENARIO_FIGURES,
    Results,
    Settings,
)
from kifabrik.recipes.supply_chain.studies import CriticalNode, Estimate, Frontier, OutageResult, Recovery

SETTINGS: Final = "settings.json"
TABLES: Final = ("scenarios.parquet", "nodes.parquet", "lanes.parquet", "courses.parquet")
_FORMAT: Final = 1
_ERROR: Final = "_error"
_AGAIN: Final = "Run the study again with the same folder."


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Results, and what further studies of the same network found.

    Attributes:
        results: Of the simulation.
        outages: Outages that were studied.
        critical: Nodes whose failure was studied.
        frontier: Plans that trade service against cash; None: not studied.
    """

    results: Results
    outages: tuple[OutageResult, ...] = ()
    critical: tuple[CriticalNode, ...] = ()
    frontier: Frontier | None = None


def save(
    results: Results,
    folder: Path,
    *,
    outages: Sequence[OutageResult] = (),
    critical: Sequence[CriticalNode] = (),
    frontier: Frontier | None = None,
) -> None:
    """Write results as four Parquet files and `settings.json`.

    Args:
        results: What to write.
        folder: Where to; it is made if it is not there, and results in it are replaced.
        outages: Outages that were studied.
        critical: Nodes whose failure was studied.
        frontier: Plans that trade service against cash.

    Raises:
        CapacityError: If the disk is full.
        UsageError: If the folder cannot be written to.
    """
    with writing_to(folder, "the results"):
        make_folder(folder)
        (folder / SETTINGS).unlink(missing_ok=True)
        for name, table in zip(TABLES, _tables(results), strict=True):
            _write(table, folder / name)
        document = {
            "format": _FORMAT,
            "seconds": results.seconds,
            "settings": asdict(results.settings),
            "network": _sparse(results.network),
            "outages": list(outages),
            "critical": list(critical),
            "frontier": frontier,
        }
        text = json.dumps(_plain(document), ensure_ascii=False, indent=1, allow_nan=False)
        write_whole(folder / SETTINGS, text.encode("utf-8", "replace"), mode=0o644)


def load(folder: Path) -> Results:
    """Read results that `save` wrote.

    Raises:
        UsageError: If they are not there, not whole or not such results.
    """
    return load_study(folder).results


def load_study(folder: Path) -> Study:
    """Read results and what further studies found.

    Raises:
        UsageError: If they are not there, not whole or not such results.
    """
    document = _document(folder / SETTINGS)
    try:
        network = TypeAdapter(Network).validate_python(document["network"])
        settings = TypeAdapter(Settings).validate_python(document["settings"])
        outages = tuple(_outage(one) for one in document["outages"])
        critical = TypeAdapter(tuple[CriticalNode, ...]).validate_python(document["critical"])
        frontier = TypeAdapter(Frontier | None).validate_python(document["frontier"])
        seconds = float(document["seconds"])
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder / SETTINGS} does not hold the settings of results.", hint=_AGAIN) from error
    scenarios, nodes, lanes, courses = (_read(folder / name) for name in TABLES)
    results = Results(
        network=network,
        settings=settings,
        scenarios=_columns(scenarios, SCENARIO_FIGURES, settings.scenarios, folder / TABLES[0]),
        nodes=_columns(nodes, NODE_FIGURES, len(network.nodes), folder / TABLES[1]),
        nodes_error=_columns(nodes, NODE_FIGURES, len(network.nodes), folder / TABLES[1], ending=_ERROR),
        lanes=_columns(lanes, LANE_FIGURES, len(network.lanes), folder / TABLES[2]),
        courses=_courses(courses, settings.periods, folder / TABLES[3]),
        seconds=seconds,
    )
    return Study(results=results, outages=outages, critical=critical, frontier=frontier)


def _tables(results: Results) -> Iterator[pa.Table]:
    network, settings = results.network, results.settings
    numbers = settings.first + np.arange(len(next(iter(results.scenarios.values()))))
    yield _table({"scenario": numbers, **results.scenarios}, network, of_scenario=True)
    errors = {f"{name}{_ERROR}": values for name, values in results.nodes_error.items()}
    parts = {name: [getattr(node, name) for node in network.nodes] for name in ("name", "product", "site", "unit")}
    yield _table({**parts, **results.nodes, **errors}, network)
    names = ("name", "source", "target", "component", "supplier", "mode")
    ways = {name: [getattr(lane, name) for lane in network.lanes] for name in names}
    yield _table({**ways, **results.lanes}, network)
    periods, traced = next((course.shape for course in results.courses.values()), (settings.periods, 0))
    keys: dict[str, Any] = {
        "scenario": np.repeat(settings.first + np.arange(traced), periods),
        "period": np.tile(np.arange(periods), traced),
    }
    yield _table({**keys, **{name: course.T.ravel() for name, course in results.courses.items()}}, network)


def _table(columns: Mapping[str, Any], network: Network, *, of_scenario: bool = False) -> pa.Table:
    arrays = [pa.array([_text(one) for one in values]) if isinstance(values, list) else pa.array(values)
              for values in columns.values()]  # fmt: skip
    described = [
        pa.field(_text(name), array.type, metadata=describe(name, network, of_scenario=of_scenario).metadata())
        for name, array in zip(columns, arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(described, metadata={"kifabrik": str(_FORMAT)}))


def _text(value: str) -> str:
    """Text that can be written as UTF-8."""
    return value.encode("utf-8", "replace").decode()


def _write(table: pa.Table, path: Path) -> None:
    with replacing(path) as fresh:
        pq.write_table(table, fresh, compression="zstd")


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = f"There are no results in {path.parent}: {path.name} is missing."
        raise UsageError(message, hint="Name the folder that a study wrote; one cut short wrote none.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read.", hint=_AGAIN) from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise UsageError(
            f"{path} is not of the format {_FORMAT}.", hint="It may come from another version of kifabrik."
        )
    return document


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise UsageError(
            f"The results in {path.parent} are not whole: {path.name} is missing.", hint=_AGAIN
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path} is not a Parquet file that can be read.", hint=_AGAIN) from error


def _columns(
    table: pa.Table, names: Sequence[str], rows: int, path: Path, ending: str = ""
) -> dict[str, NDArray[np.float64]]:
    missing = [name for name in names if f"{name}{ending}" not in table.column_names]
    if missing:
        raise UsageError(f"{path} has no column {missing[0]}{ending}.", hint=_AGAIN)
    if table.num_rows != rows:
        raise UsageError(f"{path} has {table.num_rows} rows; {rows} belong there.", hint=_AGAIN)
    return {name: np.array(_numbers(table, f"{name}{ending}", path), dtype=np.float64) for name in names}


def _courses(table: pa.Table, periods: int, path: Path) -> dict[str, NDArray[np.float32]]:
    if periods < 1 or table.num_rows % periods:
        raise UsageError(f"{path} has {table.num_rows} rows, not a multiple of {periods} periods.", hint=_AGAIN)
    names = [name for name in table.column_names if name not in {"scenario", "period"}]
    return {
        name: np.ascontiguousarray(_numbers(table, name, path).reshape(-1, periods).T, dtype=np.float32)
        for name in names
    }


def _numbers(table: pa.Table, name: str, path: Path) -> NDArray[Any]:
    column = table[name]
    if not pa.types.is_floating(column.type):
        raise UsageError(f"The column {name} of {path} is not made of numbers.", hint=_AGAIN)
    return np.asarray(column.to_numpy())


def _outage(written: dict[str, Any]) -> OutageResult:
    return OutageResult(
        name=str(written["name"]),
        start=int(written["start"]),
        periods=int(written["periods"]),
        cost_difference=TypeAdapter(Estimate).validate_python(written["cost_difference"]),
        recovery=Recovery(**{name: float(value) for name, value in written["recovery"].items()}),
        backlog_with=np.array([float(one) for one in written["backlog_with"]]),
        backlog_without=np.array([float(one) for one in written["backlog_without"]]),
        beta_difference=TypeAdapter(Estimate | None).validate_python(written["beta_difference"]),
    )


def _sparse(value: Any) -> Any:
    """A network without what says nothing: fields that are as they are by default."""
    if is_dataclass(value) and not isinstance(value, type):
        usual = _defaults(type(value))
        told = {one.name: getattr(value, one.name) for one in fields(value)}
        return {name: _sparse(one) for name, one in told.items() if name not in usual or one != usual[name]}
    return [_sparse(one) for one in value] if isinstance(value, tuple) else value


@cache
def _defaults(kind: type[Any]) -> dict[str, Any]:
    made = {one.name: one.default_factory() for one in fields(kind) if one.default_factory is not MISSING}
    return {one.name: one.default for one in fields(kind) if one.default is not MISSING} | made


def _plain(value: Any) -> Any:
    """What JSON can hold: numbers that are not finite become words that `float` reads."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
