"""`kifabrik plant validate`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.plant_sites import opened, site_options
from kifabrik.cli.terminal import done, show_json, show_table, warn


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant validate munich
      kifabrik plant validate site.yaml --set river.year=2003 --data tables
    """
)
@site_options
@json_option
def validate(site: str, changes: tuple[str, ...], year: int | None, data: Path | None, *, as_json: bool) -> None:
    """Check SITE and its tables: units, temperatures that cross, limits that can never hold."""
    from kifabrik.plant.conditions import conditions_of  # noqa: PLC0415 - slow to import

    file = opened(site, changes, year)
    conditions = conditions_of(file.site, data)
    fleet = file.site.fleet()
    river = conditions.river
    rows = [
        ("GPUs", f"{fleet.gpus:,}"),
        ("nodes idle / full", f"{fleet.idle_watts / 1e6:.2f} / {fleet.full_watts / 1e6:.2f} MW"),
        ("grid connection", f"{file.site.electricity.connection / 1e6:.2f} MW"),
        ("river", f"{file.site.river.name}: {conditions.flow.min():g} to {conditions.flow.max():g} m³/s"),
        ("river, coldest / warmest", f"{river.celsius.min():.1f} / {river.celsius.max():.1f} °C"),
        ("river from", river.source),
        ("weather from", conditions.weather.source),
        (
            "heat wanted, most / year",
            f"{conditions.demand.max() / 1e6:.2f} MW / {conditions.demand.sum() / 6e10:.2f} GWh",
        ),
    ]
    rows += list(zip(("price", "carbon, location", "carbon, market"), conditions.tariff.sources, strict=True))
    if as_json:
        show_json(dict(rows))
        return
    show_table(["SITE", file.site.name], rows)
    if fleet.full_watts > file.site.electricity.connection:
        warn("All nodes at full power take more than the grid connection gives: power will be cut.")
    if not (river.measured and conditions.weather.measured):
        warn("Not all tables were found: the courses of the site file stand in. Name their folder with --data.")
    done("The site file is in order.")
