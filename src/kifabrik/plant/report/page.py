"""The report as one HTML file: no network, no script, no font."""

import html
import io
from collections.abc import Callable
from importlib import resources
from typing import Any, Final

import jinja2
from markupsafe import Markup

from kifabrik.plant.report import charts
from kifabrik.plant.report.sankey import sankey
from kifabrik.plant.report.tables import balance_rows, closing, load_words, merit_rows, origins, place_rows
from kifabrik.plant.report.words import Language, Speaker
from kifabrik.plant.studies import Study

STYLE: Final[Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "kifabrik",
    "axes.edgecolor": "#6b7280",
}
Chart = Callable[[Any, Study, Speaker], None]
CHARTS: Final[dict[str, tuple[Chart, tuple[float, float]]]] = {
    "power": (charts.power, (6.4, 2.9)),
    "river": (charts.river, (6.4, 2.9)),
    "heat": (charts.heat, (6.4, 2.9)),
    "duration": (charts.duration, (6.4, 2.9)),
    "sankey": (sankey, (9.0, 3.2)),
}


def page(study: Study, language: Language) -> str:
    """The report's HTML.

    Args:
        study: What to show.
        language: Of the reader.
    """
    say = Speaker(language)
    summary = study.summary
    folder = resources.files("kifabrik.plant.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8")).render(
        say=say,
        language=language,
        css=Markup((folder / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
        name=study.site.name,
        year=study.site.year,
        gpus=say.number(study.site.fleet().gpus, 0),
        load=load_words(study.load, say),
        tiles=[
            ("PUE", say.number(summary.pue, 3)),
            ("ERF", say.with_unit(100 * summary.erf, 1, "%")),
            (say("electricity_used"), say.energy(summary.electricity)),
            (say("heat_delivered"), say.energy(summary.to_customers)),
            (say("limit_hours"), say.with_unit(summary.limit_hours, 0, "h")),
        ],
        balance=balance_rows(study, say),
        closing=closing(study, say),
        merit=merit_rows(study, say),
        place=place_rows(study, say),
        origins=origins(study, say),
        charts={name: Markup(svg(name, study, say)) for name in CHARTS},  # noqa: S704 - matplotlib escapes text
    )


def svg(name: str, study: Study, say: Speaker) -> str:
    """A chart as SVG."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    draw, size = CHARTS[name]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots(), study, say)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return labelled(text.getvalue(), say(f"{name}_chart"))


def labelled(drawing: str, label: str) -> str:
    """A drawing of matplotlib's as part of a page: without its head, as one picture with a name.

    Args:
        drawing: SVG.
        label: What is drawn, for whoever cannot see it.
    """
    svg_part = drawing[drawing.index("<svg") :]
    return svg_part.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)
