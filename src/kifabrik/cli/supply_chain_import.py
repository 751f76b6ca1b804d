"""`kifabrik supply-chain import`: networks of other tools as tables."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import remark, show_json

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
@json_option
def willems(stages: Path, arcs: Path, folder: Path, chain: int, *, as_json: bool) -> None:
    """Write a chain of the Willems (2008) data, tables STAGES and ARCS (CSV), into FOLDER.

    \b
    Example:
      kifabrik supply-chain import willems stages.csv.gz arcs.csv.gz --chain 12 chain-12
    """  # noqa: D301 - \b is click's mark for a block kept as it is
    from kifabrik.recipes.supply_chain.willems import read  # noqa: PLC0415

    _write(read(stages, arcs, chain), folder, as_json=as_json)


@import_network.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Which instance, in a file of several.")
@click.option(
    "--periods",
    type=click.IntRange(min=1),
    default=365,
    show_default=True,
    help="How far to write out explicit lists of disruptions, which stockpyl repeats.",
)
@json_option
def stockpyl(file: Path, folder: Path, name: str, periods: int, *, as_json: bool) -> None:
    """Write a network of stockpyl, saved as JSON in FILE, into FOLDER.

    \b
    Example:
      kifabrik supply-chain import stockpyl instances.json --name example_6_1 example-6-1
    """  # noqa: D301 - \b is click's mark for a block kept as it is
    from kifabrik.recipes.supply_chain.stockpyl_json import read  # noqa: PLC0415

    network = read(file, name, periods=periods)
    _write(network, folder, as_json=as_json)
    if not as_json and any(disruption.start is not None for disruption in network.disruptions):
        remark(f"Its lists of disruptions are written out for {periods} periods.")


def _write(network: "Network", folder: Path, *, as_json: bool) -> None:
    from kifabrik.cli.plain import plain  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.tables.write import write_tables  # noqa: PLC0415

    write_tables(network, folder)
    if as_json:
        show_json({"folder": str(folder), "nodes": len(network.nodes), "lanes": len(network.lanes)})
        return
    click.echo(f"Wrote {len(network.nodes)} nodes and {len(network.lanes)} lanes into {plain(str(folder))}.")
