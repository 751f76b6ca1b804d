import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kifabrik.sensors.counters import CounterLostError
from kifabrik.sensors.rapl import RaplCounter, open_rapl

RANGE_UJ = 262143328850


def make_zone(folder, name, energy_uj, range_uj=RANGE_UJ):
    """Write a zone as the kernel shows it."""
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "enabled").write_text("1\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return folder


def set_energy(zone, energy_uj):
    (zone / "energy_uj").write_text(f"{energy_uj}\n")


@pytest.fixture
def powercap(tmp_path):
    root = tmp_path / "powercap"
    make_zone(root / "intel-rapl:0", "package-0", 1_000_000)
    make_zone(root / "intel-rapl:0/intel-rapl:0:0", "core", 500_000)
    make_zone(root / "intel-rapl:0/intel-rapl:0:1", "dram", 200_000)
    make_zone(root / "intel-rapl:1", "package-1", 3_000_000)
    make_zone(root / "intel-rapl:2", "psys", 9_000_000)
    make_zone(root / "intel-rapl-mmio:0", "package-0", 1_000_000)
    (root / "intel-rapl").mkdir()
    for child in ("intel-rapl:0:0", "intel-rapl:0:1"):  # the class folder shows every zone, parts too
        (root / child).symlink_to(f"intel-rapl:0/{child}")
    return root


def test_packages_and_their_memory_are_counted_once_each(powercap):
    assert [counter.device for counter in open_rapl(powercap)] == ["package-0", "package-0/dram", "package-1"]


def test_energy_is_counted_from_the_opening_in_millijoules(powercap):
    package, dram, _ = open_rapl(powercap)
    set_energy(powercap / "intel-rapl:0", 3_500_000)
    set_energy(powercap / "intel-rapl:0/intel-rapl:0:1", 200_999)
    assert (package.total_mj(), dram.total_mj()) == (2_500, 0)


def test_a_counter_that_started_again_at_zero_goes_on_counting(tmp_path):
    zone = make_zone(tmp_path / "zone", "package-0", RANGE_UJ - 1_000_000)
    counter = RaplCounter(zone, "package-0")
    set_energy(zone, 2_000_000)
    assert counter.total_mj() == 3_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.integers(0, 10**9 - 1), max_size=20))
def test_any_number_of_wraps_is_counted(tmp_path_factory, steps):
    zone = make_zone(tmp_path_factory.mktemp("rapl") / "zone", "package-0", 0, range_uj=10**9)
    counter = RaplCounter(zone, "package-0")
    sent = 0
    for step in steps:
        sent += step
        set_energy(zone, sent % 10**9)
        assert counter.total_mj() == sent // 1000


def test_a_machine_without_powercap_has_no_counters(tmp_path):
    assert open_rapl(tmp_path / "none") == ()


def test_a_zone_that_cannot_be_read_is_left_out(powercap):
    (powercap / "intel-rapl:0/energy_uj").unlink()
    assert [counter.device for counter in open_rapl(powercap)] == ["package-0/dram", "package-1"]


def test_a_zone_that_vanishes_is_said_to_be_lost(powercap):
    counter = open_rapl(powercap)[0]
    (powercap / "intel-rapl:0/energy_uj").write_text("")
    with pytest.raises(CounterLostError):
        counter.total_mj()
