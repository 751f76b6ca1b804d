"""Networks as flat tables: read, checked, changed by what-ifs, written.

    network = read_network(Path("our-network"), scenario="demand +20 %")

A folder of CSV files or one XLSX file holds the tables of `columns.TABLES`. All that is wrong
is listed at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.tables.cells import Problem
from kifabrik.recipes.supply_chain.tables.reading import Amended, read
from kifabrik.recipes.supply_chain.tables.source import Tables, read_tables, tables_of
from kifabrik.recipes.supply_chain.tables.what_if import apply_scenario, scenario_names

__all__ = [
    "Examination",
    "Problem",
    "Tables",
    "apply_scenario",
    "examine",
    "network_of",
    "read_network",
    "read_tables",
    "scenario_names",
    "tables_of",
]

_LISTED: Final = 20


def read_network(path: Path, scenario: str = "", *, amended: Amended | None = None) -> Network:
    """The network in a folder of CSV files or an XLSX file, as a what-if of its `scenarios` table changes it.

    Args:
        path: The folder or the workbook.
        scenario: Name of the what-if; empty: none.
        amended: Says better what the tables say, such as demand, before levels are sized that no table gives.

    Raises:
        NotFoundError: If there is nothing at this path, or no such scenario.
        UsageError: If the tables are not in order; the first 20 problems are listed.
    """
    tables = read_tables(path)
    if scenario:
        tables = apply_scenario(tables, scenario)
    return network_of(tables, path.stem, str(path), amended=amended)


def network_of(tables: Tables, name: str, where: str = "The network", *, amended: Amended | None = None) -> Network:
    """The network that tables describe.

    Args:
        tables: As written.
        name: Of the network, if its tables say none.
        where: What the tables are called in errors.
        amended: As for `read_network`.

    Raises:
        UsageError: If the tables are not in order; the first 20 problems are listed.
    """
    reading = read(tables, name, amended=amended)
    found = reading.problems
    if reading.network is None:
        listed = "\n".join(f"  {problem}" for problem in found[:_LISTED])
        more = f"\n  … and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        noun = "problem" if len(found) == 1 else "problems"
        raise UsageError(
            f"{where} has {len(found)} {noun}:\n{listed}{more}",
            hint="`kifabrik supply-chain template FOLDER` explains every table and column.",
        )
    return reading.network


@dataclass(frozen=True, slots=True)
class Examination:
    """What is wrong with tables, and with what their what-ifs make of them.

    Attributes:
        problems: Name of a what-if, empty for the tables as they are, to its problems.
        network: The network of the tables, or of the only what-if looked at; None if something is wrong.
    """

    problems: dict[str, tuple[Problem, ...]]
    network: Network | None


def examine(path: Path, scenario: str = "") -> Examination:
    """Everything that is wrong with the tables; if nothing is, everything that is wrong with each what-if.

    Args:
        path: A folder or a workbook.
        scenario: Look at the tables as this what-if makes them, and at no other.

    Raises:
        NotFoundError: If there is nothing at this path, or no such scenario.
        UsageError: If a file cannot be read at all, or a what-if changes what is not there.
    """
    tables = read_tables(path)
    if scenario:
        tables = apply_scenario(tables, scenario)
    reading = read(tables, path.stem)
    found = {scenario: reading.problems}
    if reading.network is not None and not scenario:
        for name in scenario_names(tables):
            changed = apply_scenario(tables, name)
            found[name] = read(changed, path.stem, like=reading, only_check=True).problems
    return Examination(found, reading.network)
