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
from matplotlib.ticker import ScalarFormatter
from numpy.typing import NDArray
from sklearn import metrics

from kifabrik.recipes.pharma.words import Words

_INK, _SOFT, _HAIR, _DEEP, _RISK = "#1c2630", "#5b6873", "#e2e6ea", "#1f5a7a", "#a9262e"
_SIZE: Final = (5.2, 3.6)
_BINS: Final = 10
_WINDOW: Final = 25
"""Compounds of the running median on each side."""
_DRAWS: Final = 200
_GRID: Final = 101
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


class _Comma(ScalarFormatter):
    """Decimals after a comma, as German writes them."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return super().__call__(x, pos).replace(".", ",")


class Charts:
    """Draws charts with the words of one language.

    Args:
        words: Of the reader.
    """

    def __init__(self, words: Words) -> None:
        self._words = words

    def parity(self, points: Points, unit: str) -> Markup:
        """Predicted against measured numbers, with intervals."""
        words = self._words
        labels = words("axis_measured", unit=unit), words("axis_predicted", unit=unit)
        with self._chart(*labels) as (axes, drawn):
            reach = np.abs(np.array([points.predicted - points.low, points.high - points.predicted]))
            axes.errorbar(
                points.true, points.predicted, yerr=reach, fmt="none", ecolor=_DEEP, alpha=0.12, linewidth=0.8
            )
            self._dots(axes, points, points.true, points.predicted)
            ends = [float(points.true.min()), float(points.true.max())]
            axes.plot(ends, ends, color=_INK, linewidth=1)
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
        return drawn()

    def curves(self, points: Points) -> tuple[Markup, Markup]:
        """ROC curve with its bootstrap band, and precision against recall."""
        words = self._words
        wrong, right, _ = metrics.roc_curve(points.true, points.predicted)
        low, high = _roc_band(points)
        with self._chart(words("axis_false"), words("axis_true")) as (axes, roc):
            axes.fill_between(np.linspace(0, 1, _GRID), low, high, color=_DEEP, alpha=0.15, linewidth=0)
            axes.plot(wrong, right, color=_DEEP, linewidth=1.8)
            axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle=":")
        precision, recall, _ = metrics.precision_recall_curve(points.true, points.predicted)
        with self._chart(words("axis_recall"), words("axis_precision")) as (axes, pr):
            axes.plot(recall, precision, color=_DEEP, linewidth=1.8)
            axes.axhline(float(points.true.mean()), color=_SOFT, linewidth=1, linestyle=":")
            axes.set_ylim(0, 1.02)
        return roc(), pr()

    def reliability(self, points: Points) -> Markup:
        """Share of class 1 among compounds of some predicted probability."""
        order = np.argsort(points.predicted, kind="stable")
        groups = [group for group in np.array_split(order, _BINS) if len(group)]
        labels = self._words("axis_probability"), self._words("axis_share_one")
        with self._chart(*labels) as (axes, drawn):
            axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle=":")
            x = [points.predicted[group].mean() for group in groups]
            y = np.array([points.true[group].mean() for group in groups])
            size = np.array([len(group) for group in groups])
            reach = 1.96 * np.sqrt(y * (1 - y) / size)
            axes.errorbar(x, y, yerr=reach, fmt="o-", color=_DEEP, markersize=4, linewidth=1)
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
        return drawn()

    def by_similarity(self, bins: Sequence[dict[str, Any]], error: str, level: float | None) -> Markup:
        """Error, and where there are intervals their coverage, by similarity."""
        words = self._words
        names = [
            f"{words.figure(one['low'], 1)}\u2013{words.figure(one['high'], 1)}\n({one['count']})" for one in bins
        ]
        with self._chart(words("axis_bins"), error) as (axes, drawn):
            axes.bar(names, [one["error"] for one in bins], color=_DEEP, width=0.6)
            axes.grid(visible=False, axis="x")
            if level is not None:
                other = axes.twinx()
                other.spines["right"].set_visible(True)
                other.grid(visible=False)
                other.plot(names, [one["covered"] for one in bins], "o-", color=_RISK, markersize=4, linewidth=1)
                other.axhline(level, color=_RISK, linewidth=1, linestyle=":")
                other.set_ylim(0, 1.05)
                other.set_ylabel(words("axis_covered"), color=_RISK)
                self._write(other)
        return drawn()

    def scatter(self, points: Points, error: str, far: float) -> Markup:
        """The error of each test compound against its similarity, with a running median."""
        errors = np.abs(points.true - points.predicted)
        with self._chart(self._words("axis_similarity"), error) as (axes, drawn):
            self._dots(axes, points, points.similarity, errors)
            order = np.argsort(points.similarity, kind="stable")
            if len(order) > 2 * _WINDOW:
                middles = np.arange(_WINDOW, len(order) - _WINDOW)
                medians = [np.median(errors[order[at - _WINDOW : at + _WINDOW + 1]]) for at in middles]
                axes.plot(points.similarity[order[middles]], medians, color=_INK, linewidth=1.4)
            axes.axvline(far, color=_SOFT, linewidth=1, linestyle=":")
            axes.set_xlim(0, 1.02)
            axes.set_ylim(bottom=0)
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
        return drawn()

    def learning(self, steps: Sequence[dict[str, Any]], name: str) -> Markup:
        """A measure on the test data against the number of training compounds."""
        counts, values = [one["compounds"] for one in steps], [one["value"] for one in steps]
        with self._chart(self._words("axis_training"), name) as (axes, drawn):
            axes.plot(counts, values, "o-", color=_DEEP, markersize=4)
            axes.set_xlim(left=0)
        return drawn()

    def shares(self, found: Sequence[tuple[str, float]]) -> Markup:
        """Horizontal bars of shares, the largest on top."""
        names, widths = [name for name, _ in found][::-1], [share for _, share in found][::-1]
        with self._chart(self._words("axis_share"), "") as (axes, drawn):
            axes.barh(names, widths, color=_DEEP, height=0.6)
            axes.grid(visible=False, axis="y")
        return drawn()

    def _dots(self, axes: Axes, points: Points, x: Floats, y: Floats) -> None:
        """A dot a compound; those outside the domain in another colour."""
        for inside, colour, label in ((True, _DEEP, "axis_inside"), (False, _RISK, "axis_outside")):
            at = points.in_domain == inside
            axes.scatter(x[at], y[at], s=9, c=colour, alpha=0.7, label=self._words(label), linewidths=0)

    def _write(self, axes: Axes) -> None:
        """Let an axis with numbers write them as the language does."""
        if self._words.language == "de":
            for axis in (axes.xaxis, axes.yaxis):
                if isinstance(axis.get_major_formatter(), ScalarFormatter):
                    axis.set_major_formatter(_Comma())

    @contextmanager
    def _chart(self, x_label: str, y_label: str) -> Iterator[tuple[Axes, Callable[[], Markup]]]:
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
            self._write(axes)
            figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)


def _roc_band(points: Points) -> tuple[Floats, Floats]:
    """Between what ends 95 % of ROC curves of resampled compounds lie, on a grid of false positive rates."""
    luck = np.random.default_rng(1)
    grid = np.linspace(0, 1, _GRID)
    drawn: list[Floats] = []
    while len(drawn) < _DRAWS:
        at = luck.integers(0, len(points.true), len(points.true))
        if np.ptp(points.true[at]):
            wrong, right, _ = metrics.roc_curve(points.true[at], points.predicted[at])
            drawn.append(np.interp(grid, wrong, right))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return low, high
