"""`kifabrik plant meters watch`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, remark, show_json, warn


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant meters watch meters.yaml --store meters
      kifabrik plant meters watch meters.yaml --store meters --rounds 1
    """
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--store", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of meters.")
@click.option("--rounds", type=click.IntRange(min=1), help="Stop after so many. [until Ctrl-C]")
@json_option
def watch(file: Path, store: Path, rounds: int | None, *, as_json: bool) -> None:
    """Read the meters of FILE by Modbus TCP and MQTT, again and again; what does not answer stays a gap."""
    from kifabrik.plant.metering.connecting import read_connections  # noqa: PLC0415 - slow to import
    from kifabrik.plant.metering.store import Store  # noqa: PLC0415
    from kifabrik.plant.metering.watching import watch as follow  # noqa: PLC0415

    connections = read_connections(file)
    if not as_json:
        remark(f"Reading {len(connections.meters)} meters every {connections.every:g} s into {store}.")
    kept = follow(connections, Store(store), rounds=rounds, tell=warn)
    if as_json:
        show_json(kept)
        return
    done("; ".join(f"{name}: {count} readings" for name, count in kept.items()))
