"""Lead times from orders and receipts: what is not there yet counts too, and what is too little is put together."""

import csv
import io
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from kifabrik.connectors.sap.lead_time_tables import with_lead_times
from kifabrik.connectors.sap.lead_times import Level, fit_lead_times
from kifabrik.connectors.sap.templates import LeadTimesFrom
from kifabrik.errors import UsageError

START = date(2026, 1, 1)
WANTED = {
    "lines": {"from": "Items", "order": "ID", "line": "no", "product": "product", "site": "plant"},
    "orders": {"from": "Orders", "order": "ID", "supplier": "supplier", "ordered": "on"},
    "receipts": {"from": "Receipts", "order": "ID", "line": "no", "received": "on"},
}
QUANTITIES = {name: {**WANTED[name], "quantity": "quantity"} for name in ("lines", "receipts")}


def pulled(lines):
    """Tables of lines: supplier, product, plant, ordered, [(days until it came, share of 10)]."""
    orders, items, receipts = [], [], []
    for number, (supplier, product, plant, ordered, came) in enumerate(lines):
        orders.append({"ID": f"{number}", "supplier": supplier, "on": ordered})
        items.append({"ID": f"{number}", "no": 10, "product": product, "plant": plant, "quantity": 10.0})
        receipts += [
            {"ID": f"{number}", "no": 10, "on": ordered + timedelta(days=days), "quantity": 10 * share}
            for days, share in came
        ]
    return {
        "Orders": pa.Table.from_pylist(orders),
        "Items": pa.Table.from_pylist(items),
        "Receipts": pa.Table.from_pylist(receipts),
    }


def fit(lines, wanted=WANTED, **more):
    return fit_lead_times(LeadTimesFrom.model_validate({**wanted, **more}), pulled(lines))


def test_lines_that_came_give_mean_and_variation_of_the_sample():
    days = [4, 8, 6, 10, 7]
    found = fit([("A", "p", "x", START, [(one, 1)]) for one in days]).of("A", "p", "x")
    assert (found.level, found.observed, found.open) == (Level.LANE, 5, 0)
    assert found.mean == pytest.approx(7)
    assert found.cv == pytest.approx(np.std(days, ddof=1) / 7)


def test_lines_that_have_not_come_yet_are_counted_as_longer_than_they_waited():
    draw = np.random.default_rng(3)
    shape, mean, horizon = 6.0, 40.0, 120
    lines = []
    for _ in range(3000):
        ordered, wait = int(draw.integers(0, horizon)), round(draw.gamma(shape, mean / shape))
        came = [(wait, 1)] if ordered + wait <= horizon else []
        lines.append(("A", "p", "x", START + timedelta(days=ordered), came))
    found = fit(lines).of("A", "p", "x")
    alone = np.mean([came[0][0] for *_, came in lines if came])
    assert alone < 0.93 * mean  # those that came by then are the quick ones
    assert found.mean == pytest.approx(mean, rel=0.03)
    assert found.cv == pytest.approx(shape**-0.5, rel=0.06)
    assert found.observed + found.open == 3000


def test_a_lane_with_too_few_lines_takes_those_of_its_supplier_at_the_site_and_then_of_the_supplier():
    lines = [("A", f"p{n}", "x", START, [(5, 1)]) for n in range(4)]
    lines += [("A", "p0", "y", START, [(9, 1)]), ("B", "p", "x", START, [(3, 1)])]
    found = fit(lines, least=4)
    assert found.of("A", "p0", "x").level is Level.SITE
    assert found.of("A", "p0", "y").level is Level.SUPPLIER
    assert found.of("A", "p0", "y").observed == 5
    assert found.of("B", "p", "x") is None


def test_a_line_in_parts_came_with_the_last_of_them_once_they_make_it_up():
    lines = [("A", "p", "x", START, [(4, 0.6), (9, 0.4)])] * 3 + [("A", "p", "x", START, [(4, 0.6)])]
    found = fit(lines, {**WANTED, **QUANTITIES}, least=2)
    assert (found.of("A", "p", "x").observed, found.open) == (3, 1)
    assert fit(lines, least=2).open == 0  # without quantities any receipt will do
    assert found.of("A", "p", "x").mean == pytest.approx(9)


def test_lines_that_make_no_sense_are_left_out_and_counted():
    good = [("A", "p", "x", START, [(one, 1)]) for one in (4, 5, 6)]
    found = fit([*good, ("A", "p", "x", START, [(-2, 1)]), (None, "p", "x", START, [(3, 1)])], least=2)
    assert (found.lines, found.left_out) == (3, 2)
    after = fit([*good, ("A", "p", "x", START + timedelta(days=50), [])], least=2)
    assert (after.lines, after.open, after.left_out) == (4, 1, 0)  # ordered after the last receipt there is


def test_too_few_lines_anywhere_and_a_day_that_is_none_are_sentences():
    with pytest.raises(UsageError, match="no supplier has 5 order lines that came"):
        fit([("A", "p", "x", START, [(4, 1)])])
    with pytest.raises(UsageError, match="'10' is no day"):
        fit(
            [("A", "p", "x", START, [(4, 1)])],
            {**WANTED, "orders": {**WANTED["orders"], "ordered": "ID"}}
            | {"orders": {"from": "Items", "order": "ID", "supplier": "plant", "ordered": "no"}},
        )


def test_the_table_sourcing_gets_them_and_what_has_too_few_lines_keeps_the_plan():
    times = fit([("A", "p", "x", START, [(one, 1)]) for one in (4, 8, 6, 10, 7)])
    text = "product,site,supplier,lead_time,lead_time_unit,lead_time_sd\np,x,A,12,weeks,1\nq,x,B,3,weeks,1\n"
    sourcing, account, counts = with_lead_times(text, times)
    fitted, planned = csv.DictReader(io.StringIO(sourcing))
    assert (fitted["lead_time"], fitted["lead_time_unit"], fitted["lead_time_sd"]) == ("7.0000", "days", "")
    assert (planned["lead_time"], planned["lead_time_unit"], planned["lead_time_cv"]) == ("3", "weeks", "")
    assert counts == {"supplier, product and site": 1, "planned": 1}
    assert [row["planned"] for row in csv.DictReader(io.StringIO(account))] == ["12", "3"]
    with pytest.raises(UsageError, match="the table sourcing has no supplier"):
        with_lead_times("product,site\np,x\n", times)
