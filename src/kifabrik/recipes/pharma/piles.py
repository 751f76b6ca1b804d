"""Values that pile up at an end of an endpoint: limits of an assay that were written down as measurements."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.endpoints import Endpoint, Kind
from kifabrik.recipes.pharma.numbers import Relation

_SHARE: Final = 0.05
_COUNT: Final = 10
_BEYOND: Final = 0.01
"""Share of values that may lie beyond a limit all the same: an assay's limit moves, and typing errors happen."""
_TIMES: Final = 3
"""A value at an end is remarkable if so many times more compounds have it than any other value: whole
per cents or rounded logarithms repeat everywhere, a limit only where it is."""


@dataclass(frozen=True, slots=True)
class Pile:
    """One value that many compounds share.

    Attributes:
        value: The smallest or the largest, but for one in a hundred.
        side: `BELOW` if it is at the low end: what it stands for may lie below it.
        count: Compounds that have it.
        share: Of all compounds.
    """

    value: float
    side: Relation
    count: int
    share: float

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        return {"value": self.value, "side": self.side.value, "count": self.count, "share": self.share}


def piles_at(compounds: Compounds, endpoint: Endpoint) -> tuple[Pile, ...]:
    """Piles among the measurements of an endpoint that are no bounds; classes have none."""
    if endpoint.kind is Kind.CLASS:
        return ()
    return piles_of(compounds.exact(endpoint.name).endpoints[endpoint.name].value.tolist())


def piles_of(values: Iterable[float]) -> tuple[Pile, ...]:
    """Piles at the ends of measured numbers: at the low one, the high one, both or none."""
    counts = Counter(values)
    total = counts.total()
    ends = {
        side: max(_first(counts, order), key=lambda value: counts[value], default=math.nan)
        for side, order in ((Relation.BELOW, sorted(counts)), (Relation.ABOVE, sorted(counts, reverse=True)))
    }
    usual = max((count for value, count in counts.items() if value not in ends.values()), default=total)
    return tuple(
        Pile(value, side, counts[value], counts[value] / total)
        for side, value in ends.items()
        if counts[value] >= max(_COUNT, _SHARE * total, _TIMES * usual)
    )


def _first(counts: Counter[float], order: Sequence[float]) -> list[float]:
    """Values with next to none before them."""
    found, before = [], 0
    for value in order:
        if before > _BEYOND * counts.total():
            break
        found.append(value)
        before += counts[value]
    return found
