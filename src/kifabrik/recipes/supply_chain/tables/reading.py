"""From tables as written to a checked network, once or once more for each what-if.

Invariants:
    - What a what-if leaves as it is, is not read again: its rows are those of the tables without it.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from kifabrik.recipes.supply_chain.network import Lane, Network, Semantics
from kifabrik.recipes.supply_chain.tables import build
from kifabrik.recipes.supply_chain.tables.cells import Parsed, Problem, parse
from kifabrik.recipes.supply_chain.tables.checks import check, check_correlations, check_flow
from kifabrik.recipes.supply_chain.tables.levels import sized
from kifabrik.recipes.supply_chain.tables.source import Tables

_OF_LANES: Final = ("network", "product_site", "production", "bom", "lanes", "sourcing")
"""Tables that lanes are made of."""


Amended = Callable[[Network], Network]
"""Changes a network before its levels are sized."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Tables read.

    Attributes:
        tables: As written.
        parsed: Their values.
        lanes: Ways between nodes.
        problems: All that is wrong; empty: nothing is.
        network: What the tables describe; None if something is wrong, or if only the problems were asked for.
    """

    tables: Tables
    parsed: Parsed
    lanes: list[Lane]
    problems: tuple[Problem, ...]
    network: Network | None


def read(
    tables: Tables,
    name: str,
    *,
    like: Reading | None = None,
    only_check: bool = False,
    amended: Amended | None = None,
) -> Reading:
    """Read tables.

    Args:
        tables: As written.
        name: Of the network, if the tables say none.
        like: The tables without a what-if, read before and in order.
        only_check: Whether problems are all that is wanted.
        amended: Changes the network before levels are sized that no table gives.
    """
    with _many_objects():
        reading = _read(tables, name, like, only_check=only_check)
    if reading.network is None:
        return reading
    network = amended(reading.network) if amended else reading.network
    return replace(reading, network=sized(network, build.sizings(reading.parsed)))


def _read(tables: Tables, name: str, like: Reading | None, *, only_check: bool) -> Reading:
    same = {each for each in tables if like and tables[each] is like.tables.get(each)}
    parsed = parse(tables, like.parsed if like else None, same)
    check(parsed)
    nodes = build.nodes(parsed)
    is_new = like is None or any(each in tables and each not in same for each in _OF_LANES)
    lanes = build.lanes(parsed) if like is None or is_new else like.lanes
    check_flow(parsed, lanes)
    if not nodes and not parsed.problems:
        parsed.report("product_site", 0, "", "There is no row, so there is no network.")
    correlations = build.correlations(parsed)
    if not parsed.problems:
        check_correlations(parsed, nodes, correlations)
    problems = tuple(dict.fromkeys(parsed.problems))
    if problems or only_check:
        return Reading(tables, parsed, lanes, problems, None)
    about = parsed.rows["network"][0] if parsed.rows["network"] else None
    network = Network(
        name=about.text("name", name) if about else name,
        nodes=tuple(nodes),
        lanes=tuple(lanes),
        disruptions=tuple(build.disruptions(parsed)),
        correlations=tuple(correlations),
        period_days=parsed.period_days,
        currency=about.text("currency", "EUR") if about else "EUR",
        semantics=Semantics(about.text("semantics", Semantics.KIFABRIK)) if about else Semantics.KIFABRIK,
    )
    return Reading(tables, parsed, lanes, problems, network)


@contextmanager
def _many_objects() -> Iterator[None]:
    """Keep Python from looking for garbage while objects by the hundred thousand are made to stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
