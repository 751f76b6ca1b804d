"""`kifabrik plant meters ls`."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import remark, show_json, show_table

if TYPE_CHECKING:
    from kifabrik.plant.metering.kinds import Meter


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant meters ls meters
    """
)
@click.argument("store", type=click.Path(path_type=Path, file_okay=False))
@json_option
def ls(store: Path, *, as_json: bool) -> None:
    """List the meters in STORE, from when to when they reach, and what is odd about them."""
    from kifabrik.plant.metering.store import Store  # noqa: PLC0415 - slow to import

    rows: list[tuple[Meter, int, str, str, dict[str, int]]] = []
    found = Store(store)
    for meter in found.meters():
        readings = found.read(meter.name)
        odd = Counter(one.oddity.value for one in readings.findings())
        span = [datetime.fromtimestamp(int(readings.time[at]), UTC).strftime("%Y-%m-%d %H:%M") for at in (0, -1)]
        rows.append((meter, len(readings.time), span[0], span[1], dict(odd)))
    if as_json:
        show_json(
            [
                {
                    "name": meter.name,
                    "kind": meter.kind.value,
                    "unit": meter.unit,
                    "field": meter.field,
                    "readings": count,
                    "first": first,
                    "last": last,
                    "odd": odd,
                }
                for meter, count, first, last, odd in rows
            ]
        )
        return
    if not rows:
        remark(f"There are no meters in {store}.")
        return
    show_table(
        ["METER", "KIND", "FIELD", "READINGS", "FIRST (UTC)", "LAST (UTC)", "ODD"],
        [
            (
                meter.name,
                meter.kind.value,
                meter.field or "-",
                f"{count:,}",
                first,
                last,
                ", ".join(f"{number} {name}" for name, number in odd.items()) or "-",
            )
            for meter, count, first, last, odd in rows
        ],
        right=(3,),
    )
