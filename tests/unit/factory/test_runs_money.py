"""What runs cost, and what tenants have used."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import UsageError
from kifabrik.factory import budget
from kifabrik.factory.allowances import Usage
from kifabrik.factory.capacity import Demand, Gpu, Node
from kifabrik.factory.pricing import Pricing
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.prices.pricelist import PriceList
from kifabrik.values import Money, Place, Resources

GB = 10**9
PRICES = {
    "cpu_core_hour_eur": 1,
    "memory_gb_hour_eur": 0,
    "storage_gb_month_eur": 0,
    "energy_kwh_eur": 3600,
    "gpu_hour_eur": {"H100": 10, "H200": 20},
}
PRICING = Pricing(PriceList.from_mapping(PRICES, "test"), "test")
NODES = [
    Node("n-1", "n1", Place("DE"), 8, 64 * GB, (Gpu(0, "H100", 80 * GB), Gpu(1, "H200", 141 * GB))),
    Node("n-2", "n2", Place("FR"), 8, 64 * GB),
]
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def demand(**wishes) -> Demand:
    return Demand(Resources(**{"cpus": 1, "memory_bytes": GB} | wishes), Place())


def reading(wall_s: float, millijoules: int = 0) -> Reading:
    energy = (EnergyReading(EnergySource.ESTIMATED, "cpu", millijoules),)
    return Reading("2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z", int(wall_s * 1000), 0, 0, "", 0, 0, 0, energy)


def test_a_run_that_takes_any_gpu_is_priced_for_the_dearest_it_could_get() -> None:
    assert PRICING.rate(demand(gpu_count=1), NODES) == Money.from_eur("21")
    assert PRICING.rate(demand(gpu_count=1, gpu_model="h100"), NODES) == Money.from_eur("11")
    assert PRICING.rate(demand(gpu_count=1, gpu_memory_bytes=100 * GB), NODES) == Money.from_eur("21")


def test_a_gpu_without_a_price_is_not_sold() -> None:
    with pytest.raises(UsageError, match="no GPU B300 is offered here"):
        PRICING.rate(demand(gpu_count=1, gpu_model="B300"), NODES)


def test_all_nodes_of_a_gang_are_paid() -> None:
    assert PRICING.rate(demand(nodes=2), NODES) == Money.from_eur("2")


@given(st.integers(1, 10**6), st.integers(1, 10**7))
def test_what_fits_a_budget_never_costs_more_than_it(seconds: int, micro_eur: int) -> None:
    try:
        quote = PRICING.quote(demand(), NODES, seconds, Money(micro_eur))
    except UsageError:
        assert micro_eur * 3600 < quote_of_a_second()
        return
    assert quote.most.micro_eur <= micro_eur or quote.cap_s == seconds
    assert 1 <= quote.cap_s <= seconds


def quote_of_a_second() -> int:
    return PRICING.rate(demand(), NODES).micro_eur


def test_time_and_energy_are_charged_up_to_the_cap() -> None:
    rate = Money.from_eur("3.6")
    assert PRICING.charge(rate, [reading(100)], 1000) == Money.from_eur("0.1")
    assert PRICING.charge(rate, [reading(100, 50_000)], 1000) == Money.from_eur("0.15")
    assert PRICING.charge(rate, [reading(5000)], 1000) == Money.from_eur("1")
    assert PRICING.charge(rate, [], 1000) == Money()
    of_both = PRICING.charge(rate, [reading(100, 50_000), reading(50, 50_000)], 1000, nodes=2)
    assert of_both == PRICING.charge(rate, [reading(75, 100_000)], 1000)
    assert PRICING.charge(rate, [reading(100)], 1000, nodes=2) == PRICING.charge(rate, [reading(50)], 1000)


def test_use_counts_half_after_a_day() -> None:
    used = budget.add(Usage("t-a"), 1000, 900, NOW)
    assert budget.recent(used, NOW) == 1000
    assert budget.recent(used, NOW + timedelta(days=1)) == pytest.approx(500)
    assert budget.recent(used, NOW - timedelta(days=1)) == 1000


def test_a_new_month_begins_at_nothing() -> None:
    used = budget.add(Usage("t-a"), 1000, 900, NOW)
    used = budget.add(used, 1000, 100, NOW)
    assert (used.month, used.month_micro_eur) == ("2026-11", 1000)
    used = budget.add(used, 1, 1, NOW + timedelta(days=10))
    assert (used.month, used.month_micro_eur) == ("2026-12", 1)
