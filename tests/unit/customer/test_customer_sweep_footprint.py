"""The sum of footprints over a sweep's tasks."""

from types import SimpleNamespace

import pytest

from kifabrik.customer.sweep_footprint import summed, sweep_footprint
from kifabrik.meters.footprint import Site, footprint
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.service.run_bodies import _footprint as as_view
from kifabrik.values import Money
from kifabrik.wire.runs import EnergyView, FootprintView, SurroundingsView

SITE = Site(363, pue_percent=105, market_g_per_kwh=10, reused_percent=10, withdrawn_ml_per_kwh=154_800)
KWH_MJ = 3_600_000_000


def reading(source, millijoules):
    return Reading(
        started="2026-11-01T00:00:00Z",
        ended="2026-11-01T00:00:04Z",
        gpu_model="",
        gpu_count=1,
        cpu_ms=2000,
        gpu_ms=3000,
        wall_ms=4000,
        memory_peak_bytes=millijoules,
        log_bytes=5,
        energy=(EnergyReading(source, "gpu", millijoules),),
    )


def view(*readings, site=SITE):
    return as_view(footprint(readings, Money(7), site))


MEASURED, ESTIMATED = reading(EnergySource.NVML, 3 * KWH_MJ), reading(EnergySource.ESTIMATED, KWH_MJ)


def test_the_sum_over_tasks_is_that_of_one_run_with_all_their_readings():
    together = as_view(footprint([MEASURED, MEASURED, ESTIMATED], Money(21), SITE))
    assert summed([view(MEASURED), view(MEASURED), view(ESTIMATED)]) == together


def test_uncertainty_is_weighed_by_energy_and_does_not_shrink_with_the_number_of_tasks():
    percent = summed([view(MEASURED), view(ESTIMATED)]).surroundings.uncertain_percent
    assert percent == round((3 * 5 + 1 * 50) / 4)
    assert summed([view(MEASURED)] * 100).surroundings.uncertain_percent == 5


def test_a_task_that_has_not_run_changes_nothing():
    assert summed([view(MEASURED), FootprintView()]) == view(MEASURED)


def test_of_no_task_that_ran_nothing_is_known():
    assert summed([FootprintView(), FootprintView()]) == FootprintView()


def test_what_is_not_known_of_one_task_is_not_known_of_all():
    found = summed([view(MEASURED), view(MEASURED, site=None)])
    assert sum(part.joules for part in found.energy) == 2 * 3 * KWH_MJ / 1000
    assert found.carbon_g is None
    assert found.surroundings is None


def test_market_carbon_is_left_out_where_one_task_does_not_have_it():
    without = Site(363, pue_percent=105)
    found = summed([view(MEASURED), view(MEASURED, site=without)])
    assert found.carbon_g == pytest.approx(2 * 3 * 363 * 1.05)
    assert found.surroundings.carbon_market_g is None


def test_the_tasks_are_those_the_factory_has_of_the_order():
    task = FootprintView(
        energy=[EnergyView(source="rapl", device="", joules=10)],
        surroundings=SurroundingsView(
            drawn_j=11, heat_j=1, water_withdrawn_l=2, water_consumed_l=3, uncertain_percent=5
        ),
    )
    asked = []

    def all_tasks(sweep):
        asked.append(sweep)
        return [SimpleNamespace(footprint=task)] * 3

    found = sweep_footprint(SimpleNamespace(all_tasks=all_tasks), "r-1")
    assert asked == ["r-1"]
    assert (found.surroundings.drawn_j, found.surroundings.water_withdrawn_l) == (33, 6)
