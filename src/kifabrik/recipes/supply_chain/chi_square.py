"""Pearson's chi-square of counts: how often classes of values were seen, against how often a family expects them.

Classes are about equally likely, `2 n^0.4` of them (Mann and Wald 1942, with the smaller constant usual since), and
none expects fewer than five (Cochran 1954). Of how far a true family strays, `fitting` asks a bootstrap: with
parameters estimated from single values the tables of chi-square do not hold (Chernoff and Lehmann 1954).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.distributions import Distribution

Floats = NDArray[np.float64]
_LEAST_EXPECTED: Final = 5.0
_LEAST_CLASSES: Final = 3
"""With two, the parameters alone make them agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Counts of classes, and how far they are from what is expected.

    Attributes:
        upto: The highest value of each class; the last class has no end.
        seen: How often values of each class were seen; one more than `upto`.
        expected: How often the family expects them.
        statistic: Sum of (seen - expected)² / expected.
    """

    upto: tuple[float, ...]
    seen: tuple[int, ...]
    expected: tuple[float, ...]
    statistic: float


def agreement(values: Floats, distribution: Distribution) -> Agreement | None:
    """Compare whole numbers to a family, whose draws are rounded.

    Returns:
        None where there are too few values, or too few different ones, for three classes.
    """
    count = len(values)
    wanted = min(count // int(_LEAST_EXPECTED), round(2 * count**0.4))
    if wanted < _LEAST_CLASSES:
        return None
    borders = np.unique(np.rint(distribution.quantile(np.arange(1, wanted) / wanted)))
    expected = count * np.diff(distribution.cumulative(borders + 0.5), prepend=0.0, append=1.0)
    ends = _joined(expected)
    if len(ends) < _LEAST_CLASSES - 1:
        return None
    upto = borders[ends]
    expected = count * np.diff(distribution.cumulative(upto + 0.5), prepend=0.0, append=1.0)
    seen = np.diff(np.searchsorted(np.sort(values), upto, side="right"), prepend=0, append=count)
    return Agreement(
        upto=tuple(upto.tolist()),
        seen=tuple(seen.tolist()),
        expected=tuple(expected.tolist()),
        statistic=float(((seen - expected) ** 2 / expected).sum()),
    )


def _joined(expected: Floats) -> list[int]:
    """Places of the borders that stay, so that each class expects enough; the last class joins the one before."""
    ends, gathered = [], 0.0
    for place, one in enumerate(expected[:-1]):
        gathered += float(one)
        if gathered >= _LEAST_EXPECTED:
            ends.append(place)
            gathered = 0.0
    if ends and gathered + expected[-1] < _LEAST_EXPECTED:
        ends.pop()
    return ends
