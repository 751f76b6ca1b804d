"""`kifabrik statement`."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import FileToWrite, home_option, json_option, language_option
from kifabrik.cli.terminal import counted, done, remark, show_json, show_table
from kifabrik.customer.monthly import check_month, in_month, monthly
from kifabrik.customer.monthly_proof import check_budgets, prove_footprints, require_cosigned, signed_order
from kifabrik.customer.monthly_table import COLUMNS, as_csv
from kifabrik.customer.monthly_table import as_json as as_json_of
from kifabrik.customer.session import open_session
from kifabrik.orders.tasks import order_run
from kifabrik.values import now_utc

if TYPE_CHECKING:
    from kifabrik.customer.monthly import MonthlyStatement, Sums
    from kifabrik.customer.monthly_page import Language

_SHOWN: Final = {
    "GPU H": "gpu_hours",
    "EUR": "eur",
    "KWH": "energy_kwh",
    "HEAT": "heat_handed_on_kwh",
    "WATER": "water_consumed_l",
    "CO2 KG": "co2e_location_kg",
}
_LEAST: Final = 0.01
_MOST_NAMED: Final = 3
_ABOUT_SITE: Final = frozenset({"heat_handed_on_kwh", "water_consumed_l", "co2e_location_kg"})


@click.command(
    epilog="""\b
    Examples:
      kifabrik statement
      kifabrik statement --month 2026-11 --verify
      kifabrik statement --month 2026-11 --out abrechnung.html --language de
      kifabrik statement --month 2026-11 --out november.csv
    """
)
@click.option("--month", help="Year and month, such as 2026-11; this month if left out. Months are those of UTC.")
@click.option(
    "--out",
    type=FileToWrite(".html", ".csv", ".json"),
    help="Write it here instead: .html to read or print, .csv or .json.",
)
@language_option("Of the HTML page.")
@click.option(
    "--verify",
    is_flag=True,
    help="Hold each footprint against what the launchers signed, and each order's cost against its budget.",
)
@home_option
@json_option
def statement(
    month: str | None, out: Path | None, language: "Language", *, verify: bool, home: Path, as_json: bool
) -> None:
    """Show what your runs of a month used and cost: GPU hours, energy, heat, water, CO2 equivalents.

    It is made from your own verified copy of the log, in which every attempt's end states its footprint.
    """
    wanted = check_month(month or f"{now_utc():%Y-%m}")
    write = _writer(out, language)
    with open_session(home) as session:
        catalogue = session.catalogue()
        ended = in_month(catalogue.ended(), wanted)
        names = catalogue.job_names({order_run(str(entry.refs.get("run"))) for entry in ended})
        found = monthly(session.tenant, wanted, ended, names, catalogue.head)
        if verify:
            require_cosigned(session, ended)
            with counting("verifying", len(ended), quiet=as_json) as count:
                told: Callable[[], None] = (lambda: count(1)) if count else (lambda: None)
                proven = prove_footprints(ended, session.datasets.statement, session.keyholder_key, told)
            order_of = partial(signed_order, session, catalogue, catalogue.orders())
            bounded = check_budgets(catalogue.ended(), ended, order_of)
    if out is not None:
        out.write_text(write(found), encoding="utf-8")
    if as_json:
        show_json(as_json_of(found))
    elif out is None:
        _show(found)
    else:
        done(f"{wanted}: {len(found.lines)} orders, {found.total.attempts} attempts. {out}")
    if verify and not as_json:
        done(f"Verified: time and energy of {proven} attempts are those their launchers signed.")
        if bounded:
            done(f"Verified: {counted(bounded, 'order')} with a budget cost no more than was signed.")


def _writer(out: Path | None, language: "Language") -> Callable[["MonthlyStatement"], str]:
    """How to write a file of this name."""
    from kifabrik.customer.monthly_page import page  # noqa: PLC0415 - only for one of three formats

    kinds: dict[str, Callable[[MonthlyStatement], str]] = {
        ".csv": as_csv,
        ".json": lambda found: json.dumps(as_json_of(found), indent=2, ensure_ascii=False) + "\n",
        ".html": lambda found: page(found, language),
    }
    return kinds[out.suffix if out is not None else ".json"]


def _show(found: "MonthlyStatement") -> None:
    remark(f"{found.month}, from a log of {found.log_size} entries")
    if not found.lines:
        remark("No run ended in this month.")
        return
    rows = [(line.name, line.runs, *_cells(line.sums)) for line in found.lines]
    rows.append(("total", sum(line.runs for line in found.lines), *_cells(found.total)))
    show_table(["JOB", "RUNS", *_SHOWN], rows, right=tuple(range(1, len(_SHOWN) + 2)))
    total = found.total
    for text in _remarks(found, total):
        remark(text)


def _remarks(found: "MonthlyStatement", total: "Sums") -> Sequence[str]:
    texts = ["Heat handed on in kWh, water evaporated in litres, CO2 equivalents by location."]
    if total.unstated == total.attempts:
        texts = ["The operator has stated no factors of the site: heat, water and CO2 are unknown."]
    elif total.unstated:
        texts.append(
            f"Of {total.unstated} attempts no factors of the site are stated: they are not in these three."
        )
    texts.append(f"Uncertainty of the energy, and of what follows from it: ± {total.uncertain_percent} %.")
    if found.without:
        more = " …" if len(found.without) > _MOST_NAMED else ""
        named = ", ".join(found.without[:_MOST_NAMED])
        texts.append(f"Attempts without a footprint in the log: {len(found.without)} ({named}{more}).")
    return texts


def _cells(sums: "Sums") -> tuple[str, ...]:
    unknown = sums.unstated == sums.attempts
    return tuple(
        "-" if unknown and name in _ABOUT_SITE else _amount(COLUMNS[name](sums)) for name in _SHOWN.values()
    )


def _amount(value: float) -> str:
    return f"{value:,.2f}" if value >= _LEAST or not value else f"<{_LEAST}"
