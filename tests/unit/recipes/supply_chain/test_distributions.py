import numpy as np
import pytest

from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.quantiles import whole_values

EACH = (
    fixed(3.0),
    Distribution(kind=Kind.NORMAL, mean=4.0, sd=3.0),
    Distribution(kind=Kind.POISSON, mean=2.5),
    Distribution(kind=Kind.NEGATIVE_BINOMIAL, mean=3.0, sd=2.6),
    Distribution(kind=Kind.GAMMA, mean=9.0, sd=4.0),
    Distribution(kind=Kind.LOGNORMAL, mean=9.0, sd=4.0),
    Distribution(kind=Kind.UNIFORM, values=(2.0, 9.5)),
    Distribution(kind=Kind.INTERMITTENT, mean=6.0, sd=2.0, chance=0.4),
    Distribution(kind=Kind.INTERMITTENT, mean=6.0, chance=0.4),
    Distribution(kind=Kind.EMPIRICAL, values=(1.0, 2.0, 7.0), weights=(0.5, 0.25, 0.25)),
)


def named(distribution):
    return f"{distribution.kind}-{distribution.sd:g}"


@pytest.mark.parametrize("distribution", EACH, ids=named)
def test_as_much_is_drawn_below_a_quantile_as_its_rank_says(distribution):
    ranks = np.linspace(0.003, 0.997, 333)
    quantiles = distribution.quantile(ranks)
    assert (distribution.cumulative(quantiles) >= ranks - 1e-9).all()
    assert (distribution.cumulative(quantiles[quantiles > 0] - 1e-6) <= ranks[quantiles > 0] + 1e-5).all()


@pytest.mark.parametrize("distribution", EACH, ids=named)
def test_nothing_is_drawn_below_zero(distribution):
    assert (distribution.cumulative([-5.0, -1e-9]) == 0).all()


@pytest.mark.parametrize("distribution", EACH[:-1], ids=named)
def test_rounded_lead_times_have_the_weights_of_4096_equal_parts(distribution):
    whole, weights = whole_values(distribution)
    parts, counts = np.unique(np.rint(distribution.quantile((np.arange(4096) + 0.5) / 4096)), return_counts=True)
    assert whole.tolist() == parts.tolist()
    assert np.abs(weights * 4096 - counts).max() <= 1
    assert weights.sum() == pytest.approx(1, abs=1e-12)


def test_lead_times_seen_are_rounded_and_keep_their_weights():
    seen = Distribution(kind=Kind.EMPIRICAL, values=(1.2, 1.4, 7.0), weights=(0.5, 0.25, 0.25))
    whole, weights = whole_values(seen)
    assert whole.tolist() == [1, 7]
    assert weights.tolist() == [0.75, 0.25]
