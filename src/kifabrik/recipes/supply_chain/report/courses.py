"""Charts over time: fans of scenarios, and the backlog with and without an outage."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from kifabrik.recipes.supply_chain.report.axes import Frame, Scale
from kifabrik.recipes.supply_chain.report.numerals import Numerals
from kifabrik.recipes.supply_chain.report.svg import drawing, element, path
from kifabrik.recipes.supply_chain.studies import OutageResult

_MOST_POINTS: Final = 500
_RANKS: Final = (5, 25, 50, 75, 95)

Floats = NDArray[np.float64]


def fan(
    course: ArrayLike,
    label: str,
    x_label: str,
    numerals: Numerals,
    *,
    warm_up: int = 0,
    is_share: bool = False,
    shaded: Sequence[tuple[int, int]] = (),
) -> Markup | None:
    """Median, middle half and middle nine tenths of a course.

    Args:
        course: Values [period, scenario]; those that are not finite are left out.
        label: What is drawn, for who cannot see it.
        x_label: Below the axis of time.
        numerals: How numbers are written.
        warm_up: So many periods at the start are hatched.
        is_share: Whether the values are shares, to be written in per cent and drawn without zero.
        shaded: Spans of periods, from one to before the other, in which something is amiss.

    Returns:
        The drawing; None if no period has a finite value.
    """
    values = np.asarray(course, dtype=np.float64)
    if values.ndim != 2 or not values.size:  # noqa: PLR2004
        return None
    times, bands = _bands(values)
    if not times.size:
        return None
    frame = Frame(numerals=numerals)
    x = frame.across([0, len(values)])
    y = frame.up([float(bands.min()), float(bands.max())], zero=not is_share)
    shades = [_shade(frame, x, first, min(end, len(values))) for first, end in shaded if first < len(values)]
    parts = [*_hatched(frame, x, warm_up), *shades, *frame.grid(x, y, x_label, percent=is_share)]
    for low, high, name in ((0, 4, "band-pale"), (1, 3, "band")):
        there = [(x(time), y(value)) for time, value in zip(times, bands[high], strict=True)]
        back = [(x(time), y(value)) for time, value in zip(times, bands[low], strict=True)]
        parts.append(path([*there, *reversed(back)], closed=True, class_=name))
    parts.append(path([(x(at), y(value)) for at, value in zip(times, bands[2], strict=True)], class_="median"))
    return drawing(frame.width, frame.height, label, *parts)


def recovery(outage: OutageResult, label: str, x_label: str, numerals: Numerals) -> Markup | None:
    """Backlog with and without an outage, from a little before it; None if there is nothing finite to draw."""
    after = np.asarray(outage.backlog_with, dtype=np.float64)
    before = np.asarray(outage.backlog_without, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(after) & np.isfinite(before))
    if not known.size:
        return None
    first, last = _span(outage, after, before)
    shown = _thinned(known[(known >= first) & (known <= last)])
    if not shown.size:
        return None
    frame = Frame(width=640.0, numerals=numerals)
    x, y = frame.across([first, last + 1]), frame.up([*after[shown], *before[shown]])
    with_it = [(x(time + 0.5), y(after[time])) for time in shown]
    without = [(x(time + 0.5), y(before[time])) for time in shown]
    shade = _shade(frame, x, outage.start, outage.start + outage.periods)
    parts = [shade, *frame.grid(x, y, x_label), path([*with_it, *reversed(without)], closed=True, class_="loss")]
    parts += [path(without, class_="without"), path(with_it, class_="with")]
    return drawing(frame.width, frame.height, label, *parts)


def _shade(frame: Frame, x: Scale, first: int, end: int) -> Markup:
    left, height = x(first), frame.height - frame.top - frame.bottom
    return element("rect", x=left, y=frame.top, width=max(1.0, x(end) - left), height=height, class_="shade")


def _span(outage: OutageResult, after: Floats, before: Floats) -> tuple[int, int]:
    """Periods worth drawing: some before the outage, and until what it added is gone, with some room."""
    added = np.nan_to_num(after - before)
    top = float(np.abs(added).max())
    touched = np.flatnonzero(np.abs(added) > 0.01 * top) if top > 0 else np.array([], dtype=np.intp)
    end = max(outage.start + outage.periods, int(touched[-1]) if touched.size else 0)
    room = max(7, (end - outage.start) // 4)
    return max(0, min(outage.start - room, len(after) - 2)), min(len(after) - 1, end + room)


def _bands(values: Floats) -> tuple[Floats, Floats]:
    """Middles of the periods drawn [point], and their percentiles [rank, point]."""
    finite = np.isfinite(values)
    shown = _thinned(np.flatnonzero(finite.any(axis=1)))
    kept = np.where(finite[shown], values[shown], np.nan)
    if not shown.size:
        return np.zeros(0), np.zeros((len(_RANKS), 0))
    return shown + np.float64(0.5), np.asarray(np.nanpercentile(kept, _RANKS, axis=1), dtype=np.float64)


def _thinned(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most so many of the places as a drawing can show, evenly spaced."""
    if len(places) <= _MOST_POINTS:
        return places
    return places[np.linspace(0, len(places) - 1, _MOST_POINTS).round().astype(np.intp)]


def _hatched(frame: Frame, x: Scale, warm_up: int) -> list[Markup]:
    if warm_up <= 0:
        return []
    height = frame.height - frame.top - frame.bottom
    return [
        element("rect", x=frame.left, y=frame.top, width=x(warm_up) - frame.left, height=height, class_="hatch")
    ]
