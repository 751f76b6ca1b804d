from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from kifabrik.errors import CapacityError, UsageError
from kifabrik.plant.metering.kinds import Kind, Meter
from kifabrik.plant.metering.readings import Oddity, readings_of
from kifabrik.plant.metering.store import Store
from kifabrik.plant.metering.table import read_table

GRID = Meter(name="grid", kind=Kind.ENERGY, unit="kWh", field="electricity_total")
POWER = Meter(name="power", kind=Kind.POWER, unit="kW")


def read(tmp_path, text, meter=GRID, **options):
    path = tmp_path / "meter.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path, meter, **{"time": "time", "value": "value", "zone": "Europe/Berlin", **options})


def hours(values, start="2026-03-01T00:00+00:00"):
    first = datetime.fromisoformat(start)
    rows = [f"{(first + timedelta(hours=number)).isoformat()},{value}" for number, value in enumerate(values)]
    return "\n".join(["time,value", *rows])


def oddities(found):
    return [one.oddity for one in found.findings]


def test_a_german_file_is_read_with_its_commas_and_points(tmp_path):
    text = "Zeit;Zählerstand\n25.03.2026 00:00;1.234,5\n25.03.2026 01:00;1.236,5\n"
    found = read(tmp_path, text, time="Zeit", value="Zählerstand").readings
    assert found.value / 3.6e6 == pytest.approx([1234.5, 1236.5])
    assert datetime.fromtimestamp(int(found.time[0]), UTC).hour == 23


def test_an_english_number_where_commas_are_decimal_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"line 2: '1,234\.5' is no number"):
        read(tmp_path, "time;value\n2026-03-25T00:00Z;1,234.5\n")


def test_a_day_of_25_hours_is_read_hour_by_hour(tmp_path):
    times = ["01:00", "02:00", "02:00", "03:00"]
    text = "time,value\n" + "\n".join(f"2026-10-25T{time},{number}" for number, time in enumerate(times))
    found = read(tmp_path, text)
    assert (found.readings.time[1:] - found.readings.time[:-1]).tolist() == [3600, 3600, 3600]
    assert oddities(found) == [Oddity.CLOCK]


def test_quarters_of_the_repeated_hour_are_read_too(tmp_path):
    times = ["02:00", "02:15", "02:30", "02:45", "02:00", "02:15", "02:30", "02:45", "03:00"]
    text = "time,value\n" + "\n".join(f"2026-10-25T{time},{number}" for number, time in enumerate(times))
    steps = read(tmp_path, text).readings.time
    assert set((steps[1:] - steps[:-1]).tolist()) == {900}


def test_an_hour_that_never_was_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(UsageError, match="line 2: 2026-03-29T02:30 never was") as caught:
        read(tmp_path, "time,value\n2026-03-29T02:30,1\n")
    assert "Etc/GMT-1" in caught.value.hint


def test_a_clock_set_back_is_refused(tmp_path):
    with pytest.raises(UsageError, match="line 3: the time 2026-05-01T09:00 is not after"):
        read(tmp_path, "time,value\n2026-05-01T10:00,1\n2026-05-01T09:00,2\n")


@pytest.mark.parametrize(
    ("values", "oddity"),
    [
        ([100, 200, 300, 5, 100], Oddity.RESET),
        ([999_700, 999_800, 999_900, 100, 200], Oddity.ROLLOVER),
        ([123_000, 123_100, 123.2, 123.3], Oddity.UNIT),
        ([123.1, 123.2, 123_300, 123_400], Oddity.UNIT),
        ([1000, 1001, 3606, 3609.6], None),
        ([-1, 0, 1], Oddity.NEGATIVE),
    ],
)
def test_what_is_odd_of_a_counter_is_named(tmp_path, values, oddity):
    assert oddities(read(tmp_path, hours(values))) == ([oddity] if oddity else [])


def test_a_lasting_jump_of_a_gauge_by_a_thousand_is_a_change_of_unit(tmp_path):
    values = [10_000 + 100 * (number % 7) for number in range(24)]
    mixed = values[:12] + [value / 1000 for value in values[12:]]
    found = read(tmp_path, hours(mixed), POWER)
    assert oddities(found) == [Oddity.UNIT]
    assert found.findings[0].says.startswith("line 14:")
    assert oddities(read(tmp_path, hours(values), POWER)) == []


def test_a_gap_is_named_and_its_time_is_not_covered_by_a_gauge(tmp_path):
    text = hours([100.0] * 48)
    lines = text.split("\n")
    found = read(tmp_path, "\n".join(lines[:10] + lines[20:]), POWER)
    assert oddities(found) == [Oddity.GAP]
    begin = int(found.readings.time[0])
    total, coverage = found.readings.used(begin, begin + 47 * 3600)
    assert coverage == pytest.approx(36 / 47)
    assert total == pytest.approx(36 * 3600 * 1e5)


def test_a_counter_counts_over_a_gap_and_a_rollover_but_not_over_a_reset(tmp_path):
    found = read(tmp_path, hours([999_800, 999_900, 50, 150, 10, 110])).readings
    begin = int(found.time[0])
    total, coverage = found.used(begin, begin + 5 * 3600)
    assert total / 3.6e6 == pytest.approx(100 + 150 + 100 + 100)
    assert coverage == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("when,value\n", "line 1: the column 'time' is missing"),
        ("time,value\nx,1\n", "line 2: 'x' is no time"),
        ("time,value\n2026-01-01,abc\n", "line 2: 'abc' is no number"),
        ("time,value\n2026-01-01,inf\n", "line 2: 'inf' is no number"),
        ("time,value\n", "has no readings"),
        ("", "line 1: the column 'time' is missing"),
    ],
)
def test_a_bad_file_is_named_by_line(tmp_path, text, told):
    with pytest.raises(UsageError, match=told):
        read(tmp_path, text)


def test_units_and_zones_and_names_are_checked(tmp_path):
    with pytest.raises(UsageError, match="'m³' is no unit of energy"):
        Meter(name="a", kind=Kind.ENERGY, unit="m³")
    with pytest.raises(UsageError, match="is no name of a meter"):
        Meter(name="../a", kind=Kind.ENERGY, unit="kWh")
    with pytest.raises(UsageError, match="'Bayern' is no time zone"):
        read(tmp_path, "time,value\n2026-01-01,1\n", zone="Bayern")


def test_the_same_file_twice_is_kept_once(tmp_path):
    store = Store(tmp_path / "meters")
    readings = read(tmp_path, hours([1, 2, 3])).readings
    store.add(readings)
    kept = store.add(readings)
    assert len(kept.time) == 3
    assert store.meters() == [GRID]
    assert (store.read("grid").value == readings.value).all()


def test_a_year_of_a_meter_fills_its_field(tmp_path):
    store = Store(tmp_path / "meters")
    days = [number * 2400.0 for number in range(366)]
    first = datetime(2025, 12, 31, 23, tzinfo=UTC)
    rows = [f"{(first + timedelta(days=number)).isoformat()},{value}" for number, value in enumerate(days)]
    store.add(read(tmp_path, "\n".join(["time,value", *rows])).readings)
    metered = store.year(2026)["electricity_total"]
    assert metered.value == pytest.approx(365 * 2400)
    assert metered.coverage == pytest.approx(1)


def test_a_meter_of_another_kind_or_a_broken_file_is_refused(tmp_path):
    store = Store(tmp_path / "meters")
    store.add(read(tmp_path, hours([1, 2])).readings)
    other = Meter(name="grid", kind=Kind.POWER, unit="kW")
    with pytest.raises(UsageError, match="grid measures energy, not power"):
        store.add(read(tmp_path, hours([1, 2]), other).readings)
    (tmp_path / "meters/broken.parquet").write_bytes(b"x")
    with pytest.raises(UsageError, match="does not hold a meter's readings"):
        store.meters()


@pytest.mark.parametrize("time", ["inf", "nan", "1e400", "1769900000000"])
def test_a_number_that_is_no_time_is_named_with_its_line(tmp_path, time):
    with pytest.raises(UsageError, match=f"line 2: '{time}' is no time"):
        read(tmp_path, f"time,value\n{time},1\n")


@pytest.mark.parametrize("length", [201, 200_000])
def test_a_cell_too_large_for_a_table_is_refused_with_its_line_and_not_quoted(tmp_path, length):
    with pytest.raises(
        UsageError, match=r"line 2: (a cell has 201|field larger than|a cell has 200,000)"
    ) as refused:
        read(tmp_path, "time,value\n" + "1" * length + ",1\n")
    assert len(refused.value.message) < 300


def test_two_readings_within_a_second_are_one(tmp_path):
    kept = Store(tmp_path / "meters").add(readings_of(POWER, [(100, 1.0), (100, 2.0), (101, 3.0)]))
    assert kept.time.tolist() == [100, 101]


def test_a_full_disk_is_said_and_what_was_there_stays(tmp_path):
    store = Store(tmp_path / "meters")
    store.add(readings_of(POWER, [(100, 1.0)]))
    (tmp_path / "meters/power.parquet.new").symlink_to("/dev/full")
    with pytest.raises(CapacityError, match="Readings cannot be written to"):
        store.add(readings_of(POWER, [(200, 2.0)]))
    assert store.read("power").time.tolist() == [100]


def test_a_file_whose_middle_is_gone_is_named(tmp_path):
    store = Store(tmp_path / "meters")
    store.add(readings_of(POWER, [(100 + at, float(at * at)) for at in range(1000)]))
    path = tmp_path / "meters/power.parquet"
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"power\.parquet is broken"):
        store.read("power")


def test_what_comes_bit_by_bit_is_added_at_the_end_and_read_with_the_rest(tmp_path):
    store = Store(tmp_path)
    for number in range(5):
        store.append(readings_of(GRID, [(1000 + 60 * number, float(number))]))
    store.append(readings_of(GRID, [(1060, 1.5)]))
    assert (tmp_path / "grid.latest").stat().st_size == 16 * 5
    found = store.read("grid")
    assert found.time.tolist() == [1000, 1060, 1120, 1180, 1240]
    assert (found.value / 3.6e6).tolist() == pytest.approx([0, 1.5, 2, 3, 4])


def test_a_reading_that_was_cut_off_is_forgotten_and_nothing_else(tmp_path):
    store = Store(tmp_path)
    for number in range(4):
        store.append(readings_of(GRID, [(1000 + 60 * number, float(number))]))
    with (tmp_path / "grid.latest").open("r+b") as file:
        file.truncate(16 * 3 - 5)
    assert store.read("grid").time.tolist() == [1000, 1060, 1120]
    store.append(readings_of(GRID, [(1240, 4.0)]))
    assert store.read("grid").time.tolist() == [1000, 1060, 1120, 1240]


def test_many_latest_readings_move_into_the_parquet_file_and_a_crash_in_between_doubles_none(tmp_path):
    store = Store(tmp_path)
    store.append(readings_of(GRID, [(0, 0.0)]))
    store.append(readings_of(GRID, [(60 * number, float(number)) for number in range(1, 4000)]))
    before = (tmp_path / "grid.latest").read_bytes()
    store.append(readings_of(GRID, [(60 * number, float(number)) for number in range(4000, 5000)]))
    assert not (tmp_path / "grid.latest").exists()
    (tmp_path / "grid.latest").write_bytes(before)
    found = store.read("grid")
    assert found.time.tolist() == [60 * number for number in range(5000)]
    assert (found.value / 3.6e6).tolist() == pytest.approx(list(range(5000)))


def test_a_meter_that_fills_another_field_from_now_on_is_kept_so_at_once(tmp_path):
    store = Store(tmp_path)
    store.append(readings_of(GRID, [(1000, 1.0)]))
    other = Meter(name="grid", kind=Kind.ENERGY, unit="MWh", field="electricity_it")
    store.append(readings_of(other, [(1060, 0.002)]))
    assert [one.field for one in store.meters()] == ["electricity_it"]
    assert (store.read("grid").value / 3.6e6).tolist() == pytest.approx([1, 2])
    with pytest.raises(UsageError, match="measures energy, not power"):
        store.append(readings_of(Meter(name="grid", kind=Kind.POWER, unit="kW"), [(1120, 1.0)]))


def test_an_import_beside_a_watch_loses_nothing_of_either(tmp_path):
    Store(tmp_path).append(readings_of(GRID, [(0, 0.0)]))

    def watches():
        for number in range(1, 300):
            Store(tmp_path).append(readings_of(GRID, [(1000 * number, float(number))]))

    def imports():
        for number in range(1, 40):
            Store(tmp_path).add(readings_of(GRID, [(1000 * number + 500, number + 0.5)]))

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(watches), pool.submit(imports)]:
            done.result()
    times = [1000 * number for number in range(300)] + [1000 * number + 500 for number in range(1, 40)]
    assert Store(tmp_path).read("grid").time.tolist() == sorted(times)


@pytest.mark.parametrize(("before", "after"), [(1200.0, 1_201_000.0), (1_201_000.0, 1202.0)])
def test_a_counter_whose_unit_changes_between_two_files_is_refused_unless_it_is_accepted(tmp_path, before, after):
    store = Store(tmp_path)
    store.add(readings_of(GRID, [(0, before), (3600, before + 1)]), accept=False)
    more = readings_of(GRID, [(7200, after), (10_800, after + 1)])
    with pytest.raises(UsageError, match=r"the unit changed by a factor of 1000\. Nothing was kept"):
        store.add(more, accept=False)
    assert len(store.read("grid").time) == 2
    assert len(store.add(more).time) == 4
    later = readings_of(GRID, [(14_400, after + 2)])
    assert len(store.add(later, accept=False).time) == 5  # what was accepted once is not asked about again


def test_a_counter_told_with_its_new_unit_goes_on(tmp_path):
    store = Store(tmp_path)
    store.add(readings_of(GRID, [(0, 1200.0)]), accept=False)
    told = Meter(name="grid", kind=Kind.ENERGY, unit="Wh", field="electricity_total")
    store.add(readings_of(told, [(3600, 1_201_000.0)]), accept=False)
    assert store.read("grid").used(0, 3600) == (pytest.approx(3.6e6), 1.0)


def test_a_change_of_unit_is_not_taken_for_consumption(tmp_path):
    found = readings_of(GRID, [(0, 1200.0), (3600, 1201.0), (7200, 1_202_000.0), (10_800, 1_202_001.0)])
    total, coverage = found.used(0, 10_800)
    assert total / 3.6e6 == pytest.approx(2)
    assert coverage == pytest.approx(2 / 3)


def test_a_change_of_unit_is_seen_although_much_was_counted_meanwhile():
    told = [100.0, 110.0, 121.0, 131_000.0, 141_000.0]
    found = readings_of(GRID, [(2_592_000 * month, value) for month, value in enumerate(told)])
    (finding,) = found.findings()
    assert (finding.oddity, finding.at) == (Oddity.UNIT, 3)
    assert finding.says == "rises from 121 to 131000: the unit changed by a factor of 1000"
    assert found.used(0, 2_592_000 * 3) == (pytest.approx(21 * 3.6e6), pytest.approx(2 / 3))


def test_a_rise_by_a_thousand_that_is_what_a_young_counter_usually_counts_is_consumption():
    found = readings_of(GRID, [(0, 0.5), (10, 1.0), (20_000, 1000.0)])
    assert found.findings()[-1].oddity is Oddity.GAP
    assert found.used(0, 20_000) == (pytest.approx(999.5 * 3.6e6), 1.0)
