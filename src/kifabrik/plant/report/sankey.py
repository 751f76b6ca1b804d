"""A Sankey diagram of a year's energy: electricity to what it does, and that to where its heat goes."""

from typing import Any, Final

from kifabrik.plant.report.charts import BLUE, GREEN, GREY, ORANGE, RED, SKY
from kifabrik.plant.report.words import Speaker
from kifabrik.plant.studies import Study

_GAP: Final = 0.04
_WIDTH: Final = 0.03
_SLOT: Final = 0.06
"""Room of a band at least, so that names do not lie on one another."""


def sankey(axes: Any, study: Study, say: Speaker) -> None:
    """Draw it; bands are as wide as their energies, and both sides have the same sum."""
    summary = study.summary
    upgrade = summary.upgrade
    other = summary.electricity - upgrade - summary.it
    left = [("it", summary.it, BLUE), ("other", other, GREY), ("upgrade", upgrade, ORANGE)]
    right = [
        ("to_river", summary.to_river, SKY),
        ("to_air", summary.to_air, GREY),
        ("to_customers", summary.to_customers, GREEN),
        ("to_ground", max(summary.to_ground + summary.to_store, 0.0), RED),
    ]
    total = max(summary.electricity, 1e-9)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.12, 1.0 + _GAP * 3 + 0.06)
    axes.axis("off")
    middle = [_GAP * 1.5, _GAP * 1.5 + 1.0]
    spot, top = 1.0 + _GAP * 2.5, middle[1]
    for name, value, colour in left:
        share = value / total
        _band(axes, (0.05, spot), (0.5, top), share, colour)
        _block(axes, 0.05 - _WIDTH, spot, share, colour)
        _label(axes, spot - share / 2, f"{say(name)} {say.number(value / 1e6, 1)}", "left")
        spot, top = spot - max(share, _SLOT) - _GAP, top - share
    spot, top = 1.0 + _GAP * 3, middle[1]
    for name, value, colour in right:
        share = value / total
        _band(axes, (0.5, top), (0.95, spot), share, colour)
        _block(axes, 0.95, spot, share, colour)
        _label(axes, spot - share / 2, f"{say(name)} {say.number(value / 1e6, 1)}", "right")
        spot, top = spot - max(share, _SLOT) - _GAP, top - share
    told = f"{say('in')} {say.number(total / 1e6, 1)}"
    axes.text(0.5, middle[1] + 0.02, told, ha="center", va="bottom", fontsize="small")


def _band(axes: Any, start: tuple[float, float], end: tuple[float, float], width: float, colour: str) -> None:
    from matplotlib.patches import PathPatch  # noqa: PLC0415 - slow to import
    from matplotlib.path import Path  # noqa: PLC0415

    (x0, y0), (x1, y1) = start, end
    bend = (x0 + x1) / 2
    points = [
        (x0, y0), (bend, y0), (bend, y1), (x1, y1), (x1, y1 - width), (bend, y1 - width), (bend, y0 - width),
        (x0, y0 - width), (x0, y0),
    ]  # fmt: skip
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    axes.add_patch(PathPatch(Path(points, codes), facecolor=colour, alpha=0.45, linewidth=0))


def _block(axes: Any, x: float, top: float, height: float, colour: str) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - slow to import

    axes.add_patch(Rectangle((x, top - height), _WIDTH, height, facecolor=colour, linewidth=0))


def _label(axes: Any, y: float, text: str, side: str) -> None:
    """Name a band on it; letters are higher than thin bands, so they get a white rim."""
    from matplotlib.patheffects import withStroke  # noqa: PLC0415 - slow to import

    place = 0.06 if side == "left" else 0.94
    rim = [withStroke(linewidth=2.5, foreground="white", alpha=0.85)]
    axes.text(place, y, text, ha=side, va="center", fontsize="small", path_effects=rim)
