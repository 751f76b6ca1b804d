"""`kifabrik admin prices`."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json, show_table, warn
from kifabrik.durable import write_whole
from kifabrik.errors import ConflictError
from kifabrik.prices.pricelist import PriceList
from kifabrik.values import Money
from kifabrik.wiring.factory_config import read_config
from kifabrik.wiring.runs import read_prices


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin prices
      kifabrik admin prices --write      then edit HOME/factory/prices.toml, and look again
    """
)
@click.option(
    "--write", is_flag=True, help="Write the example prices where the factory reads its own, to be changed."
)
@home_option
@json_option
def prices(home: Path, *, write: bool, as_json: bool) -> None:
    """Show the price list, in euros without tax. A factory reads it when it starts."""
    folder = home / "factory"
    file = folder / read_config(folder).prices
    if write:
        if file.exists():
            raise ConflictError(f"{file} exists", hint="Edit it; 'kifabrik admin prices' says whether it is right.")
        write_whole(file, files("kifabrik.prices").joinpath("default.toml").read_bytes(), mode=0o644)
    found = read_prices(file)
    if as_json:
        show_json({"name": found.name, "file": str(file), "exists": file.exists(), "eur": _document(found.prices)})
        return
    if write:
        done(f"Wrote {file}: edit it, then start the factory again")
    show_table(["WHAT", "EUR"], [(name, _eur(price)) for name, price in _rows(found.prices)], right=(1,))
    if not file.exists():
        warn(f"these are examples, not offers: there is no {file}")
        remark("  kifabrik admin prices --write")


def _rows(found: PriceList) -> list[tuple[str, Money]]:
    rows = [
        ("CPU thread, hour", found.cpu_core_hour),
        ("GB of memory, hour", found.memory_gb_hour),
        ("GB stored, 30 days", found.storage_gb_month),
    ]
    rows += [] if found.energy_kwh is None else [("kWh", found.energy_kwh)]
    return rows + [(f"{model}, hour", price) for model, price in found.gpu_hour]


def _eur(price: Money) -> str:
    return str(price).removesuffix(" EUR")


def _document(found: PriceList) -> dict[str, Any]:
    return {name: price.micro_eur / 10**6 for name, price in _rows(found)}
