"""Pulled master data becomes the tables of a supply network, checked before they are sealed."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from kifabrik.connectors.sap.lead_time_tables import LEAD_TIMES, with_lead_times
from kifabrik.connectors.sap.lead_times import LeadTimes, fit_lead_times
from kifabrik.connectors.sap.pulled_tables import column, table
from kifabrik.connectors.sap.templates import HistoryFrom, NetworkFrom, TableFrom
from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.past import past_of
from kifabrik.recipes.supply_chain.tables import network_of, tables_of
from kifabrik.recipes.supply_chain.tables.columns import TABLES

HISTORY: Final = "history.csv"
_COLUMNS: Final = ("product", "site", "date", "quantity")


@dataclass(frozen=True)
class NetworkMade:
    """A network made of pulled tables.

    Args:
        network: As the simulator takes it.
        files: CSV files by name: its tables, and `history.csv`.
        series: Products at sites that have a history.
        left_out: Rows of the history whose product and site are no node of the network.
        lead_times: What order lines say; None if the plan asks for none.
        fitted: Lanes by the level their lead time is fitted at; '' for those that keep the planned one.
    """

    network: Network
    files: Mapping[str, bytes]
    series: int
    left_out: int
    lead_times: LeadTimes | None = None
    fitted: Mapping[str, int] = field(default_factory=dict)


def make_network(wanted: NetworkFrom, pulled: Mapping[str, pa.Table]) -> NetworkMade:
    """Make the tables of a network, and check them as the simulator would.

    Raises:
        UsageError: The plan names a table or field that is not there, or the network is not in order.
    """
    texts = {name: _text(name, one, pulled) for name, one in wanted.tables.items()}
    times, account = None, ""
    fitted: Mapping[str, int] = {}
    if wanted.lead_times is not None:
        times = fit_lead_times(wanted.lead_times, pulled)
        texts["sourcing"], account, fitted = with_lead_times(texts.get("sourcing", ""), times)
    heading = {"name": wanted.name, "period_days": "1", "currency": wanted.currency}
    texts.setdefault("network", _csv([list(heading), list(heading.values())]))
    history, left_out, series = None, 0, 0
    if wanted.history is not None:
        nodes = set(_nodes(texts))
        history, left_out = _history(wanted.history, pulled, nodes)
        columns = {name: [row[at] for row in history[1:]] for at, name in enumerate(_COLUMNS)}
        series = len(past_of(columns, HISTORY).series)
    network = network_of(tables_of(texts), wanted.name, f"The network {wanted.name!r}")
    files = {f"{name}.csv": text.encode() for name, text in texts.items()}
    if history is not None:
        files[HISTORY] = _csv(history).encode()
    if times is not None:
        files[LEAD_TIMES] = account.encode()
    return NetworkMade(network, files, series, left_out, times, fitted)


def history_rows(wanted: HistoryFrom, pulled: Mapping[str, pa.Table]) -> Iterator[tuple[Any, ...]]:
    """Yield product, site, day and quantity of the past.

    Raises:
        UsageError: The plan names a table or field that is not there.
    """
    names = (wanted.product, wanted.site, wanted.date, wanted.quantity)
    found = table(wanted.source, pulled)
    yield from zip(*(column(found, wanted.source, name).to_pylist() for name in names), strict=True)


def _history(
    wanted: HistoryFrom, pulled: Mapping[str, pa.Table], nodes: set[tuple[str, str]]
) -> tuple[list[list[Any]], int]:
    rows: list[list[Any]] = [list(_COLUMNS)]
    left_out = 0
    for row in history_rows(wanted, pulled):
        if (str(row[0]), str(row[1])) in nodes:
            rows.append([_cell(value) for value in row])
        else:
            left_out += 1
    return rows, left_out


def _nodes(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for row in csv.DictReader(io.StringIO(texts.get("product_site", ""))):
        yield row.get("product") or "", row.get("site") or ""


def _text(name: str, one: TableFrom, pulled: Mapping[str, pa.Table]) -> str:
    if name not in TABLES:
        raise UsageError(f"the network has no table {name!r}", hint=f"There are: {', '.join(TABLES)}.")
    known = {one.name for one in TABLES[name].columns} | {
        one.where_unit for one in TABLES[name].columns if one.where_unit
    }
    for heading in (*one.columns, *one.constants):
        if heading not in known:
            raise UsageError(f"the table {name} has no column {heading!r}", hint="docs/supply-chain.md lists them.")
    found = table(one.source, pulled)
    columns = [column(found, one.source, field).to_pylist() for field in one.columns.values()]
    constants = list(one.constants.values())
    rows = [[*(_cell(value) for value in row), *constants] for row in zip(*columns, strict=True)]
    return _csv([[*one.columns, *one.constants], *_distinct(name, list(one.columns), rows)])


def _distinct(name: str, columns: list[str], rows: list[list[str]]) -> Iterator[list[str]]:
    """Leave out rows whose key came before: products of stock in several plants, say."""
    key = [columns.index(part) for part in TABLES[name].key if part in columns]
    seen = set()
    for row in rows:
        mark = tuple(row[at] for at in key)
        if not key or mark not in seen:
            seen.add(mark)
            yield row


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
