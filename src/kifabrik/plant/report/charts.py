"""Charts of a year, each drawn into axes of matplotlib; colour-blind people tell the colours apart (Okabe-Ito)."""

from typing import Any, Final

import numpy as np

from kifabrik.plant.load import Floats
from kifabrik.plant.report.words import Speaker
from kifabrik.plant.studies import Study

BLUE, ORANGE, GREEN, RED, GREY, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#6b7280", "#56b4e9"
_MW: Final = 1e6


def daily(values: Floats) -> Floats:
    """Means by the day of hourly values; shape (days,)."""
    return np.asarray(values.reshape(-1, 24).mean(axis=1), dtype=np.float64)


def power(axes: Any, study: Study, say: Speaker) -> None:
    """Power over the year, stacked: nodes, what serves them, upgrade of heat."""
    hourly = study.hourly
    nodes, total = daily(hourly["it"]) / _MW, daily(hourly["electricity"]) / _MW
    upgrade = daily(hourly["heat_pump"] + hourly["network_pump"]) / _MW
    axes.stackplot(
        np.arange(len(nodes)),
        nodes,
        total - nodes - upgrade,
        upgrade,
        colors=(BLUE, GREY, ORANGE),
        labels=(say("it"), say("other_short"), say("upgrade_short")),
        linewidth=0,
    )
    _finish(axes, say, len(nodes), "MW", 0)


def river(axes: Any, study: Study, say: Speaker) -> None:
    """The river alone and mixed, against the limit."""
    hourly = study.hourly
    days = np.arange(len(hourly["river"])) / 24
    axes.plot(days, hourly["limit"], color=RED, linewidth=1.6, label=say("limit"), drawstyle="steps-post")
    axes.plot(days, hourly["river_mixed"], color=ORANGE, linewidth=0.7, label=say("mixed"))
    axes.plot(days, hourly["river"], color=BLUE, linewidth=0.7, label=say("alone"))
    _finish(axes, say, len(days) // 24, "°C", 0)


def heat(axes: Any, study: Study, say: Speaker) -> None:
    """Heat that customers wanted and what gave it."""
    hourly = study.hourly
    plant, backup = daily(hourly["to_customers"]) / _MW, daily(hourly["backup"]) / _MW
    days = np.arange(len(plant))
    labels = (say("plant"), say("backup"))
    axes.stackplot(days, plant, backup, colors=(GREEN, RED), labels=labels, linewidth=0, alpha=0.75)
    axes.plot(days, daily(hourly["demand"]) / _MW, color="black", linewidth=0.8, label=say("wanted"))
    _finish(axes, say, len(days), "MW", 0)


def duration(axes: Any, study: Study, say: Speaker) -> None:
    """Hours of the year by falling power: all electricity, nodes, heat wanted."""
    hourly = study.hourly
    for name, colour, words in (
        ("electricity", GREY, say("total")),
        ("it", BLUE, say("it")),
        ("demand", GREEN, say("wanted")),
    ):
        values = np.sort(hourly[name])[::-1] / _MW
        axes.plot(np.arange(len(values)), values, color=colour, linewidth=1.2, label=words)
    axes.set_xlim(0, len(hourly["it"]))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(say("hours"))
    axes.set_ylabel("MW")
    _legend(axes, say)


def _finish(axes: Any, say: Speaker, days: int, unit: str, bottom: float) -> None:
    starts = np.cumsum([0, 31, 28 + (days > 365), 31, 30, 31, 30, 31, 31, 30, 31, 30])  # noqa: PLR2004 - leap year
    axes.set_xticks(starts + 15, say("months").split())
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(0, days)
    axes.set_ylim(bottom=bottom)
    axes.set_ylabel(unit)
    _legend(axes, say)


def _legend(axes: Any, say: Speaker) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: say.plain(value))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(
        frameon=False,
        fontsize="small",
        ncols=3,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        borderaxespad=0.1,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=1.0,
    )
