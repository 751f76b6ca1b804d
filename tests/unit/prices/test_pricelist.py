from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import UsageError
from kifabrik.prices.pricelist import PriceList, cost, seconds_within
from kifabrik.values import Money

TEXT = """
cpu_core_hour_eur = 0.04
memory_gb_hour_eur = 0.005
storage_gb_month_eur = 0.02
energy_kwh_eur = 0.25
[gpu_hour_eur]
H100 = 2.90
h200 = 3.6
"""

rates = st.integers(0, 10**12).map(Money)


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(TEXT)
    return PriceList.load(path)


def test_the_shipped_list_loads():
    shipped = PriceList.load()
    assert shipped.rate(gpu_model="H100", gpu_count=1, cpus=0, memory_bytes=0).micro_eur > 0
    assert shipped.energy_kwh is None


def test_a_rate_sums_all_resources_of_all_nodes(listed):
    assert listed.rate(gpu_model="H100", gpu_count=8, cpus=16, memory_bytes=64 * 10**9, nodes=2) == Money.from_eur(
        Decimal("2.90") * 16 + Decimal("0.04") * 32 + Decimal("0.005") * 128
    )


def test_models_are_found_in_any_case(listed):
    assert listed.rate(gpu_model="H200", gpu_count=1, cpus=0, memory_bytes=0) == Money.from_eur("3.6")
    assert listed.rate(gpu_model="h100", gpu_count=1, cpus=0, memory_bytes=0) == Money.from_eur("2.9")


def test_an_unknown_model_is_refused_with_a_suggestion(listed):
    with pytest.raises(UsageError, match="H101") as caught:
        listed.rate(gpu_model="H101", gpu_count=1, cpus=1, memory_bytes=0)
    assert caught.value.hint == "Did you mean H100?"
    with pytest.raises(UsageError) as caught:
        listed.rate(gpu_model="MI300X", gpu_count=1, cpus=1, memory_bytes=0)
    assert "H100, H200" in caught.value.hint


def test_gpus_of_any_model_count_like_the_dearest(listed):
    assert listed.rate(gpu_count=2, cpus=0, memory_bytes=0) == Money.from_eur("7.2")
    without = PriceList(Money(1), Money(1), Money(1))
    with pytest.raises(UsageError, match="no GPUs"):
        without.rate(gpu_count=1, cpus=0, memory_bytes=0)


def test_a_list_is_called_by_its_file(listed):
    assert listed.name.endswith("prices.toml")
    assert PriceList.load().name == "example prices"


def test_no_gpu_needs_no_model(listed):
    assert listed.rate(cpus=1, memory_bytes=0) == Money.from_eur("0.04")


def test_storage_and_energy_have_prices(listed):
    assert listed.storage(50 * 10**9, 30 * 86_400) == Money.from_eur("1.00")
    assert listed.energy(3_600_000_000) == Money.from_eur("0.25")


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (
            ("cpu_core_hour_eur", "cpu_core_hour"),
            "unknown key 'cpu_core_hour'",
            "Did you mean cpu_core_hour_eur?",
        ),
        (("cpu_core_hour_eur = 0.04", ""), "cpu_core_hour_eur is missing", "cpu_core_hour_eur = 0.05"),
        (("0.04", '"0.04"'), "cpu_core_hour_eur is not a price: '0.04'", "number"),
        (("0.04", "true"), "cpu_core_hour_eur is not a price: True", "number"),
        (("0.04", "-0.04"), "cpu_core_hour_eur is not between", ""),
        (("0.04", "nan"), "cpu_core_hour_eur is not", ""),
        (("0.04", "inf"), "cpu_core_hour_eur is not between", ""),
        (("2.90", "[2]"), "gpu_hour_eur.H100 is not a price", "number"),
        (("h200", "h100"), "names H100 twice", "case"),
        (("[gpu_hour_eur]", "gpu_hour_eur = 3 #"), "unknown key 'H100'", ""),
        (("0.04", "0,04"), "is not TOML", ""),
    ],
)
def test_a_bad_list_is_refused_with_file_key_and_hint(tmp_path, change, message, hint):
    path = tmp_path / "prices.toml"
    path.write_text(TEXT.replace(*change, 1))
    with pytest.raises(UsageError) as caught:
        PriceList.load(path)
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_missing_file_or_table_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.toml cannot be read"):
        PriceList.load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="gpu_hour_eur is not a table"):
        PriceList.from_mapping(
            {"cpu_core_hour_eur": 1, "memory_gb_hour_eur": 1, "storage_gb_month_eur": 1, "gpu_hour_eur": 3}, "x"
        )


@given(rates, st.integers(0, 10**12).map(Money))
def test_what_fits_a_budget_never_costs_more_and_one_second_more_does(rate, budget):
    seconds = seconds_within(rate, budget)
    if seconds is None:
        assert rate == Money()
        return
    assert cost(rate, seconds) <= budget
    assert cost(rate, seconds + 1) > budget


@given(rates, st.integers(0, 10**6), st.integers(0, 10**6))
def test_time_in_two_pieces_costs_at_least_the_whole_and_hardly_more(rate, first, second):
    pieces = cost(rate, first) + cost(rate, second)
    whole = cost(rate, first + second)
    assert whole <= pieces <= whole + Money(1)


@given(st.integers(0, 64), st.integers(0, 10**13), st.integers(0, 8), st.integers(1, 16))
def test_a_rate_grows_with_the_resources(cpus, memory_bytes, gpu_count, nodes):
    prices = PriceList.load()
    have = {
        "gpu_model": "H100",
        "gpu_count": gpu_count,
        "cpus": cpus,
        "memory_bytes": memory_bytes,
        "nodes": nodes,
    }
    usual = prices.rate(**have)
    for name in ("gpu_count", "cpus", "nodes"):
        assert prices.rate(**(have | {name: have[name] + 1})) >= usual
    assert prices.rate(**(have | {"nodes": 1})) * nodes == usual


def test_an_hour_costs_the_rate():
    assert cost(Money(2_900_000), 3600) == Money(2_900_000)
    assert cost(Money(1), 0.001) == Money(1)
    assert cost(Money(2_900_000), 0) == Money()
    with pytest.raises(UsageError):
        cost(Money(1), -1)
