from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.meters.footprint import Footprint, footprint
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading, total
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import predicate, sign_statement, verify_statement
from kifabrik.values import Money

KEY = SigningKey(bytes(32))
amounts = st.integers(0, 2**50)
energy = st.builds(EnergyReading, st.sampled_from(EnergySource), st.text(max_size=40), amounts)
readings = st.builds(
    Reading,
    started=st.just("2026-11-23T08:00:00Z"),
    ended=st.sampled_from(["2026-11-23T08:00:00Z", "2026-11-23T10:00:00Z"]),
    wall_ms=amounts,
    cpu_ms=amounts,
    gpu_ms=amounts,
    gpu_model=st.text(max_size=20),
    gpu_count=st.integers(0, 8),
    memory_peak_bytes=amounts,
    log_bytes=amounts,
    energy=st.lists(energy, max_size=4).map(tuple),
)
ONE = Reading("2026-11-23T08:00:00Z", "2026-11-23T08:00:01Z", 1000, 900, 0, "", 0, 10**6, 120)


@predicate("test-metering/v1")
@dataclass(frozen=True)
class Said:
    reading: Reading
    footprint: Footprint


@given(readings)
def test_readings_and_footprints_survive_a_signed_statement(reading):
    said = Said(reading, footprint([reading], Money(1)))
    envelope = sign_statement(said, {"run": "0" * 64}, KEY)
    assert verify_statement(envelope, Said, [KEY.public]).predicate == said


def test_a_signed_reading_with_an_unknown_field_is_refused():
    said = Said(ONE, footprint([ONE], Money(1)))
    payload = sign_statement(said, {"run": "0" * 64}, KEY).payload
    changed = payload.replace(b'"cpu_ms":900,', b'"cpu_ms":900,"cpu_mt":1,', 1)
    assert changed != payload
    with pytest.raises(IntegrityError):
        verify_statement(Envelope.sign(changed, KEY), Said, [KEY.public])


@pytest.mark.parametrize("name", ["wall_ms", "cpu_ms", "gpu_ms", "gpu_count", "memory_peak_bytes", "log_bytes"])
def test_a_negative_amount_is_refused_by_name(name):
    with pytest.raises(UsageError, match=name):
        Reading(**{**ONE.__dict__, name: -1})


def test_a_clock_set_back_does_not_cost_a_run_its_reading():
    assert Reading(**{**ONE.__dict__, "ended": "2026-11-23T07:59:59Z"}).wall_ms == 1000


def test_a_time_that_is_none_is_refused():
    with pytest.raises(UsageError, match="not a UTC time"):
        Reading(**{**ONE.__dict__, "ended": "yesterday"})


def test_only_estimates_are_not_measured():
    assert [source for source in EnergySource if not source.measured] == [EnergySource.ESTIMATED]


def test_energy_is_the_sum_of_its_sources():
    parts = (EnergyReading(EnergySource.NVML, "GPU-1", 5), EnergyReading(EnergySource.ESTIMATED, "cpu", 7))
    assert Reading(**{**ONE.__dict__, "energy": parts}).energy_mj == total(parts) == 12
