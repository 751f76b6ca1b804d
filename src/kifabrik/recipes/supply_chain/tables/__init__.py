"""Networks as flat tables: read, checked, changed by what-ifs, written.

    network = read_network(Path("our-network"), scenario="demand +20 %")

A folder of CSV files or one XLSX file holds the tables of `columns.TABLES`. All that is wrong
is listed at once.
"""

from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.network import Network, Semantics
from kifabrik.recipes.supply_chain.tables import build
from kifabrik.recipes.supply_chain.tables.cells import Problem, parse
from kifabrik.recipes.supply_chain.tables.checks import check, check_correlations, check_flow
from kifabrik.recipes.supply_chain.tables.levels import sized
from kifabrik.recipes.supply_chain.tables.source import Tables, read_tables, tables_of
from kifabrik.recipes.supply_chain.tables.what_if import apply_scenario, scenario_names

__all__ = [
    "Problem",
    "Tables",
    "apply_scenario",
    "network_of",
    "problems",
    "read_network",
    "read_tables",
    "scenario_names",
    "tables_of",
]

_LISTED: Final = 20


def read_network(path: Path, scenario: str = "") -> Network:
    """The network in a folder of CSV files or an XLSX file, as a what-if of its `scenarios` table changes it.

    Raises:
        NotFoundError: If there is nothing at this path, or no such scenario.
        UsageError: If the tables are not in order; the first 20 problems are listed.
    """
    tables = read_tables(path)
    if scenario:
        tables = apply_scenario(tables, scenario)
    return network_of(tables, path.stem, str(path))


def network_of(tables: Tables, name: str, where: str = "The network") -> Network:
    """The network that tables describe.

    Args:
        tables: As written.
        name: Of the network, if its tables say none.
        where: What the tables are called in errors.

    Raises:
        UsageError: If the tables are not in order; the first 20 problems are listed.
    """
    network, found = _read(tables, name)
    if network is None:
        listed = "\n".join(f"  {problem}" for problem in found[:_LISTED])
        more = f"\n  … and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        noun = "problem" if len(found) == 1 else "problems"
        raise UsageError(
            f"{where} has {len(found)} {noun}:\n{listed}{more}",
            hint="`kifabrik supply-chain template FOLDER` explains every table and column.",
        )
    return network


def problems(path: Path, scenario: str = "") -> tuple[Problem, ...]:
    """Everything that is wrong with the tables; empty: nothing is.

    Raises:
        NotFoundError: If there is nothing at this path, or no such scenario.
        UsageError: If a file cannot be read at all.
    """
    tables = read_tables(path)
    if scenario:
        tables = apply_scenario(tables, scenario)
    return _read(tables, path.stem)[1]


def _read(tables: Tables, stem: str) -> tuple[Network | None, tuple[Problem, ...]]:
    parsed = parse(tables)
    check(parsed)
    nodes, lanes = build.nodes(parsed), build.lanes(parsed)
    check_flow(parsed, lanes)
    if not nodes and not parsed.problems:
        parsed.report("product_site", 0, "", "There is no row, so there is no network.")
    if parsed.problems:
        return None, tuple(dict.fromkeys(parsed.problems))
    about = parsed.rows["network"][0] if parsed.rows["network"] else None
    network = Network(
        name=about.text("name", stem) if about else stem,
        nodes=tuple(nodes),
        lanes=tuple(lanes),
        disruptions=tuple(build.disruptions(parsed)),
        correlations=tuple(build.correlations(parsed)),
        period_days=parsed.period_days,
        currency=about.text("currency", "EUR") if about else "EUR",
        semantics=Semantics(about.text("semantics", Semantics.KIFABRIK)) if about else Semantics.KIFABRIK,
    )
    check_correlations(parsed, network)
    if parsed.problems:
        return None, tuple(parsed.problems)
    return sized(network, build.sizings(parsed)), ()
