"""`kifabrik supply-chain import`: networks of other tools as tables."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kifabrik.recipes.supply_chain.network import Network


@click.group("import")
def import_network() -> None:
    """Turn networks of other tools into tables."""


@import_network.command()
@click.argument("stages", type=click.Path(path_type=Path))
@click.argument("arcs", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--chain", type=int, required=True, help="Number of the chain.")
def willems(stages: Path, arcs: Path, folder: Path, chain: int) -> None:
    """Write a chain of the Willems (2008) data, tables STAGES and ARCS (CSV), into FOLDER.

    \b
    Example:
      kifabrik supply-chain import willems stages.csv.gz arcs.csv.gz --chain 12 chain-12
    """  # noqa: D301 - \b is click's mark for a block kept as it is
    from kifabrik.recipes.supply_chain.willems import read  # noqa: PLC0415

    _write(read(stages, arcs, chain), folder)


@import_network.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Which instance, in a file of several.")
def stockpyl(file: Path, folder: Path, name: str) -> None:
    """Write a network of stockpyl, saved as JSON in FILE, into FOLDER.

    \b
    Example:
      kifabrik supply-chain import stockpyl instances.json --name example_6_1 example-6-1
    """  # noqa: D301 - \b is click's mark for a block kept as it is
    from kifabrik.recipes.supply_chain.stockpyl_json import read  # noqa: PLC0415

    _write(read(file, name), folder)


def _write(network: "Network", folder: Path) -> None:
    from kifabrik.cli.plain import plain  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.tables.write import write_tables  # noqa: PLC0415

    write_tables(network, folder)
    click.echo(f"Wrote {len(network.nodes)} nodes and {len(network.lanes)} lanes into {plain(str(folder))}.")
