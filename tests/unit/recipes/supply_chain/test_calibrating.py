import csv
from datetime import date, timedelta

import numpy as np
import pytest

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.calibrating import calibrate, calibrate_series, demand_rows, draw_fit
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.fitting import Pattern, fit
from kifabrik.recipes.supply_chain.past import Series
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.tables import read_network
from kifabrik.recipes.supply_chain.tables.write import write_csvs

TRUE = [
    Distribution(kind=Kind.NORMAL, mean=100.0, sd=15.0),
    Distribution(kind=Kind.POISSON, mean=4.0),
    Distribution(kind=Kind.NEGATIVE_BINOMIAL, mean=6.0, sd=5.0),
    Distribution(kind=Kind.GAMMA, mean=20.0, sd=14.0),
    Distribution(kind=Kind.LOGNORMAL, mean=20.0, sd=18.0),
    Distribution(kind=Kind.INTERMITTENT, mean=12.0, sd=4.0, chance=0.25),
]


@pytest.mark.parametrize("true", TRUE, ids=lambda one: one.kind)
def test_a_simulated_history_gives_back_family_and_moments_within_ten_percent(true):
    seen = true.quantile(np.random.default_rng(11).random(4000))
    found = fit(seen, bootstraps=59)
    assert found.distribution.kind is true.kind
    assert found.distribution.expected() == pytest.approx(true.expected(), rel=0.1)
    assert found.distribution.deviation() == pytest.approx(true.deviation(), rel=0.1)
    assert found.p_value > 0.01


def test_p_values_of_true_families_are_not_small_by_luck_alone():
    true = TRUE[0]
    chances = [fit(true.quantile(np.random.default_rng(n).random(60)), bootstraps=39).p_value for n in range(30)]
    assert 0.3 < np.mean(chances) < 0.75


def test_two_peaks_fit_no_family_and_are_kept_as_seen():
    luck = np.random.default_rng(2)
    seen = np.concatenate([luck.normal(20, 1, 200), luck.normal(80, 1, 200)])
    found = fit(seen, bootstraps=199)
    assert found.is_doubtful
    assert found.distribution.kind is Kind.EMPIRICAL
    assert found.distribution.expected() == pytest.approx(seen.mean())


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ([10, 11, 9, 10] * 10, Pattern.SMOOTH),
        ([1, 1, 1, 40] * 10, Pattern.ERRATIC),
        ([0, 0, 0, 10, 0, 11] * 10, Pattern.INTERMITTENT),
        ([0, 0, 1, 0, 0, 1, 0, 40] * 10, Pattern.LUMPY),
    ],
)
def test_demand_is_classed_after_syntetos_and_boylan(values, pattern):
    assert fit(values, bootstraps=5).pattern is pattern


@pytest.mark.parametrize(
    ("values", "message"), [([1] * 19, "19 values are too few"), ([-1] + [1] * 30, "negative")]
)
def test_bad_histories_are_refused_by_name(values, message):
    with pytest.raises(UsageError, match=f"bolt@Ulm: .*{message}"):
        fit(values, what="bolt@Ulm")


def test_a_history_that_never_changes_is_certain():
    assert fit([3.0] * 30).distribution == Distribution(kind=Kind.FIXED, mean=3.0)


def test_a_weekly_season_is_found_and_taken_out():
    factors = np.array([0.5, 0.8, 1.0, 1.2, 1.5, 1.4, 0.6])
    monday = date(2024, 1, 1)
    luck = np.random.default_rng(4)
    values = luck.normal(100, 10, 364) * np.tile(factors, 52)
    found = calibrate_series(Series(name="p@s", values=values, first=monday))
    assert found.season == "weekday"
    assert found.factors == pytest.approx(factors, rel=0.05)
    assert found.fit.distribution.deviation() == pytest.approx(10, rel=0.2)


def test_luck_alone_shows_a_season_in_few_histories():
    luck = np.random.default_rng(9)
    seasons = [
        calibrate_series(Series(name="p@s", values=luck.gamma(4, 5, 140), first=date(2024, 1, 1))).season != ""
        for _ in range(12)
    ]
    assert sum(seasons) <= 1


def _table(days=60):
    luck = np.random.default_rng(1)
    rows = [["product", "site", "date", "quantity"]]
    for n in range(days):
        day = date(2024, 3, 1) + timedelta(days=n)
        rows += [["bolt", "Ulm", day.isoformat(), f"{luck.gamma(9, 2):.3f}"]] * (n % 3 > 0)
    rows.append(["bolt", "Ulm", (date(2024, 3, 1) + timedelta(days=days)).isoformat(), "5"])
    return rows


def _write(path, rows):
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    elif path.suffix == ".xlsx":
        import openpyxl

        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(dict(zip(rows[0], map(list, zip(*rows[1:], strict=True)), strict=True))), path)


@pytest.mark.parametrize("ending", ["csv", "xlsx", "parquet"])
def test_days_without_a_row_are_days_without_demand(tmp_path, ending):
    path = tmp_path / f"history.{ending}"
    _write(path, _table())
    (found,) = calibrate(path)
    assert found.series.name == "bolt@Ulm"
    assert len(found.series.values) == 60
    assert np.mean(found.series.values == 0) == pytest.approx(1 / 3, abs=0.05)
    assert found.fit.pattern is Pattern.INTERMITTENT


def test_lead_times_are_fitted_lane_by_lane(tmp_path):
    luck = np.random.default_rng(7)
    path = tmp_path / "lead.csv"
    _write(path, [["lane", "lead_time"], *[["A → B", str(luck.poisson(9))] for _ in range(200)]])
    (found,) = calibrate(path)
    assert found.fit.distribution.expected() == pytest.approx(9, rel=0.1)


def test_a_word_for_a_number_is_named_with_row_and_column(tmp_path):
    rows = _table()
    rows[3][3] = "many"
    path = tmp_path / "history.csv"
    _write(path, rows)
    with pytest.raises(UsageError, match=r"history.csv, row \d, column quantity: 'many'"):
        calibrate(path)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00bad"])
def test_what_is_no_history_is_refused(tmp_path, content):
    path = tmp_path / "history.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"history\.csv"):
        calibrate(path)


def test_a_fit_is_drawn(tmp_path):
    values = np.random.default_rng(1).normal(50, 5, 80)
    target = tmp_path / "fit.svg"
    draw_fit(calibrate_series(Series(name="p@s", values=values)), target)
    assert "<svg" in target.read_text()


def test_days_on_which_nobody_ever_asks_are_a_season_and_no_part_of_the_fit():
    luck = np.random.default_rng(5)
    values = luck.poisson(6, 364) * np.tile([1, 1, 1, 1, 1, 0, 0], 52)
    found = calibrate_series(Series(name="p@s", values=values.astype(float), first=date(2024, 1, 1)))
    assert found.factors == (1, 1, 1, 1, 1, 0, 0)
    assert found.fit.distribution.kind is Kind.POISSON
    assert found.fit.distribution.mean == pytest.approx(6, abs=0.4)
    assert found.fit.seen == 260


def test_a_fit_written_as_a_table_is_simulated_with_the_mean_that_was_seen(tmp_path):
    luck = np.random.default_rng(5)
    first = date(2024, 1, 1)
    busy = luck.gamma(4, 5, 364) * np.tile([1.5, 1, 1, 1, 0.5, 0, 0], 52)
    weekly = calibrate_series(Series(name="p@s", values=busy, first=first))
    rare = np.where(luck.random(364) < 0.2, luck.gamma(4, 5, 364), 0.0)
    found = (weekly, calibrate_series(Series(name="q@s", values=rare, first=first)))
    tables = {
        "product_site": [{"product": name, "site": "s", "level": 1000} for name in "pq"],
        "sourcing": [{"product": name, "site": "s", "supplier": "maker"} for name in "pq"],
        "demand": demand_rows(found),
    }
    write_csvs(tables, tmp_path / "n")
    demand = simulate(read_network(tmp_path / "n"), Settings(scenarios=256, periods=364)).nodes["demand"]
    assert demand[0] == pytest.approx(busy.mean(), rel=0.05)
    assert demand[1] == pytest.approx(rare.mean(), rel=0.05)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("quantity", "nan", "'nan' is not a number"),
        ("date", "2024-13-01", "'2024-13-01' is no day"),
        ("date", "1.5", "'1.5' is no day"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_row(tmp_path, column, value, says):
    rows = _table()
    rows[4][rows[0].index(column)] = value
    path = tmp_path / "history.csv"
    _write(path, rows)
    with pytest.raises(UsageError, match=says):
        calibrate(path)
