"""`kifabrik plant meters import`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, show_json, show_table, warn
from kifabrik.errors import UsageError


@click.command(
    "import",
    epilog="""\b
    Examples:
      kifabrik plant meters import grid.csv --store meters --name grid --kind energy --unit kWh --field electricity_total
      kifabrik plant meters import waerme.csv --store meters --name heat --kind energy --unit MWh --time Zeit --value Zählerstand --zone Europe/Berlin --field heat_delivered
    """,  # noqa: E501 - broken for the terminal where it is shown
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--store", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of meters.")
@click.option("--name", required=True, help="Of the meter.")
@click.option(
    "--kind",
    type=click.Choice(["energy", "volume", "power", "flow", "temperature"]),
    required=True,
    help="Counters are energy and volume.",
)
@click.option("--unit", required=True, help="As the file has it: kWh, MWh, m³, kW, °C and others.")
@click.option(
    "--field", default="", help="Of a register that it fills, such as electricity_total or electricity_it."
)
@click.option("--time", "time_column", default="time", show_default=True, help="Column of times.")
@click.option("--value", "value_column", default="value", show_default=True, help="Column of values.")
@click.option("--zone", default="Europe/Berlin", show_default=True, help="Of times without an offset.")
@click.option("--accept", is_flag=True, help="Keep readings although their unit seems to change.")
@json_option
def import_table(
    file: Path, store: Path, name: str, kind: str, unit: str, field: str, time_column: str, value_column: str,
    zone: str, *, accept: bool, as_json: bool,
) -> None:  # fmt: skip
    """Read a meter's CSV FILE into a store, and say what is odd: gaps, resets, clock changes, units."""
    from kifabrik.plant.metering.kinds import Kind, Meter  # noqa: PLC0415 - slow to import
    from kifabrik.plant.metering.readings import Oddity  # noqa: PLC0415
    from kifabrik.plant.metering.store import Store  # noqa: PLC0415
    from kifabrik.plant.metering.table import read_table  # noqa: PLC0415

    _known(field)
    meter = Meter(name=name, kind=Kind(kind), unit=unit, field=field)
    read = read_table(file, meter, time=time_column, value=value_column, zone=zone)
    wrong = [one.says for one in read.findings if one.oddity in {Oddity.UNIT, Oddity.NEGATIVE}]
    if wrong and not accept:
        message = f"{file}: {'; '.join(wrong[:5])}. Nothing was kept."
        raise UsageError(message, hint="Split the file there and give each part its unit, or --accept.")
    kept = Store(store).add(read.readings, accept=accept)
    if as_json:
        findings = [{"oddity": one.oddity.value, "says": one.says} for one in read.findings]
        show_json({"meter": name, "read": len(read.readings.time), "kept": len(kept.time), "findings": findings})
        return
    if read.findings:
        show_table(["ODD", "WHAT"], [(one.oddity.value, one.says) for one in read.findings])
        warn("Nothing is filled in: time without readings stays a gap.")
    done(f"{len(read.readings.time):,} readings of {name} read; {store} now has {len(kept.time):,} of it.")


def _known(field: str) -> None:
    from kifabrik.plant.law.rows import rules  # noqa: PLC0415 - slow to import

    known = sorted({one.id for register in rules().registers for one in register.fields if one.unit})
    if field and field not in known:
        raise UsageError(f"No register has a field {field}.", hint=f"Fields: {', '.join(known)}.")
