"""`kifabrik admin bill`."""

import csv
import io
from pathlib import Path
from typing import Any, Literal

import click

from kifabrik.cli.options import FileToWrite, home_option, json_option, language_option
from kifabrik.cli.terminal import counted, done, remark, show_json, show_table
from kifabrik.customer.monthly import check_month
from kifabrik.customer.monthly_page import page
from kifabrik.customer.monthly_table import COLUMNS, cells
from kifabrik.customer.monthly_table import as_json as as_json_of
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.prices.pricelist import PriceList
from kifabrik.values import Money, format_size, now_utc
from kifabrik.wiring.bill import Bill, bills
from kifabrik.wiring.factory import open_factory
from kifabrik.wiring.factory_config import read_config
from kifabrik.wiring.runs import read_prices


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin bill --month 2026-11
      kifabrik admin bill --month 2026-11 --out november.csv
      kifabrik admin bill --month 2026-11 --tenant t-k3v6… --out rechnung.html --language de
    """
)
@click.option("--month", help="Year and month, such as 2026-11; this month if left out. Months are those of UTC.")
@click.option("--tenant", default="", help="Only this one.")
@click.option(
    "--out",
    type=FileToWrite(".csv", ".html"),
    help="Write it here: .csv, a line for each tenant; .html, a page for the one named with --tenant.",
)
@language_option("Of the HTML page.")
@home_option
@json_option
def bill(
    month: str | None, tenant: str, out: Path | None, language: Literal["de", "en"], home: Path, *, as_json: bool
) -> None:
    """Show what each tenant owes for a month: hours, euros without tax, energy.

    The figures are those of the customer's own `kifabrik statement`: both are made from the tenant's log. Storage
    is shown as what it would cost for 30 days at what is stored now; it is not in EUR.
    """
    wanted = check_month(month or f"{now_utc():%Y-%m}")
    if out is not None and out.suffix == ".html" and not tenant:
        raise UsageError("a page is for one tenant", hint="Name it with --tenant, or write a .csv for all.")
    folder = home / "factory"
    prices = read_prices(folder / read_config(folder).prices)
    factory = open_factory(folder)
    try:
        found = bills(factory, prices.prices, wanted, tenant)
    finally:
        factory.store.close()
    if tenant and not found:
        raise NotFoundError(f"there is no tenant {tenant}", hint="See: kifabrik admin tenants")
    if out is not None:
        text = _csv(found) if out.suffix == ".csv" else page(found[0].statement, language)
        out.write_text(text, encoding="utf-8")
    if as_json:
        show_json({"month": wanted, "prices": prices.name, "bills": [_document(one) for one in found]})
    elif out is not None:
        done(f"{wanted}: {_total(found)} in {counted(len(found), 'bill')}. {out}")
    else:
        _show(found, wanted, prices.name, prices.prices)


def _total(found: list[Bill]) -> Money:
    return Money(sum(one.statement.total.cost_micro_eur for one in found))


def _document(one: Bill) -> dict[str, Any]:
    return {
        "tenant": one.tenant,
        "note": one.note,
        "stored_bytes": one.stored_bytes,
        "storage_30_days_eur": one.storage.micro_eur / 10**6,
        "statement": as_json_of(one.statement),
    }


def _csv(found: list[Bill]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["month", "tenant", "note", "orders", *COLUMNS, "stored_bytes", "storage_30_days_eur"])
    for one in found:
        note = f"'{one.note}" if one.note[:1] in tuple("=+-@") else one.note  # no cell is taken for a formula
        rows.writerow(
            [
                one.statement.month,
                one.tenant,
                note,
                len(one.statement.lines),
                *cells(one.statement.total),
                one.stored_bytes,
                f"{one.storage.micro_eur / 10**6:.6f}",
            ]
        )
    return text.getvalue()


def _show(found: list[Bill], month: str, name: str, prices: PriceList) -> None:
    remark(f"{month}, by the prices of {name}; without tax")
    rows = [
        (
            one.tenant,
            one.statement.total.attempts,
            f"{COLUMNS['gpu_hours'](one.statement.total):,.2f}",
            f"{one.statement.total.cost_micro_eur / 10**6:,.2f}",
            format_size(one.stored_bytes),
            f"{one.storage.micro_eur / 10**6:,.2f}",
            one.note,
        )
        for one in found
    ]
    show_table(["TENANT", "ENDED", "GPU H", "EUR", "STORES", "EUR/30D", "NOTE"], rows, right=(1, 2, 3, 4, 5))
    without = sum(len(one.statement.without) for one in found)
    remark(f"Together {_total(found)} for runs. Storage is not in it: EUR/30D is what is stored now, for 30 days.")
    if prices.energy_kwh is None:
        remark("Energy has no price of its own in this list.")
    if without:
        remark(f"{without} attempts ended without a footprint in their log: they cost nothing.")
