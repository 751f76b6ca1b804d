"""Drawings as SVG, made here: no script, no style attribute, so that a strict policy lets them be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

_WIDTH: Final = 1000
_HEIGHT: Final = 34
_COURSE_WIDTH: Final = 180
_LEAST: Final = 2.5
"""So wide is a step at least that took no time to speak of."""


@dataclass(frozen=True)
class Segment:
    """A step on the way of a run.

    Args:
        title: In words, for whoever points at it.
        kind: `waits`, `goes` or `made`: what it is drawn like.
        seconds: How long it took.
    """

    title: str
    kind: str
    seconds: float


def way(segments: Sequence[Segment], label: str) -> Markup:
    """Steps beside each other, each as wide as it took long."""
    if not segments:
        return Markup()
    total = sum(one.seconds for one in segments) or 1.0
    widths = [max(one.seconds / total * _WIDTH, _LEAST) for one in segments]
    scale = _WIDTH / sum(widths)
    drawn, at = [], 0.0
    for one, width in zip(segments, widths, strict=True):
        drawn.append(
            Markup(
                '<rect class="step-{}" x="{:.1f}" y="0" width="{:.1f}" height="{}"><title>{}</title></rect>'
            ).format(one.kind, at, max(width * scale - 1, 1.0), _HEIGHT, one.title)
        )
        at += width * scale
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" height="{}" role="img" aria-label="{}">'
        "{}</svg>"
    ).format(_WIDTH, _HEIGHT, _HEIGHT, label, Markup().join(drawn))


def portion(used: float, whole: float, label: str, *, apart: float = 0.0, mark: float | None = None) -> Markup:
    """A bar of what is used of a whole.

    Args:
        used: Of the whole.
        whole: All of it.
        label: What it says, in words.
        apart: Of the whole, what is out of service; drawn at the end.
        mark: A share of the whole to mark, 0 to 1.
    """
    share = min(max(used / whole, 0.0), 1.0) if whole > 0 else 0.0
    out = min(max(apart / whole, 0.0), 1.0) if whole > 0 else 0.0
    at = (
        Markup("")
        if mark is None
        else Markup('<rect class="due" x="{:.1f}" y="0" width="3" height="12"/>').format(
            min(max(mark, 0.0), 1.0) * 257
        )
    )
    return Markup(
        '<svg class="bar-of" viewBox="0 0 260 12" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" x="0" y="2" width="260" height="8"/>'
        '<rect class="part" x="0" y="2" width="{:.1f}" height="8"/>'
        '<rect class="drain" x="{:.1f}" y="2" width="{:.1f}" height="8"/>{}</svg>'
    ).format(label, 260 * share, 260 * (1 - out), 260 * out, at)


def course(values: Sequence[float], label: str) -> Markup:
    """A line of values, from the lowest to the highest of them."""
    if len(values) < 2:  # noqa: PLR2004 - a line has two ends
        return Markup()
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = _COURSE_WIDTH / (len(values) - 1)
    points = " ".join(f"{at * step:.1f},{22 - 20 * (one - low) / span:.1f}" for at, one in enumerate(values))
    return Markup(
        '<svg class="course" viewBox="0 0 {} 24" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polyline points="{}"/></svg>'
    ).format(_COURSE_WIDTH, label, points)
