"""Histories as mid-sized companies have them: German Windows exports, Excel, weeks, months, holes."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.calibrating import calibrate, calibrate_series, demand_rows
from kifabrik.recipes.supply_chain.past import Step, past_of, read_past
from kifabrik.recipes.supply_chain.written import Days, DoubtError, Numbers

FIRST = date(2024, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(60)]


def table(tmp_path, lines, *, name="verkauf.csv", encoding="cp1252"):
    path = tmp_path / name
    path.write_text("\r\n".join(lines) + "\r\n", encoding=encoding, newline="")
    return path


def german(rows):
    return ["Artikel;Werk;Datum;Menge [St];Wert", *(f"{a};{w};{d:%d.%m.%Y};{m};1.250,50 €" for a, w, d, m in rows)]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_an_export_of_german_excel_is_read(tmp_path, encoding):
    lines = ["Verkäufe 2024;;;;", "sep=;", "", *german(("Kühler", "Köln", day, "1.200,5") for day in DAYS)]
    (series,) = read_past(table(tmp_path, lines, encoding=encoding)).series
    assert (series.name, series.first, series.step) == ("Kühler@Köln", FIRST, Step.DAY)
    assert series.values.tolist() == [1200.5] * 60


def test_a_point_before_three_digits_parts_thousands_where_the_table_is_german(tmp_path):
    (series,) = read_past(table(tmp_path, german([("A", "U", FIRST, "1.500"), ("A", "U", DAYS[1], "2")]))).series
    assert series.values.tolist() == [1500, 2]


def test_a_number_that_may_be_two_is_refused(tmp_path):
    lines = ["product;site;date;quantity", "A;U;2024-01-01;1.500"]
    with pytest.raises(UsageError, match=r"column quantity: it holds '1\.500', which may be 1500 or 1\.5"):
        read_past(table(tmp_path, lines))


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1,5", "1.234,5", "1.234", "-3", "4-"], [1.5, 1234.5, 1234, -3, -4]),
        (["1.5", "1,234.5", "1,234"], [1.5, 1234.5, 1234]),
        (["1'234.50", "1 234.5", "12"], [1234.5, 1234.5, 12]),
        (["1.234.567", "1.500"], [1234567, 1500]),
        (["1,234,567", "1,500"], [1234567, 1500]),
        ([3, 2.5, "4"], [3, 2.5, 4]),
        (["0.500", "1.500"], [0.5, 1.5]),
        (["1.500", "1500"], [1.5, 1500]),
    ],
)
def test_numbers_are_read_as_their_column_shows(cells, numbers):
    reader = Numbers(cells)
    assert [reader.read(cell) for cell in cells] == numbers


def test_three_decimals_of_a_plain_table_are_decimals(tmp_path):
    (series,) = read_past(table(tmp_path, ["product,site,date,quantity", "A,U,2024-01-01,18.123"])).series
    assert series.values.tolist() == [18.123]


def test_three_decimals_of_sap_in_german_are_decimals(tmp_path):
    (series,) = read_past(table(tmp_path, ["MATNR;WERKS;BUDAT;MENGE", "A;U;31.12.2025;12,000"])).series
    assert series.values.tolist() == [12]


def test_a_column_with_both_decimal_signs_is_refused():
    with pytest.raises(DoubtError, match="the other a decimal point"):
        Numbers(["1,5", "1.5"])


@pytest.mark.parametrize(
    "cells",
    [
        ["2025-12-31", "2026-01-02"],
        ["2025-12-31T00:00:00", "2026-01-02 10:15"],
        ["31.12.2025", "2.1.2026"],
        ["31.12.25", "02.01.26"],
        ["12/31/2025", "01/02/2026"],
        ["31/12/2025", "02/01/2026"],
        ["20251231", "20260102"],
        [46022, 46024.5],
        ["46022", "46024"],
        [datetime(2025, 12, 31, 8), date(2026, 1, 2)],  # noqa: DTZ001 - as openpyxl gives it
    ],
)
def test_days_are_read_however_they_are_written(cells):
    reader = Days(cells)
    assert [reader.read(cell) for cell in cells] == [date(2025, 12, 31), date(2026, 1, 2)]


def test_days_that_may_be_months_are_refused(tmp_path):
    lines = ["product,site,date,quantity", "A,U,03/04/2026,1"]
    with pytest.raises(UsageError, match="column date: it holds '03/04/2026': days may be first or second"):
        read_past(table(tmp_path, lines))


@pytest.mark.parametrize("written", ["{0:%Y-%m}", "{0:%m.%Y}", "{0:01.%m.%Y}"])
def test_months_are_months_and_not_first_days_with_all_the_demand(tmp_path, written):
    months = [date(2022 + n // 12, n % 12 + 1, 1) for n in range(36)]
    luck = np.random.default_rng(1)
    lines = ["Artikel;Werk;Monat;Menge", *(f"A;U;{written.format(m)};{400 + luck.poisson(30)}" for m in months)]
    path = table(tmp_path, lines)
    (series,) = read_past(path).series
    assert (series.step, len(series.values)) == (Step.MONTH, 36)
    assert series.values.min() > 0
    (row,) = demand_rows(calibrate(path))
    assert row["per"] == "month"


def test_a_season_of_months_shows_in_months(tmp_path):
    luck = np.random.default_rng(2)
    lines = ["product,site,month,quantity"]
    asked = [luck.poisson(900 if n % 12 < 3 else 300) for n in range(60)]
    lines += [f"A,U,{2021 + n // 12}-{n % 12 + 1:02d},{much}" for n, much in enumerate(asked)]
    (found,) = calibrate(table(tmp_path, lines))
    assert found.season == "month"
    assert np.mean(found.factors[:3]) == pytest.approx(3 * np.mean(found.factors[3:]), rel=0.1)


@pytest.mark.parametrize("written", ["{0:%d.%m.%Y}", "{0:%G-W%V}", "KW {0:%V/%G}"])
def test_weeks_are_weeks(tmp_path, written):
    mondays = [FIRST + timedelta(weeks=n) for n in range(30)]
    lines = ["Artikel;Werk;Woche;Menge", *(f"A;U;{written.format(day)};2" for day in mondays)]
    (series,) = read_past(table(tmp_path, lines)).series
    assert (series.step, series.first, len(series.values)) == (Step.WEEK, FIRST, 30)


def test_what_is_below_zero_is_left_out_and_said(tmp_path):
    rows = [("A", "U", day, "5") for day in DAYS] + [("A", "U", DAYS[3], "-2,5"), ("A", "U", DAYS[4], "1-")]
    past = read_past(table(tmp_path, german(rows)))
    assert past.series[0].values.tolist() == [5] * 60
    (said,) = past.remarks
    assert said.startswith("2 rows are below zero left out, 3.5 units together, the first is row 62")


def test_lines_of_totals_are_left_out_and_said(tmp_path):
    lines = [*german([("A", "U", day, "5") for day in DAYS]), "Summe;;;300;"]
    past = read_past(table(tmp_path, lines))
    assert past.series[0].values.sum() == 300
    assert past.remarks == ("1 row is left out that lack a cell, the first is row 62.",)


def test_rows_that_stand_there_twice_are_added_up_and_said(tmp_path):
    rows = [("A", "U", day, "5") for day in DAYS]
    past = read_past(table(tmp_path, german([*rows, *rows[:7]])))
    assert past.series[0].values.sum() == 335
    assert "7 rows are the same as another in every column" in past.remarks[0]


def test_a_month_that_is_missing_is_said_with_its_days(tmp_path):
    rows = [("A", "U", FIRST + timedelta(days=n), "5") for n in range(200) if not 60 <= n < 90]
    past = read_past(table(tmp_path, german(rows)))
    (said,) = past.remarks
    assert said.startswith("No row at all from 2024-03-01 to 2024-03-30: counted as 30 days without demand.")


def test_a_table_that_is_whole_says_nothing(tmp_path):
    rows = [("A", "U", day, "5") for day in DAYS if day.weekday() < 5]
    assert read_past(table(tmp_path, german(rows))).remarks == ()


def test_missing_columns_are_named_beside_those_that_are_there(tmp_path):
    with pytest.raises(UsageError, match=r"no column site, period; its first line holds: Artikel, Menge") as caught:
        read_past(table(tmp_path, ["Artikel;Menge", "A;5"]))
    assert "With one site" in caught.value.hint


def test_a_new_product_does_not_stop_the_others(tmp_path):
    rows = [("Alt", "U", day, str(n % 4 + 1)) for n, day in enumerate(DAYS)] + [("Neu", "U", DAYS[-1], "1")]
    said = []
    found = calibrate(table(tmp_path, german(rows)), remark=said.append)
    assert [one.series.name for one in found] == ["Alt@U"]
    assert said == ["Left out, as a fit takes at least 20 values: Neu@U."]


def test_a_single_row_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"verkauf\.csv: A@U, the longest series, has 1 value"):
        calibrate(table(tmp_path, german([("A", "U", FIRST, "5")])))


def test_numbers_of_products_in_workbooks_keep_their_form(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["Deckblatt"])
    sheet = book.create_sheet("Daten")
    sheet.append(["Artikel", "Werk", "Datum", "Menge"])
    sheet.append([4711.0, 1000, datetime(2024, 1, 1), 3])  # noqa: DTZ001
    book.save(tmp_path / "h.xlsx")
    (series,) = read_past(tmp_path / "h.xlsx").series
    assert (series.name, series.values.tolist()) == ("4711@1000", [3])


def test_numbers_of_periods_stay_numbers():
    columns = {"product": ["A"] * 3, "site": ["U"] * 3, "period": [1, 2, 4], "quantity": [5, 6, 7]}
    (series,) = past_of(columns, "history").series
    assert (series.step, series.first, series.values.tolist()) == (Step.NUMBER, None, [5, 6, 0, 7])


def test_a_series_of_weeks_has_no_season_of_weekdays(tmp_path):
    mondays = [FIRST + timedelta(weeks=n) for n in range(60)]
    lines = ["product,site,date,quantity", *(f"A,U,{day},{n % 7 + 1}" for n, day in enumerate(mondays))]
    (series,) = read_past(table(tmp_path, lines)).series
    assert calibrate_series(series).season == ""
