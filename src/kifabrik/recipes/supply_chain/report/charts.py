"""Charts of amounts: bars with their interval, how scenarios spread, service against cash."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from kifabrik.recipes.supply_chain.report.axes import Frame, Scale
from kifabrik.recipes.supply_chain.report.numerals import Numerals
from kifabrik.recipes.supply_chain.report.svg import drawing, element, line, path, shortened, text
from kifabrik.recipes.supply_chain.studies import Estimate, Frontier, FrontierPoint

_BAR_WIDTH: Final = 260.0
_BAR_HEIGHT: Final = 16.0
_LEAST_BINS, _MOST_BINS = 8, 40
_LABEL_ROOM: Final = 150.0


def bar(value: Estimate, scale: Scale, *, colour: str = "") -> Markup:
    """A bar from zero, with its interval as a thin line where it has one; empty for what is not finite."""
    if not math.isfinite(value.mean):
        return drawing(_BAR_WIDTH, _BAR_HEIGHT, "")
    zero, end, middle = scale(0.0), scale(value.mean), _BAR_HEIGHT / 2
    style = {"style": f"fill:{colour}"} if colour else {}
    parts = [
        element(
            "rect",
            x=min(zero, end),
            y=3,
            width=max(0.8, abs(end - zero)),
            height=_BAR_HEIGHT - 6,
            class_="bar",
            **style,
        )
    ]
    if math.isfinite(value.low) and math.isfinite(value.high) and value.high > value.low:
        low, high = scale(value.low), scale(value.high)
        parts += [line((low, middle), (high, middle), class_="whisker")]
        parts += [line((at, middle - 3), (at, middle + 3), class_="whisker") for at in (low, high)]
    return drawing(_BAR_WIDTH, _BAR_HEIGHT, "", *parts)


def bar_scale(values: Sequence[Estimate]) -> Scale:
    """One scale for bars that are read one below the other."""
    ends = [end for value in values for end in (value.mean, value.low, value.high)]
    return Scale.around(ends, 1.0, _BAR_WIDTH - 2.0)


def spread(
    values: ArrayLike, label: str, x_label: str, marks: tuple[str, str], numerals: Numerals
) -> Markup | None:
    """How many scenarios lie where, with their mean and P95; None if they do not differ.

    Args:
        values: One value a scenario.
        label: What is drawn, for who cannot see it.
        x_label: Below the axis.
        marks: What the mean and the P95 are called.
        numerals: How numbers are written.
    """
    seen = np.asarray(values, dtype=np.float64)
    seen = seen[np.isfinite(seen)]
    if seen.size < _LEAST_BINS or np.ptp(seen) <= 1e-9 * np.abs(seen).max():
        return None
    bins = int(min(_MOST_BINS, max(_LEAST_BINS, math.sqrt(seen.size))))
    counts, edges = np.histogram(seen, bins=bins)
    frame = Frame(numerals=numerals, top=24.0, height=230.0)
    x, y = frame.across([float(edges[0]), float(edges[-1])]), frame.up([0.0, float(counts.max())])
    parts = frame.grid(x, y, x_label)
    floor = y(0.0)
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        width = max(0.5, x(high) - x(low) - 1.0)
        parts.append(
            element("rect", x=x(low) + 0.5, y=y(count), width=width, height=floor - y(count), class_="bar-pale")
        )
    high = float(np.percentile(seen, 95))
    for value, word, name in ((float(seen.mean()), marks[0], "mean"), (high, marks[1], "p95")):
        parts.append(line((x(value), frame.top - 6), (x(value), floor), class_=name))
        parts.append(text(x(value), frame.top - 10, word, class_="label", text_anchor="middle"))
    return drawing(frame.width, frame.height, label, *parts)


def frontier_chart(frontier: Frontier, words: tuple[str, str, str, str], numerals: Numerals) -> Markup | None:
    """Plans by stock value and fill rate, each with its intervals; None if no point has both figures.

    Args:
        frontier: The plans.
        words: Label of the stock value, of the fill rate, and what the current and the proposed plan are called.
        numerals: How numbers are written.
    """
    points = [
        point
        for point in frontier.points
        if math.isfinite(point.stock_value.mean) and math.isfinite(point.beta.mean)
    ]
    if not points:
        return None
    frame = Frame(width=1060.0, height=400.0, left=70.0, right=30.0, top=34.0, bottom=46.0, numerals=numerals)
    across = [end for point in points for end in _ends(point.stock_value)]
    up = [end for point in points for end in _ends(point.beta)]
    x, y = frame.across(_roomy(across)), frame.up(_roomy(up, most=1.0), zero=False)
    parts = frame.grid(x, y, words[0], percent=True)
    parts.append(text(frame.left, 14, words[1], class_="label"))
    plans = sorted((point for point in points if not point.is_current), key=lambda point: point.stock_value.mean)
    if len(plans) > 1:
        ways = [(x(point.stock_value.mean), y(point.beta.mean)) for point in plans]
        parts.append(path(ways, class_="way"))
    for point in points:
        parts += _plan(point, x, y, frame, words)
    return drawing(frame.width, frame.height, f"{words[1]}, {words[0]}", *parts)


def _plan(point: FrontierPoint, x: Scale, y: Scale, frame: Frame, words: tuple[str, str, str, str]) -> list[Markup]:
    at = (x(point.stock_value.mean), y(point.beta.mean))
    kind = "current" if point.is_current else "chosen" if point.is_chosen else "plan"
    low, high = _ends(point.stock_value)
    below, above = _ends(point.beta)
    parts = [line((x(low), at[1]), (x(high), at[1]), class_=f"cross {kind}")]
    parts.append(line((at[0], y(below)), (at[0], y(above)), class_=f"cross {kind}"))
    size = 4.0 if kind == "plan" else 6.5
    dot = element("circle", element("title", point.name), cx=at[0], cy=at[1], r=size, class_=f"dot {kind}")
    word = words[2] if point.is_current else words[3] if point.is_chosen else ""
    name = f"{word}: {point.name}" if word and word != point.name else point.name
    turned = at[0] > frame.width - _LABEL_ROOM - 20
    side, anchor, drop = (-10.0, "end", -10.0) if turned else (10.0, "start", 16.0)
    label = shortened(name, _LABEL_ROOM + 40, 11.5)
    parts += [dot, text(at[0] + side, at[1] + drop, label, class_=f"name {kind}", text_anchor=anchor)]
    return parts


def _ends(value: Estimate) -> tuple[float, float]:
    if math.isfinite(value.low) and math.isfinite(value.high):
        return value.low, value.high
    return value.mean, value.mean


def _roomy(values: list[float], most: float = math.inf) -> list[float]:
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.02 * abs(high) or 1.0
    return [low - room, max(high, min(most, high + room))]
