from dataclasses import replace

import pytest
from any_readings import any_readings
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import UsageError
from kifabrik.meters.footprint import (
    EnergyPart,
    Site,
    Surroundings,
    carbon_mg,
    footprint,
    format_energy,
    surroundings,
)
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.values import Money

readings = any_readings(10**12, st.text())
ONE = Reading(
    "2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z", 3_600_000, 7_200_000, 3_600_000, "H100", 1, 10**9, 500,
    (
        EnergyReading(EnergySource.NVML, "GPU-1", 1_800_000_000),
        EnergyReading(EnergySource.ESTIMATED, "cpu", 36_000_000),
    ),
)  # fmt: skip


@given(st.lists(readings, max_size=4))
def test_a_footprint_is_the_sum_of_its_readings(found):
    used = footprint(found, Money(7))
    assert used.cpu_ms == sum(one.cpu_ms for one in found)
    assert used.energy_mj == sum(one.energy_mj for one in found)
    assert used.memory_peak_bytes == max([one.memory_peak_bytes for one in found], default=0)
    assert used.attempts == len(found)


@given(st.lists(readings, max_size=4))
def test_estimates_stay_apart_from_measurements(found):
    used = footprint(found, Money(0))
    estimated = sum(e.millijoules for one in found for e in one.energy if e.source is EnergySource.ESTIMATED)
    assert sum(part.millijoules for part in used.energy if not part.measured) == estimated
    assert used.measured is (estimated == 0)


def test_an_estimate_cannot_be_called_measured():
    with pytest.raises(UsageError, match="measured"):
        EnergyPart(EnergySource.ESTIMATED, measured=True, millijoules=1)
    with pytest.raises(UsageError, match="add up"):
        replace(footprint([ONE], Money(0)), energy_mj=1)


def test_carbon_counts_the_buildings_overhead():
    assert carbon_mg(3_600_000_000, Site(carbon_g_per_kwh=300)) == 300_000
    assert carbon_mg(3_600_000_000, Site(carbon_g_per_kwh=300, pue_percent=125)) == 375_000
    assert footprint([ONE], Money(0)).carbon_mg is None
    assert footprint([ONE], Money(0), Site(300)).carbon_mg == 153_000


def test_a_pue_below_one_is_refused():
    with pytest.raises(UsageError, match="at least 100"):
        Site(300, pue_percent=99)


@pytest.mark.parametrize(
    ("millijoules", "text"),
    [
        (0, "0 J"),
        (1_500, "1.5 J"),
        (999_000, "999 J"),
        (3_599_999, "3.6 kJ"),
        (3_600_000, "1 Wh"),
        (7_200_000_000, "2 kWh"),
    ],
)
def test_energy_is_written_in_a_unit_people_know(millijoules, text):
    assert format_energy(millijoules) == text


def test_energy_becomes_heat_water_and_carbon_by_what_the_operator_states():
    site = Site(
        300, 120, market_g_per_kwh=20, reused_percent=25, withdrawn_ml_per_kwh=180_000, consumed_ml_per_kwh=90
    )
    parts = (
        EnergyPart(EnergySource.NVML, True, 3_000_000_000),
        EnergyPart(EnergySource.ESTIMATED, False, 600_000_000),
    )
    found = surroundings(parts, site)
    assert found == Surroundings(
        drawn_mj=4_320_000_000,
        heat_mj=900_000_000,
        withdrawn_ml=180_000,
        consumed_ml=90,
        market_mg=24_000,
        uncertain_percent=13,
    )


def test_without_a_site_nothing_is_said_of_the_surroundings():
    assert footprint([ONE], Money(0)).surroundings is None
    assert footprint([ONE], Money(0), Site(300)).surroundings.market_mg is None


def test_more_heat_than_energy_is_refused():
    with pytest.raises(UsageError, match="heat reused is 0 to 100 percent"):
        Site(300, reused_percent=101)
