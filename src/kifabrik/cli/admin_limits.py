"""`kifabrik admin limits`."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import show_json, show_table
from kifabrik.errors import NotFoundError
from kifabrik.factory.allowances import Limits
from kifabrik.values import Money
from kifabrik.wiring.factory import open_factory


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin limits t-k3v6…
      kifabrik admin limits t-k3v6… --gpus 64 --month "20000 EUR" --weight 2
    """
)
@click.argument("tenant")
@click.option("--runs", type=click.IntRange(0), help="Most runs that have not ended; 0 for no limit.")
@click.option("--cpus", type=click.IntRange(0), help="Most cores held at once; 0 for no limit.")
@click.option("--gpus", type=click.IntRange(0), help="Most GPUs held at once; 0 for no limit.")
@click.option("--month", help="Most a calendar month may cost, such as '20000 EUR'; 0 for no limit.")
@click.option("--weight", type=float, help="Its share beside other tenants where both wait.")
@home_option
@json_option
def limits(
    tenant: str,
    runs: int | None,
    cpus: int | None,
    gpus: int | None,
    month: str | None,
    weight: float | None,
    home: Path,
    as_json: bool,
) -> None:
    """Show what TENANT may use, or change it. In force at once."""
    asked: dict[str, Any] = {
        "most_runs": runs,
        "most_cpus": cpus,
        "most_gpus": gpus,
        "month_micro_eur": None if month is None else _euros(month).micro_eur,
        "weight": weight,
    }
    factory = open_factory(home / "factory")
    try:
        if tenant not in {one.tenant for one in factory.accounts.tenants()}:
            raise NotFoundError(f"there is no tenant {tenant}", hint="See: kifabrik admin tenants")
        changes = {name: value for name, value in asked.items() if value is not None}
        found = replace(factory.runs.fleet.limits(tenant), **changes)
        if changes:
            factory.runs.fleet.set_limits(tenant, found)
    finally:
        factory.store.close()
    if as_json:
        show_json(asdict(found))
        return
    show_table(["LIMIT", "VALUE"], _rows(found), right=(1,))


def _euros(text: str) -> Money:
    """An amount a person has typed: with its unit `20.000` is refused, which would be twenty euros."""
    return Money.from_text(text if text.strip()[-1:] in "€Rr" else f"{text} EUR")


def _rows(found: Limits) -> list[tuple[str, str]]:
    month = Money(found.month_micro_eur) if found.month_micro_eur else "none"
    return [
        ("runs not ended", str(found.most_runs or "none")),
        ("cores at once", str(found.most_cpus or "none")),
        ("GPUs at once", str(found.most_gpus or "none")),
        ("cost of a month", str(month)),
        ("weight", f"{found.weight:g}"),
    ]
