"""The network as a map: boxes for a small one, dots for a large one, coloured by risk."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.report.layout import Point, at_places, layers, untangled
from kifabrik.recipes.supply_chain.report.numerals import Numerals
from kifabrik.recipes.supply_chain.report.risk import Risk, shade
from kifabrik.recipes.supply_chain.report.svg import drawing, element, line, shortened, text

_WIDTH: Final = 1060.0
_MARGIN: Final = 12.0
_MOST_LAYERS, _MOST_BOXES, _MOST_BOX_LAYERS, _TALLEST = 24, 60, 8, 16
_BOX_HEIGHT, _BOX_GAP, _MOST_BOX_WIDTH = 36.0, 12.0, 172.0
_DOTS_HEIGHT: Final = 440.0
_MOST_DOTS, _MOST_LANES, _FAINT = 4000, 500, 80
_WIDEST_APART, _LEAST_APART, _BADGE = 20.0, 4.5, 8.5
_LEAST_GAP: Final = 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A drawn network, and what has to be said about it.

    Attributes:
        picture: The drawing.
        named: Places of the nodes that are numbered in it, the riskiest first; empty where each has its name.
        drawn: How many nodes are drawn.
        lanes: How many lanes between nodes are drawn.
        all_lanes: How many there are that start or end at a numbered node, or in all where all nodes are alike.
        is_dots: Whether nodes are dots.
        by_place: Whether they stand at their places.
    """

    picture: Markup
    named: tuple[int, ...]
    drawn: int
    lanes: int
    all_lanes: int
    is_dots: bool
    by_place: bool


def network_map(network: Network, risk: Risk, label: str, numerals: Numerals) -> Map:
    """Draw a network: in boxes with names where they fit, else as dots, at their places where these are known.

    Args:
        network: What to draw.
        risk: Colours the nodes and says which are named.
        label: What is drawn, for who cannot see it.
        numerals: How numbers are written.
    """
    places = {node.name: at for at, node in enumerate(network.nodes)}
    ways = sorted({(places[lane.source], places[lane.target]) for lane in network.lanes if lane.source})
    columns = layers(network, _MOST_LAYERS)
    tallest = max(len(column) for column in columns)
    if len(network.nodes) <= _MOST_BOXES and len(columns) <= _MOST_BOX_LAYERS and tallest <= _TALLEST:
        return _boxes(network, risk, untangled(columns, ways), ways, label, numerals)
    spots = at_places(network, _WIDTH - 80, _DOTS_HEIGHT - 60, 13.0) if len(network.nodes) <= _MOST_LANES else None
    if spots is not None:
        points = {at: (x + 40, y + 30) for at, (x, y) in enumerate(spots)}
        return _dots(network, risk, points, ways, 5.0, label, by_place=True)
    kept = set(_drawn(network, risk))
    columns = [column for column in ([at for at in column if at in kept] for column in columns) if column]
    if len(kept) <= _MOST_LANES:
        columns = untangled(columns, [way for way in ways if way[0] in kept and way[1] in kept])
    points, radius = _packed(columns, risk, keep_order=len(kept) <= _MOST_LANES)
    return _dots(network, risk, points, ways, radius, label, by_place=False)


def legend(risk: Risk, low: str, high: str, numerals: Numerals) -> Markup:
    """The scale of colours with its ends; `low` and `high` name them."""
    steps, width = 48, 220.0
    parts = [
        element(
            "rect",
            x=60 + width * step / steps,
            y=4,
            width=width / steps + 0.5,
            height=9,
            fill=shade((step + 0.5) / steps),
        )
        for step in range(steps)
    ]
    parts += [
        text(52, 12, low, class_="label", text_anchor="end"),
        text(68 + width, 12, high, class_="label"),
    ]
    for share in (0.0, 0.5, 1.0):
        value = numerals.amount(risk.highest * share**2)
        parts.append(text(60 + width * share, 26, value, class_="tick", text_anchor="middle"))
    return drawing(360.0, 30.0, f"{low}, {high}", *parts)


def _boxes(
    network: Network,
    risk: Risk,
    columns: Sequence[Sequence[int]],
    ways: Sequence[tuple[int, int]],
    label: str,
    numerals: Numerals,
) -> Map:
    pitch = (_WIDTH - 2 * _MARGIN) / len(columns)
    width = min(_MOST_BOX_WIDTH, pitch * 0.74)
    gap = (_WIDTH - 2 * _MARGIN - width * len(columns)) / max(1, len(columns) - 1)
    gap = min(gap, 1.4 * width)
    start = (_WIDTH - width * len(columns) - gap * (len(columns) - 1)) / 2
    row = _BOX_HEIGHT + _BOX_GAP
    height = max(len(column) for column in columns) * row + 2 * _MARGIN
    corner: dict[int, Point] = {}
    for number, column in enumerate(columns):
        top = (height - len(column) * row + _BOX_GAP) / 2
        for place, at in enumerate(column):
            corner[at] = (start + number * (width + gap), top + place * row)
    middle = _BOX_HEIGHT / 2
    parts = [
        _way(
            (corner[source][0] + width, corner[source][1] + middle), (corner[target][0], corner[target][1] + middle)
        )
        for source, target in ways
    ]
    for at, (x, y) in corner.items():
        node, value = network.nodes[at], float(risk.values[at])
        figure = numerals.amount(value) if math.isfinite(value) else ""
        room = width - 20 - 6.2 * len(figure)
        parts.append(
            element(
                "g",
                element("title", f"{node.name}: {figure}" if figure else node.name),
                element("rect", x=x, y=y, width=width, height=_BOX_HEIGHT, rx=4, class_="box"),
                element("rect", x=x, y=y, width=7, height=_BOX_HEIGHT, rx=2, fill=risk.colour(at)),
                text(x + 14, y + 15, shortened(node.product, width - 18, 12), class_="node"),
                text(x + 14, y + 29, shortened(node.site, room, 11), class_="site"),
                text(x + width - 7, y + 29, figure, class_="site figure", text_anchor="end"),
            )
        )
    picture = drawing(_WIDTH, height, label, *parts)
    return Map(
        picture=picture,
        named=(),
        drawn=len(corner),
        lanes=len(ways),
        all_lanes=len(ways),
        is_dots=False,
        by_place=False,
    )


def _dots(
    network: Network,
    risk: Risk,
    points: dict[int, Point],
    ways: Sequence[tuple[int, int]],
    radius: float,
    label: str,
    *,
    by_place: bool,
) -> Map:
    named = [at for at in risk.riskiest() if at in points]
    marked = set(named)
    every = [way for way in ways if way[0] in points and way[1] in points]
    touching = [way for way in every if way[0] in marked or way[1] in marked]
    wanted = every if len(every) <= _MOST_LANES else touching
    shown = wanted if len(wanted) <= _MOST_LANES else wanted[:: math.ceil(len(wanted) / _MOST_LANES)]
    parts = [
        _way(points[source], points[target], faint=len(shown) > _FAINT, straight=by_place)
        for source, target in shown
    ]
    for at, (x, y) in points.items():
        if at not in marked:
            title = element("title", network.nodes[at].name)
            parts.append(element("circle", title, cx=x, cy=y, r=radius, class_="spot", fill=risk.colour(at)))
    for number, at in reversed(list(enumerate(named, 1))):
        x, y = points[at]
        title = element("title", network.nodes[at].name)
        parts += [
            element("circle", title, cx=x, cy=y, r=_BADGE, class_="badge", fill=risk.colour(at)),
            text(x, y + 3.8, str(number), class_="badge-number", text_anchor="middle"),
        ]
    return Map(
        picture=drawing(_WIDTH, _DOTS_HEIGHT, label, *parts),
        named=tuple(named),
        drawn=len(points),
        lanes=len(shown),
        all_lanes=len(touching) if wanted is touching else len(every),
        is_dots=True,
        by_place=by_place,
    )


def _drawn(network: Network, risk: Risk) -> list[int]:
    """Nodes to draw: all, or where there are too many the riskiest."""
    if len(network.nodes) <= _MOST_DOTS:
        return list(range(len(network.nodes)))
    unknown_last = [-value if math.isfinite(value) else math.inf for value in risk.values]
    return sorted(range(len(network.nodes)), key=lambda at: unknown_last[at])[:_MOST_DOTS]


def _packed(columns: Sequence[Sequence[int]], risk: Risk, *, keep_order: bool) -> tuple[dict[int, Point], float]:
    """Dots packed into their layers, numbered ones with room for the number, and the radius of a dot."""
    marked = set(risk.riskiest())
    apart = _WIDEST_APART
    height = _DOTS_HEIGHT - 2 * _MARGIN - 2 * _BADGE
    while apart > _LEAST_APART and _total(columns, marked, apart, height) > _WIDTH - 2 * _MARGIN:
        apart *= 0.96
    widths = [_wide(column, marked, apart, height) for column in columns]
    gap = (_WIDTH - 2 * _MARGIN - sum(widths)) / max(1, len(columns) - 1)
    gap = max(0.0, min(gap, 160.0))
    left = (_WIDTH - sum(widths) - gap * (len(columns) - 1)) / 2
    points: dict[int, Point] = {}
    for column, width in zip(columns, widths, strict=True):
        points |= _placed(column, marked, risk, (left, width), apart, keep_order=keep_order)
        left += width + gap
    return points, 0.36 * apart if apart < 12 else 5.0  # noqa: PLR2004


def _placed(
    column: Sequence[int],
    marked: set[int],
    risk: Risk,
    across: tuple[float, float],
    apart: float,
    *,
    keep_order: bool,
) -> dict[int, Point]:
    top = [at for at in column if at in marked]
    top.sort(key=lambda at: -risk.values[at])
    rest = [at for at in column if at not in marked]
    if not keep_order:
        rest.sort(key=lambda at: -risk.values[at] if math.isfinite(risk.values[at]) else math.inf)
    left, width = across
    wide = max(1, int(width / apart + 1e-6))
    rows = math.ceil(len(rest) / wide)
    badge = 2 * _BADGE + 4
    wide_top = max(1, int(width / badge + 1e-6))
    tall = math.ceil(len(top) / wide_top) * badge
    middle, y = left + width / 2, (_DOTS_HEIGHT - tall - rows * apart) / 2
    return _grid(top, wide_top, badge, (middle, y)) | _grid(rest, wide, apart, (middle, y + tall))


def _grid(nodes: Sequence[int], wide: int, apart: float, top: Point) -> dict[int, Point]:
    """Rows of nodes, each centred below `top`."""
    points = {}
    for number, at in enumerate(nodes):
        row, place = divmod(number, wide)
        in_row = min(wide, len(nodes) - row * wide)
        points[at] = (top[0] + (place - (in_row - 1) / 2) * apart, top[1] + apart * (row + 0.5))
    return points


def _total(columns: Sequence[Sequence[int]], marked: set[int], apart: float, height: float) -> float:
    return sum(_wide(column, marked, apart, height) + _LEAST_GAP for column in columns)


def _wide(column: Sequence[int], marked: set[int], apart: float, height: float) -> float:
    top = sum(at in marked for at in column)
    rows = max(1, int((height - top * (2 * _BADGE + 3)) / apart))
    return max(2 * _BADGE if top else apart, math.ceil((len(column) - top) / rows) * apart)


def _way(start: Point, end: Point, *, faint: bool = False, straight: bool = False) -> Markup:
    if straight or abs(end[0] - start[0]) < 1:
        return line(start, end, class_="lane faint" if faint else "lane")
    bend = (end[0] - start[0]) / 2
    return element(
        "path",
        d=f"M{start[0]:.1f},{start[1]:.1f}C{start[0] + bend:.1f},{start[1]:.1f} {end[0] - bend:.1f},{end[1]:.1f}"
        f" {end[0]:.1f},{end[1]:.1f}",
        class_="lane faint" if faint else "lane",
    )
