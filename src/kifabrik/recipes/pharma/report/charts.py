"""Charts of a model, as SVG: the same figures give the same bytes."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics

_INK, _SOFT, _HAIR, _DEEP, _RISK = "#1c2630", "#5b6873", "#e2e6ea", "#1f5a7a", "#a9262e"
_SIZE: Final = (5.2, 3.6)
_BINS: Final = 10
_STYLE: Final[Any] = {
    "svg.hashsalt": "kifabrik",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "axes.grid": True,
    "grid.color": _HAIR,
    "legend.frameon": False,
}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """Test compounds as they are drawn.

    Attributes:
        true: Measured.
        predicted: Predicted.
        low: Lower ends of intervals; NaN for classes.
        high: Upper ends.
        similarity: To the nearest training compound.
        in_domain: Whether the model may be trusted with them.
    """

    true: Floats
    predicted: Floats
    low: Floats
    high: Floats
    similarity: Floats
    in_domain: NDArray[np.bool_]


def parity(points: Points, unit: str) -> Markup:
    """Predicted against measured numbers, with intervals."""
    with _chart(f"measured{unit}", f"predicted{unit}") as (axes, drawn):
        reach = np.abs(np.array([points.predicted - points.low, points.high - points.predicted]))
        axes.errorbar(
            points.true, points.predicted, yerr=reach, fmt="none", ecolor=_DEEP, alpha=0.12, linewidth=0.8
        )
        for inside, colour, label in ((True, _DEEP, "in the domain"), (False, _RISK, "outside")):
            at = points.in_domain == inside
            axes.scatter(points.true[at], points.predicted[at], s=9, c=colour, alpha=0.7, label=label, linewidths=0)
        ends = [float(points.true.min()), float(points.true.max())]
        axes.plot(ends, ends, color=_INK, linewidth=1)
        axes.legend()
    return drawn()


def curves(points: Points) -> tuple[Markup, Markup]:
    """ROC curve, and precision against recall."""
    wrong, right, _ = metrics.roc_curve(points.true, points.predicted)
    with _chart("false positive rate", "true positive rate") as (axes, roc):
        axes.plot(wrong, right, color=_DEEP, linewidth=1.8)
        axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle=":")
    precision, recall, _ = metrics.precision_recall_curve(points.true, points.predicted)
    with _chart("recall", "precision") as (axes, pr):
        axes.plot(recall, precision, color=_DEEP, linewidth=1.8)
        axes.axhline(float(points.true.mean()), color=_SOFT, linewidth=1, linestyle=":")
        axes.set_ylim(0, 1.02)
    return roc(), pr()


def reliability(points: Points) -> Markup:
    """Share of class 1 among compounds of some predicted probability."""
    order = np.argsort(points.predicted, kind="stable")
    groups = [group for group in np.array_split(order, _BINS) if len(group)]
    with _chart("predicted probability", "share that is of class 1") as (axes, drawn):
        axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle=":")
        x = [points.predicted[group].mean() for group in groups]
        y = np.array([points.true[group].mean() for group in groups])
        size = np.array([len(group) for group in groups])
        axes.errorbar(
            x, y, yerr=1.96 * np.sqrt(y * (1 - y) / size), fmt="o-", color=_DEEP, markersize=4, linewidth=1
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
    return drawn()


def by_similarity(bins: Sequence[dict[str, Any]], error: str, level: float | None) -> Markup:
    """Error, and where there are intervals their coverage, by similarity."""
    names = [f"{one['low']:.1f}-{one['high']:.1f}\n({one['count']})" for one in bins]
    with _chart("similarity to the nearest training compound (test compounds)", error) as (axes, drawn):
        axes.bar(names, [one["error"] for one in bins], color=_DEEP, width=0.6)
        axes.grid(visible=False, axis="x")
        if level is not None:
            other = axes.twinx()
            other.spines["right"].set_visible(True)
            other.grid(visible=False)
            other.plot(names, [one["covered"] for one in bins], "o-", color=_RISK, markersize=4, linewidth=1)
            other.axhline(level, color=_RISK, linewidth=1, linestyle=":")
            other.set_ylim(0, 1.05)
            other.set_ylabel("covered by the interval", color=_RISK)
    return drawn()


def learning(steps: Sequence[dict[str, Any]], name: str) -> Markup:
    """A measure on the test data against the number of training compounds."""
    with _chart("training compounds", name) as (axes, drawn):
        axes.plot(
            [one["compounds"] for one in steps], [one["value"] for one in steps], "o-", color=_DEEP, markersize=4
        )
        axes.set_xlim(left=0)
    return drawn()


def shares(found: Sequence[tuple[str, float]]) -> Markup:
    """Horizontal bars of shares, the largest on top."""
    with _chart("share", "") as (axes, drawn):
        axes.barh([name for name, _ in found][::-1], [share for _, share in found][::-1], color=_DEEP, height=0.6)
        axes.grid(visible=False, axis="y")
    return drawn()


@contextmanager
def _chart(x_label: str, y_label: str) -> Iterator[tuple[Axes, Callable[[], Markup]]]:
    """Axes to draw on, and what gives the drawing afterwards."""
    with rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        text = io.StringIO()
        yield axes, lambda: Markup(text.getvalue()[text.getvalue().index("<svg") :])  # noqa: S704 - matplotlib escapes
        figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
