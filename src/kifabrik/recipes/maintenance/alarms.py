"""Alarms: times above a limit, and the limit that lets no more than so many false ones through.

A row alone is no alarm: the median of the last rows must be above the limit, as it would be seen live. The limit is
where the highest values of good readings, hour by hour, would be exceeded so many times a month. Beyond what was
seen it follows their tail, a generalised Pareto distribution whose shape is found by probability-weighted moments
(Hosking and Wallis, Technometrics 29, 1987) and never taken for lighter than exponential.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MONTH: Final = np.timedelta64(2_629_746, "s")
"""A twelfth of the mean Gregorian year."""
_BLOCKS, _LEAST_ROWS = 50, 5
"""Good readings are cut into so many blocks at least, if they are so many rows long; else a block is `together`."""
_TAIL: Final = 0.2
"""Share of the highest values that say how the tail falls."""
_LEAST_IN_TAIL: Final = 5
_HEAVIEST: Final = 0.5
"""Shape of the heaviest tail that is believed: one whose variance is only just infinite."""
_TINY: Final = 1e-9
_AT_ONCE: Final = 100_000


@dataclass(frozen=True)
class Span:
    """Rows of one alarm: from `first` to `last`, both of it, the farthest at `peak`."""

    first: int
    last: int
    peak: int


def smooth(distances: Floats, rows: int) -> Floats:
    """Median of each row's distance and those before it, `rows` in all; 0 as long as there are fewer."""
    if rows <= 1 or len(distances) < rows:
        return distances if rows <= 1 else np.zeros(len(distances))
    windows = np.lib.stride_tricks.sliding_window_view(distances, rows)
    found = np.zeros(len(distances))
    for start in range(0, len(windows), _AT_ONCE):
        medians = np.median(windows[start : start + _AT_ONCE], axis=1)
        found[start + rows - 1 : start + rows - 1 + len(medians)] = medians
    return found


def limit_for(
    distances: Floats, times: NDArray[np.datetime64], a_month: float, together: np.timedelta64
) -> tuple[float, float]:
    """The limit that good readings exceed so many times a month, and how many months they cover.

    Args:
        distances: Smoothed, of good readings.
        times: Of the rows.
        a_month: Alarms to let through.
        together: Exceedances no further apart count once.
    """
    step = np.median(np.diff(times)) if len(times) > 1 else together
    length = min(together, max((times[-1] - times[0]) // _BLOCKS, _LEAST_ROWS * step))
    block = (times - times[0]) // max(length, np.timedelta64(1, "s"))
    highest = np.sort(np.maximum.reduceat(distances, np.flatnonzero(np.diff(block, prepend=-1))))[::-1]
    months = len(highest) * float(length / MONTH)
    allowed = a_month * months
    count = min(len(highest) - 1, max(_LEAST_IN_TAIL, int(_TAIL * len(highest))))
    if count < 1 or allowed >= count:
        return max(float(highest[min(int(allowed), len(highest) - 1)]), _TINY), months
    base = float(highest[count])
    return max(base + _beyond(highest[:count] - base, count / allowed), _TINY), months


def _beyond(excesses: Floats, rarity: float) -> float:
    """The excess that is exceeded by one in `rarity`; of excesses in falling order."""
    rank = np.arange(len(excesses)) / max(len(excesses) - 1, 1)  # share of the others above: 0 for the largest
    mean, weighted = float(excesses.mean()), float((excesses * rank).mean())
    if mean <= 2 * weighted or mean <= 0:
        return float(excesses[0])
    shape = min(max(2 - mean / (mean - 2 * weighted), 0.0), _HEAVIEST)
    scale = mean * (1 - shape)
    return scale * (math.expm1(shape * math.log(rarity)) / shape if shape > _TINY else math.log(rarity))


def spans_above(
    distances: Floats, limit: float, times: NDArray[np.datetime64], together: np.timedelta64
) -> tuple[Span, ...]:
    """Times above the limit, in order; those no further apart than `together` are one."""
    rows = np.flatnonzero(distances > limit)
    if not len(rows):
        return ()
    breaks = np.flatnonzero(np.diff(times[rows]) > together) + 1
    return tuple(
        Span(int(group[0]), int(group[-1]), int(group[np.argmax(distances[group])]))
        for group in np.split(rows, breaks)
    )
