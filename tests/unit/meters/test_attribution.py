import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kifabrik.errors import UsageError
from kifabrik.meters.attribution import Share, energy_of_attempt
from kifabrik.meters.estimates import estimate_cpu, estimate_gpus, estimate_memory
from kifabrik.meters.reading import EnergyReading, EnergySource, total

GB = 10**9
HOUR_MS = 3_600_000


def unattributed_mj(counted, parts):
    """What the counters counted and no attempt was given."""
    return total(counted) - total(reading for part in parts for reading in part if reading.source.measured)


def rapl(zone, joules):
    return EnergyReading(EnergySource.RAPL, zone, joules * 1000)


def nvml(uuid, joules):
    return EnergyReading(EnergySource.NVML, uuid, joules * 1000)


def share(**changes):
    usual = {
        "wall_ms": 10_000,
        "cpu_ms": 20_000,
        "node_cpu_ms": 40_000,
        "cpus": 4,
        "node_cpus": 16,
        "memory_bytes": 32 * GB,
        "node_memory_bytes": 64 * GB,
    }
    return Share(**(usual | changes))


def by_device(energy):
    return {reading.device: (reading.source, reading.millijoules) for reading in energy}


def test_a_gpu_is_the_attempts_alone_and_other_gpus_are_not():
    found = by_device(energy_of_attempt([nvml("GPU-1", 500), nvml("GPU-2", 900)], share(gpus=("GPU-1",))))
    assert found["GPU-1"] == (EnergySource.NVML, 500_000)
    assert "GPU-2" not in found


def test_the_idle_part_goes_by_reservation_and_the_rest_by_use():
    # 100 J in 10 s, of which 4 W idle: 40 J * 4/16 CPUs + 60 J * 20/40 s = 10 J + 30 J
    found = by_device(energy_of_attempt([rapl("package-0", 100)], share(idle_mw=(("package-0", 4_000),))))
    assert found["package-0"] == (EnergySource.RAPL, 40_000)


def test_memory_idles_by_reserved_memory():
    # 20 J in 10 s, of which 1 W idle: 10 J * 32/64 GB + 10 J * 20/40 s = 5 J + 5 J
    found = by_device(energy_of_attempt([rapl("package-0/dram", 20)], share(idle_mw=(("package-0/dram", 1_000),))))
    assert found["package-0/dram"] == (EnergySource.RAPL, 10_000)


def test_where_no_counter_exists_everything_is_estimated_and_says_so():
    held = share(gpus=("GPU-1",), gpu_model="NVIDIA H100 80GB HBM3", wall_ms=HOUR_MS)
    found = energy_of_attempt([], held)
    assert {reading.device for reading in found} == {"cpu", "memory", "gpu"}
    assert {reading.source for reading in found} == {EnergySource.ESTIMATED}


def test_only_the_gpus_without_a_counter_are_estimated():
    held = share(gpus=("GPU-1", "GPU-2"), gpu_model="H100", wall_ms=HOUR_MS)
    found = by_device(energy_of_attempt([nvml("GPU-1", 5)], held))
    assert found["gpu"] == (EnergySource.ESTIMATED, 700 * 3600 * 1000)


def test_the_coefficients_are_those_of_the_cited_methodology():
    assert estimate_cpu(1, HOUR_MS, 0) == 740 * 3600
    assert estimate_cpu(1, HOUR_MS, HOUR_MS) == 3500 * 3600
    assert estimate_memory(10 * GB, HOUR_MS) == 3920 * 3600
    assert estimate_gpus("NVIDIA A100-SXM4-80GB", 1000) == 400_000


def test_an_unknown_gpu_is_not_estimated_low():
    assert estimate_gpus("X9000", 1000) == 1_000_000


@pytest.mark.parametrize("changes", [{"cpus": 17}, {"memory_bytes": 65 * GB}, {"cpu_ms": -1}, {"wall_ms": -1}])
def test_a_share_larger_than_the_whole_or_negative_is_refused(changes):
    with pytest.raises(UsageError):
        share(**changes)


zones = st.lists(
    st.builds(rapl, st.sampled_from(["package-0", "package-1", "package-0/dram", "dram"]), st.integers(0, 10**6)),
    unique_by=lambda reading: reading.device,
    max_size=4,
)
parts = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 16), st.integers(0, 64)), min_size=1, max_size=6)


@given(zones, parts, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_parts_of_all_attempts_never_exceed_what_was_counted(counted, attempts, others_ms, idle_mw, wall_ms):
    assume(sum(cpus for _, cpus, _ in attempts) <= 16)
    assume(sum(memory for _, _, memory in attempts) <= 64)
    node_cpu_ms = sum(cpu_ms for cpu_ms, _, _ in attempts) + others_ms
    idle = tuple((zone.device, idle_mw) for zone in counted)
    given_out = [
        energy_of_attempt(
            counted,
            share(
                wall_ms=wall_ms, cpu_ms=cpu_ms, node_cpu_ms=node_cpu_ms, cpus=cpus, memory_bytes=memory * GB,
                idle_mw=idle,
            ),
        )
        for cpu_ms, cpus, memory in attempts
    ]  # fmt: skip
    left = unattributed_mj(counted, given_out)
    assert 0 <= left <= total(counted)


@given(zones, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 15))
def test_more_use_or_reservation_never_gives_less(counted, cpu_ms, more_ms, cpus):
    node = {"node_cpu_ms": cpu_ms + more_ms, "idle_mw": (("package-0", 900),)}
    less = energy_of_attempt(counted, share(cpu_ms=cpu_ms, cpus=cpus, **node))
    more = energy_of_attempt(counted, share(cpu_ms=cpu_ms + more_ms, cpus=cpus + 1, **node))
    assert all(a.millijoules <= b.millijoules for a, b in zip(less, more, strict=True))


@given(zones)
def test_one_attempt_that_has_the_whole_node_is_given_everything(counted):
    whole = share(cpu_ms=40_000, cpus=16, memory_bytes=64 * GB, idle_mw=(("package-0", 3_000),))
    assert unattributed_mj(counted, [energy_of_attempt(counted, whole)]) == 0
