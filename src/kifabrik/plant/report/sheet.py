"""The one-page PDF in German: figures of merit, balance, river and heat on a sheet of A4."""

import io
from typing import Any, Final

from kifabrik.plant.report import charts
from kifabrik.plant.report.page import STYLE
from kifabrik.plant.report.sankey import sankey
from kifabrik.plant.report.tables import balance_rows, closing, load_words, merit_rows, origins, place_rows
from kifabrik.plant.report.words import Speaker
from kifabrik.plant.studies import Study

_A4: Final = (8.27, 11.69)


def sheet(study: Study) -> bytes:
    """The PDF.

    Args:
        study: What to show.
    """
    import matplotlib as mpl  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    say = Speaker("de")
    with mpl.rc_context({**STYLE, "font.size": 7.5, "pdf.fonttype": 42}):
        figure = Figure(figsize=_A4)
        figure.text(0.07, 0.962, say("title"), color=charts.BLUE, fontsize=9, weight="bold")
        figure.text(0.07, 0.94, f"{study.site.name}, {study.site.year}", fontsize=16, weight="bold")
        gpus = say.number(study.site.fleet().gpus, 0)
        figure.text(0.07, 0.922, f"{gpus} {say('gpus')} · {say('load')}: {load_words(study.load, say)}", fontsize=8)
        _table(figure, say("key"), merit_rows(study, say), (0.07, 0.40), 0.895)
        _table(figure, say("river_and_heat"), place_rows(study, say), (0.54, 0.39), 0.895)
        balance = [row[:2] for row in balance_rows(study, say) if row[0]]
        _table(figure, f"{say('balance')}: {say('in')}", balance, (0.07, 0.40), 0.715)
        for box, draw, title in (
            ((0.07, 0.44, 0.86, 0.16), sankey, say("sankey_chart")),
            ((0.09, 0.25, 0.37, 0.125), charts.river, say("river_chart")),
            ((0.56, 0.25, 0.37, 0.125), charts.heat, say("heat_chart")),
            ((0.09, 0.075, 0.37, 0.115), charts.power, say("power_chart")),
            ((0.56, 0.075, 0.37, 0.115), charts.duration, say("duration_chart")),
        ):
            left = 0.07 if draw is sankey else box[0] - 0.02
            figure.text(left, box[1] + box[3] + 0.018, title, weight="bold")
            draw(figure.add_axes(box), study, say)
        last = " ".join([closing(study, say), say("wue_note"), *origins(study, say), say("assumptions")])
        figure.text(0.07, 0.012, _wrapped(last, 150), fontsize=5.5, color="#4b5563", va="bottom")
        written = io.BytesIO()
        title = f"{study.site.name} {study.site.year}"
        figure.savefig(written, format="pdf", metadata={"Title": title, "CreationDate": None})
    return written.getvalue()


def _table(figure: Any, title: str, rows: list[tuple[str, str]], place: tuple[float, float], top: float) -> None:
    left, width = place
    figure.text(left, top, title, weight="bold", fontsize=9)
    for number, (label, value) in enumerate(rows):
        y = top - 0.018 - number * 0.0148
        figure.text(left, y, label)
        figure.text(left + width, y, value, ha="right")


def _wrapped(text: str, width: int) -> str:
    import textwrap  # noqa: PLC0415

    return "\n".join(textwrap.wrap(text, width))
