"""The real supply chains of Willems, from two tables: stages and arcs.

S. P. Willems: Data Set—Real-World Multiechelon Supply Chains Used for Inventory Optimization. Manufacturing &
Service Operations Management 10(1), 2008, pp. 19-23. The data are not part of kifabrik.

A stage is a node; its `stageTime` is the time to make or fetch there (here: of every lane into it), its `stageCost`
what it adds to the value of a unit. Values are cumulated along arcs (one unit of each component in a unit), holding
cost is a yearly share of them.
Stages without predecessors are supplied from outside at once. Times are days.
"""

import csv
import gzip
import io
import math
from collections import defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.network import Demand, Lane, Network, Node
from kifabrik.recipes.supply_chain.tables.levels import Sizing, sized

STAGES: Final = "willems_stages.csv.gz"
ARCS: Final = "willems_arcs.csv.gz"
_HOLDING_RATE: Final = 0.25
_STOCKOUT_TIMES: Final = 10.0  # a unit owed costs so many times what holding it costs
_SERVICE: Final = 0.95
_DAYS: Final = 365.0
Stage = dict[str, str]


def chains(stages: Path) -> tuple[int, ...]:
    """Numbers of the chains in a table of stages, ascending.

    Raises:
        NotFoundError: If there is no such file.
        UsageError: If it is not such a table.
    """
    return tuple(sorted({_number(row, "chain", stages) for row in _rows(stages, ("chain", "Stage Name"))}))


def load(folder: Path, chain: int, *, holding_rate: float = _HOLDING_RATE) -> Network:
    """One chain of `willems_stages.csv.gz` and `willems_arcs.csv.gz` in a folder.

    Args:
        folder: Where the two tables are.
        chain: Number of the chain, from 1.
        holding_rate: Yearly holding cost as a share of the value.

    Raises:
        NotFoundError: If a file or the chain is not there.
        UsageError: If the tables are not in order.
    """
    return read(folder / STAGES, folder / ARCS, chain, holding_rate=holding_rate)


def read(stages: Path, arcs: Path, chain: int, *, holding_rate: float = _HOLDING_RATE) -> Network:
    """The same, from two files (CSV, also gzipped)."""
    rows = {
        row["Stage Name"]: row
        for row in _rows(stages, ("chain", "Stage Name", "stageCost", "stageTime", "avgDemand"))
        if row["chain"] == str(chain)
    }
    if not rows:
        known = chains(stages)
        raise NotFoundError(f"There is no chain {chain} in {stages}.", hint=f"It has {known[0]} to {known[-1]}.")
    before: dict[str, list[str]] = defaultdict(list)
    for arc in _rows(arcs, ("chain", "source", "destination")):
        if arc["chain"] == str(chain):
            if arc["source"] not in rows or arc["destination"] not in rows:
                raise UsageError(f"{arcs}: the arc {arc['source']} → {arc['destination']} leads to no stage.")
            before[arc["destination"]].append(arc["source"])
    values = _values(rows, before, stages)
    nodes = [_node(row, values[name], holding_rate, stages) for name, row in rows.items()]
    network = Network(name=f"Willems chain {chain}", nodes=tuple(nodes), lanes=tuple(_lanes(rows, before, stages)))
    return sized(
        network,
        {node.name: Sizing(service=_share(rows[node.product], stages) or _SERVICE) for node in network.nodes},
    )


def _values(rows: dict[str, Stage], before: dict[str, list[str]], stages: Path) -> dict[str, float]:
    """Cumulated cost of a unit of each stage."""
    values: dict[str, float] = {}
    try:
        order = list(TopologicalSorter({name: before[name] for name in rows}).static_order())
    except CycleError as error:
        raise UsageError(f"{stages}: the chain has a cycle: {' → '.join(error.args[1])}.") from None
    for name in order:
        values[name] = _amount(rows[name], "stageCost", stages) + sum(
            values[part] for part in dict.fromkeys(before[name])
        )
    return values


def _node(row: Stage, value: float, holding_rate: float, stages: Path) -> Node:
    holding = value * holding_rate / _DAYS
    return Node(
        product=row["Stage Name"],
        site=row.get("stageClassification") or "stage",
        demand=_demand(row, stages),
        holding_cost=holding,
        stockout_cost=holding * _STOCKOUT_TIMES if row["avgDemand"].strip() else 0.0,
        price=value if row["avgDemand"].strip() else 0.0,
        value=value,
        making_time=0,
        service_target=_share(row, stages),
        promised_time=math.floor(_amount(row, "maxServiceTime", stages) + 0.5),
        place=_place(row, stages),
    )


def _demand(row: Stage, stages: Path) -> Demand | None:
    if not row["avgDemand"].strip():
        return None
    mean, sd = _amount(row, "avgDemand", stages), _amount(row, "stdDevDemand", stages)
    return Demand(each=Distribution(kind=Kind.NORMAL, mean=mean, sd=sd) if sd > 0 else fixed(mean))


def _lanes(rows: dict[str, Stage], before: dict[str, list[str]], stages: Path) -> Iterable[Lane]:
    """Lanes in; each takes the time of the stage it leads to, so that random times can be drawn."""
    sites = {name: row.get("stageClassification") or "stage" for name, row in rows.items()}
    for name, row in rows.items():
        target, time = f"{name}@{sites[name]}", _time(row, stages)
        for part in dict.fromkeys(before[name]):
            yield Lane(source=f"{part}@{sites[part]}", target=target, component=part, lead_time=time)
        if not before[name]:
            yield Lane(source="", target=target, component=name, supplier=f"supplier of {name}", lead_time=time)


def _time(row: Stage, stages: Path) -> Distribution:
    values: dict[float, float] = defaultdict(float)
    for number in range(1, 7):
        if row.get(f"stageTime_{number}", "").strip():
            values[_amount(row, f"stageTime_{number}", stages)] += _amount(row, f"stageTime_%_{number}", stages)
    total = sum(values.values())
    if total > 0:
        listed = sorted(values)
        weights = tuple(values[value] / total for value in listed)
        return Distribution(kind=Kind.EMPIRICAL, values=tuple(listed), weights=weights)
    mean, sd = _amount(row, "stageTime", stages), _amount(row, "stdDev stageTime", stages)
    if sd > 0 and mean > 0:
        return Distribution(kind=Kind.GAMMA, mean=mean, sd=sd)
    return fixed(math.floor(mean + 0.5))


def _share(row: Stage, stages: Path) -> float:
    """Service level as a share; the tables have shares, some copies percentages."""
    share = _amount(row, "serviceLevel", stages)
    return share / 100 if share > 1 else share


def _place(row: Stage, stages: Path) -> tuple[float, float] | None:
    if not row.get("xPosition", "").strip() or not row.get("yPosition", "").strip():
        return None
    return _amount(row, "xPosition", stages), _amount(row, "yPosition", stages)


def _amount(row: Stage, column: str, file: Path) -> float:
    written = row.get(column, "").strip()
    if not written:
        return 0.0
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise UsageError(f"{file}: {row['Stage Name']}, {column}: '{written}' is no number of zero or more.")
    return number


def _number(row: Stage, column: str, file: Path) -> int:
    if not row[column].isdigit():
        raise UsageError(f"{file}: the {column} '{row[column]}' is not a whole number.")
    return int(row[column])


def _rows(file: Path, needed: tuple[str, ...]) -> list[Stage]:
    if not file.is_file():
        raise NotFoundError(f"There is no file {file}.")
    content = file.read_bytes()
    try:
        if file.suffix == ".gz":
            content = gzip.decompress(content)
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from None
    missing = [name for name in needed if not rows or name not in rows[0]]
    if missing:
        raise UsageError(f"{file} has no column {', '.join(missing)}.", hint="Use the tidied tables.")
    return [{name: value or "" for name, value in row.items() if name} for row in rows]
