"""Small multiples of a comparison: a row for each case with the same scales, and a table, as one HTML file."""

import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from kifabrik.durable import make_folder, write_whole
from kifabrik.plant.comparing import Case
from kifabrik.plant.report.page import CHARTS, STYLE, labelled
from kifabrik.plant.report.tables import source_words
from kifabrik.plant.report.words import Language, Speaker

_HEADS: Final[dict[str, tuple[str, str]]] = {
    "case": ("Fall", "Case"),
    "it": ("IT, GWh", "IT, GWh"),
    "pue": ("PUE", "PUE"),
    "erf": ("ERF, %", "ERF, %"),
    "warming": ("Erwärmung höchstens, K", "Warming at most, K"),
    "limit": ("an der Grenze, h", "at the limit, h"),
    "cut": ("begrenzt, MWh", "cut, MWh"),
    "heat": ("Wärme geliefert, GWh", "heat delivered, GWh"),
    "cost": ("Strom, Mio. €", "electricity, M €"),
    "use": ("GPU-Nutzung, %", "GPU use, %"),
    "wait": ("Warten, Mittel, h", "waiting, mean, h"),
}
_KEYS: Final = {
    "river.year": "river_year",
    "it.gpus": "so_many_gpus",
    "policy": "policy",
    "river.flow": "river_flow",
}
_LEGEND: Final = 0.1
"""Inches above the first row."""
_TITLE: Final = ("Vergleich", "Comparison")


def write_comparison(cases: Sequence[Case], folder: Path, language: Language) -> Path:
    """Write a comparison as `comparison-LANGUAGE.html`.

    Args:
        cases: One or more.
        folder: Where; it is made if it is not there.
        language: Of the reader.
    """
    say = Speaker(language)
    english = language == "en"
    queued = any(case.queue for case in cases)
    keys = [key for key in _HEADS if queued or key not in {"use", "wait"}]
    files = resources.files("kifabrik.plant.report")
    template, css = ((files / name).read_text(encoding="utf-8") for name in ("multiples.html.j2", "page.css"))
    text = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(template).render(
        language=language,
        title=_TITLE[english],
        name=cases[0].study.site.name,
        css=Markup(css),  # noqa: S704 - our own
        heads=[_HEADS[key][english] for key in keys],
        rows=[_row(case, say, keys) for case in cases],
        figure=Markup(_panels(cases, say)),  # noqa: S704 - matplotlib escapes text
        origins=sorted({_origin(case, say) for case in cases}),
    )  # fmt: skip
    make_folder(folder)
    path = folder / f"comparison-{language}.html"
    write_whole(path, text.encode(), mode=0o644)
    return path


def case_words(case: Case, say: Speaker) -> str:
    """A case by what was varied; keys of a site file that have no word of their own stay as they are."""
    told = []
    for key, value in case.values.items():
        number = say.number(value, 0) if key == "it.gpus" else str(value)
        told.append(say(_KEYS[key], value=number) if key in _KEYS else f"{key} {value}")
    return ", ".join(told) or say("as_it_is")


def _origin(case: Case, say: Speaker) -> str:
    river, weather = (source_words(one, say) for one in (case.study.river_source, case.study.weather_source))
    return say("from_tables", river=river, weather=weather)


def _row(case: Case, say: Speaker, keys: Sequence[str]) -> list[str]:
    summary, queue = case.study.summary, case.queue
    values = {
        "case": case_words(case, say),
        "it": say.number(summary.it / 1e6, 1),
        "pue": say.number(summary.pue, 3),
        "erf": say.number(100 * summary.erf, 1),
        "warming": say.number(summary.river_warming_most, 2),
        "limit": say.number(summary.limit_hours, 0),
        "cut": say.number(summary.curtailed / 1000, 0),
        "heat": say.number(summary.to_customers / 1e6, 2),
        "cost": say.number(summary.cost / 1e6, 2),
        "use": say.number(100 * queue.gpu_use, 1) if queue else "-",
        "wait": say.number(queue.waiting_mean / 3600, 1) if queue else "-",
    }
    return [values[key] for key in keys]


def _panels(cases: Sequence[Case], say: Speaker) -> str:
    """A row of power, river and heat for each case; columns share their scales."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    height = 1.7 * len(cases) + _LEGEND
    with mpl.rc_context({**STYLE, "font.size": 7}):
        below_legend = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - _LEGEND / height))
        figure = Figure(figsize=(10.5, height), layout=below_legend)
        grid: Any = figure.subplots(len(cases), 3, sharex="col", sharey="col", squeeze=False)
        for number, (row, case) in enumerate(zip(grid, cases, strict=True)):
            for axes, name in zip(row, ("power", "river", "heat"), strict=True):
                CHARTS[name][0](axes, case.study, say)
                axes.get_legend().set_in_layout(False)  # a long one would push the columns apart
                if number:
                    axes.get_legend().remove()
                else:
                    axes.set_title(say(f"{name}_chart"), loc="left", pad=15, fontsize=7.5, weight="bold")
            row[0].text(0.01, 0.06, case_words(case, say), transform=row[0].transAxes, weight="bold", color="white")
        share_scales(grid)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return labelled(text.getvalue(), ", ".join(say(f"{name}_chart") for name in ("power", "river", "heat")))


def share_scales(grid: Any) -> None:
    """Give each column of drawn axes the scale of its highest; a chart alone would keep that of the first row.

    Args:
        grid: Axes whose columns share their y; shape (rows, columns).
    """
    for column in grid.T:
        column[0].set_ylim(0, 1.05 * max(axes.dataLim.y1 for axes in column))
