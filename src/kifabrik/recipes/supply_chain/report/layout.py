"""Where nodes stand in a drawing: in layers from left to right, or at their places."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from kifabrik.recipes.supply_chain.network import Network

Point = tuple[float, float]
_SWEEPS: Final = 12
_GOLDEN_ANGLE: Final = math.pi * (3 - math.sqrt(5))
_LONGITUDE, _LATITUDE = 180.0, 90.0


def layers(network: Network, most: int) -> list[list[int]]:
    """Nodes by layer: each to the right of what supplies it, and as near as can be to what it supplies.

    Args:
        network: Its lanes lead from layer to layer; those from outside suppliers do not count.
        most: Where the longest chain has more layers, neighbouring ones are drawn as one.

    Returns:
        Places of nodes in `network.nodes`, by layer; no layer is empty.
    """
    places = {node.name: at for at, node in enumerate(network.nodes)}
    after: list[list[int]] = [[] for _ in places]
    for lane in network.lanes:
        if lane.source:
            after[places[lane.source]].append(places[lane.target])
    order = [places[name] for name in network.in_order()]
    depth = [0] * len(places)
    for at in order:
        for target in after[at]:
            depth[target] = max(depth[target], depth[at] + 1)
    for at in reversed(order):
        if after[at]:
            depth[at] = min(depth[target] for target in after[at]) - 1
    deepest = max(depth) + 1
    drawn = min(most, deepest)
    columns: list[list[int]] = [[] for _ in range(drawn)]
    for at, level in enumerate(depth):
        columns[level * drawn // deepest].append(at)
    return [column for column in columns if column]


def untangled(columns: Sequence[Sequence[int]], ways: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The same layers, each in an order in which fewer lanes cross (barycentres, Sugiyama et al. 1981)."""
    beside: dict[int, list[int]] = {}
    for source, target in ways:
        beside.setdefault(source, []).append(target)
        beside.setdefault(target, []).append(source)
    result = [list(column) for column in columns]
    height = {
        at: (row + 0.5) / len(column)
        for column in result
        for row, column_at in enumerate(column)
        for at in [column_at]
    }
    for sweep in range(_SWEEPS):
        for column in result if sweep % 2 == 0 else reversed(result):
            wanted = {at: float(np.mean([height[other] for other in beside.get(at, [at])])) for at in column}
            column.sort(key=lambda at: (wanted[at], at))
            height |= {at: (row + 0.5) / len(column) for row, at in enumerate(column)}
    return result


def at_places(network: Network, width: float, height: float, apart: float) -> list[Point] | None:
    """Where nodes stand by their `place`; several at one place go round it, `apart` from each other.

    Longitudes and latitudes (small, and not all whole and positive) keep their proportions with north on top;
    other coordinates fill the drawing, downwards.

    Returns:
        A point for each node; None if a node has no place, or all have the same.
    """
    known = [node.place for node in network.nodes if node.place is not None]
    if len(known) < len(network.nodes) or len(set(known)) < 2:  # noqa: PLR2004
        return None
    spots = np.asarray(known, dtype=np.float64)
    if not np.isfinite(spots).all():
        return None
    if (np.abs(spots) <= (_LONGITUDE, _LATITUDE)).all() and (spots < 0).any() | (spots % 1 != 0).any():
        middle = math.radians(float(spots[:, 1].mean()))
        spots = spots * (max(0.2, math.cos(middle)), -1.0)
        size = np.full(2, max(float(np.ptp(spots[:, 0])) / width, float(np.ptp(spots[:, 1])) / height))
    else:
        size = np.ptp(spots, axis=0) / (width, height)
    centre = (spots.max(axis=0) + spots.min(axis=0)) / 2
    drawn = (spots - centre) / np.where(size > 0, size, 1.0) + (width / 2, height / 2)
    seen: dict[Point, int] = {}
    points = []
    for place, (x, y) in zip(known, drawn, strict=True):
        number = seen[place] = seen.get(place, -1) + 1
        reach, angle = apart * math.sqrt(number), number * _GOLDEN_ANGLE
        points.append((float(x) + reach * math.cos(angle), float(y) + reach * math.sin(angle)))
    return points
