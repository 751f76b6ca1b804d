"""Readings of any amounts."""

from hypothesis import strategies as st

from kifabrik.meters.reading import EnergyReading, EnergySource, Reading


def any_readings(most, labels):
    """Readings whose amounts go up to `most`, of sensors with such labels."""
    amounts = st.integers(0, most)
    return st.builds(
        Reading,
        started=st.just("2026-11-23T08:00:00Z"),
        ended=st.just("2026-11-23T09:00:00Z"),
        wall_ms=amounts,
        cpu_ms=amounts,
        gpu_ms=amounts,
        gpu_model=st.just("H100"),
        gpu_count=st.integers(0, 8),
        memory_peak_bytes=amounts,
        log_bytes=amounts,
        energy=st.lists(st.builds(EnergyReading, st.sampled_from(EnergySource), labels, amounts)).map(tuple),
    )
