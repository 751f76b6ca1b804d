"""A picture of a sweep: one panel for each parameter, one dot for each task, the metric upwards. SVG by hand.

Written without a plotting library, so that the base install stays small: a few kilobytes of text, the same
results give the same bytes, and the colours follow the reader's light or dark page.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from kifabrik.customer.sweeps import TaskResult
from kifabrik.errors import UsageError
from kifabrik.jobs.matrix import Value, show_value

_MOST_PANELS: Final = 6
_ACROSS: Final = 3
_PANEL: Final = (300, 240)
"""Width and height of a panel with its labels, in pixels."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 16, 48
_HEAD: Final = 44
_LOG_SPREAD: Final = 50
"""Positive numbers that spread further than so many times stand on a logarithmic axis."""
_MOST_TICKS: Final = 6
_MOST_LABEL: Final = 12
_STYLE: Final = """
    .page { fill: #ffffff } text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #374151 }
    .title { font-size: 15px; font-weight: 600; fill: #111827 } .axis { stroke: #9ca3af } .grid { stroke: #e5e7eb }
    .task { fill: #0f766e; fill-opacity: .55 } .best { fill: #c2410c; stroke: #ffffff; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } text { fill: #d1d5db } .title { fill: #f3f4f6 }
      .axis { stroke: #6b7280 } .grid { stroke: #1f2937 } .task { fill: #2dd4bf }
      .best { fill: #fb923c; stroke: #0d1117 }
    }
"""


def plot(results: Sequence[TaskResult], metric: str, title: str, *, lowest: bool = False) -> str:
    """Return the picture as the text of an SVG file.

    Raises:
        UsageError: No task has the metric.
    """
    shown = [one for one in results if metric in one.metrics]
    if not shown:
        raise UsageError(f"no task has a metric {metric!r}, so there is nothing to draw")
    names = _drawn(shown)
    across = min(_ACROSS, len(names))
    width, height = _PANEL[0] * across, _HEAD + _PANEL[1] * -(-len(names) // across)
    values = [one.metrics[metric] for one in shown]
    winner = (min if lowest else max)(shown, key=lambda one: one.metrics[metric])
    panels = [
        _panel(
            shown,
            name,
            metric,
            winner,
            _Axis(values),
            (_PANEL[0] * (place % across), _HEAD + _PANEL[1] * (place // across)),
        )
        for place, name in enumerate(names)
    ]
    told = ", ".join(f"{name} {show_value(winner.point[name])}" for name in winner.point)
    best = f"best: {_number(winner.metrics[metric])} at {told} (task {winner.number} of {len(results)})"
    size, said = f'width="{width}" height="{height}" role="img"', escape(f"{title}: {metric}; {best}")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} aria-label="{said}">',
            f"  <style>{_STYLE}  </style>",
            f'  <rect class="page" width="{width}" height="{height}"/>',
            f'  <text class="title" x="14" y="20">{escape(f"{title}: {metric}")}</text>',
            f'  <text x="14" y="37">{escape(best)}</text>',
            *panels,
            "</svg>\n",
        ]
    )


class _Axis:
    """Places values between 0 and 1: numbers by size, or by their logarithm; anything else in order.

    Args:
        values: All that are to be placed.
    """

    def __init__(self, values: Sequence[Value]) -> None:
        numbers = [float(one) for one in values if _is_number(one)]
        self._in_order: list[str] = []
        self._log = False
        if len(numbers) < len(values):
            self._in_order = list(dict.fromkeys(show_value(one) for one in values))
            return
        low, high = min(numbers), max(numbers)
        self._log = low > 0 and high / low > _LOG_SPREAD
        pad = (self._scaled(high) - self._scaled(low)) * 0.06 or abs(self._scaled(low)) * 0.05 or 1.0
        self._low, self._high = self._scaled(low) - pad, self._scaled(high) + pad
        self._known = sorted(set(numbers))

    def place(self, value: Value) -> float:
        """Where a value stands."""
        if self._in_order:
            return (self._in_order.index(show_value(value)) + 0.5) / len(self._in_order)
        return (self._scaled(float(value)) - self._low) / (self._high - self._low)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and labels: of the values themselves where they are few, else of even steps."""
        if self._in_order:
            step = -(-len(self._in_order) // _MOST_TICKS)
            return [(self.place(one), _short(one)) for one in self._in_order[::step]]
        if len(self._known) <= _MOST_TICKS:
            return [(self.place(one), _number(one)) for one in self._known]
        steps = _round_steps(self._low, self._high)
        values = [10**one if self._log else one for one in steps]
        return [(self.place(one), _number(one)) for one in values]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._log else value


def _round_steps(low: float, high: float) -> list[float]:
    """Return numbers of few digits from `low` to `high`: whole steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, last + 1)]


def _panel(
    shown: Sequence[TaskResult], name: str, metric: str, winner: TaskResult, upwards: _Axis, corner: tuple[int, int]
) -> str:
    across = _Axis([one.point[name] for one in shown])
    wide, high = _PANEL[0] - _LEFT - _RIGHT, _PANEL[1] - _TOP - _BOTTOM

    def at(one: TaskResult) -> tuple[float, float]:
        x, y = across.place(one.point[name]), upwards.place(one.metrics[metric])
        return _LEFT + wide * x, _TOP + high * (1 - y)

    parts = [f'  <g transform="translate({corner[0]} {corner[1]})">']
    for place, label in upwards.ticks():
        y = _TOP + high * (1 - place)
        parts.append(f'    <line class="grid" x1="{_LEFT}" x2="{_LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'    <text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for place, label in across.ticks():
        x = _LEFT + wide * place
        parts.append(f'    <text x="{x:.1f}" y="{_TOP + high + 16}" text-anchor="middle">{escape(label)}</text>')
    parts.append(f'    <path class="axis" fill="none" d="M{_LEFT} {_TOP}V{_TOP + high}H{_LEFT + wide}"/>')
    parts.append(
        f'    <text x="{_LEFT + wide / 2:.0f}" y="{_TOP + high + 36}" text-anchor="middle">{escape(name)}</text>'
    )
    for one in sorted(shown, key=lambda one: one is winner):
        x, y = at(one)
        kind, radius = ("best", 6) if one is winner else ("task", 4)
        parts.append(f'    <circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>')
    return "\n".join([*parts, "  </g>"])


def _drawn(shown: Sequence[TaskResult]) -> list[str]:
    """Names of the parameters that are drawn: those that vary, or the first if none does."""
    names = list(shown[0].point)
    vary = [name for name in names if len({show_value(one.point[name]) for one in shown}) > 1]
    return (vary or names[:1])[:_MOST_PANELS]


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_LABEL else f"{text[: _MOST_LABEL - 1]}…"
