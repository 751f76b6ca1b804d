"""What commands about a site share: which site, what is changed in it, where tables are, how figures look."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kifabrik.cli.options import F
from kifabrik.errors import UsageError

if TYPE_CHECKING:
    from kifabrik.plant.site_file import SiteFile

DATA_HELP = "Folder of tables (river, weather). [$KIFABRIK_PLANT_DATA]"


def site_options(command: F) -> F:
    """Add SITE, `--set`, `--year` and `--data`."""
    for option in (
        click.option("--data", type=click.Path(path_type=Path, file_okay=False, exists=True), help=DATA_HELP),
        click.option("--year", type=click.IntRange(1990, 2100), help="Calendar year to simulate. [the site's]"),
        click.option(
            "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a value of the site first."
        ),
        click.argument("site"),
    ):
        command = option(command)
    return command


def opened(site: str, changes: Sequence[str], year: int | None) -> "SiteFile":
    """The site with its changes.

    Raises:
        UsageError: It cannot be read, is wrong, or a change is.
    """
    from kifabrik.plant.site_file import open_site  # noqa: PLC0415 - slow to import

    wanted = dict(change_of(text) for text in changes)
    if year is not None:
        wanted["year"] = year
    return open_site(site, wanted)


def change_of(text: str) -> tuple[str, Any]:
    """A change as it is typed, `river.year=2003`.

    Raises:
        UsageError: It is not one.
    """
    import yaml  # noqa: PLC0415 - slow to import

    key, equals, value = text.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise UsageError(f"{text!r} changes nothing.", hint="Write KEY=VALUE, such as river.year=2003.")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise UsageError(f"{value!r} is not a value.", hint="Write it as in the site file.") from None


def plain_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON can say: a number that is none becomes null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def energy(kwh: float) -> str:
    """An energy with the unit that suits it."""
    if not math.isfinite(kwh):
        return "-"
    for unit, size in (("GWh", 1e6), ("MWh", 1e3)):
        if abs(kwh) >= size:
            return f"{kwh / size:,.1f} {unit}"
    return f"{kwh:,.1f} kWh"


def figure(value: float, digits: int = 3, unit: str = "") -> str:
    """A number with so many digits behind the point; a dash where there is none."""
    return f"{value:,.{digits}f}{f' {unit}' if unit else ''}" if math.isfinite(value) else "-"
