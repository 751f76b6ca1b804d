"""Puts the report together: one HTML file that loads nothing from anywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from kifabrik.recipes.supply_chain.network import Disruption
from kifabrik.recipes.supply_chain.report import figures, findings
from kifabrik.recipes.supply_chain.report.charts import frontier_chart, spread
from kifabrik.recipes.supply_chain.report.courses import fan
from kifabrik.recipes.supply_chain.report.network_map import Map, legend, network_map
from kifabrik.recipes.supply_chain.report.numerals import Language, digits_of
from kifabrik.recipes.supply_chain.report.risk import Risk, risk_of
from kifabrik.recipes.supply_chain.report.svg import clean
from kifabrik.recipes.supply_chain.report.teller import Teller
from kifabrik.recipes.supply_chain.results import Results
from kifabrik.recipes.supply_chain.studies import (
    TODAY,
    CriticalNode,
    Frontier,
    FrontierPoint,
    OutageResult,
    by_target,
)

_MOST_FANS: Final = 8
_MOST_DATED: Final = 4
"""Dated disruptions named above the courses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fan:
    """A chart over time.

    Attributes:
        title: What is drawn.
        picture: The drawing; None if there is no figure.
    """

    title: str
    picture: Markup | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapView:
    """The map, and what is said about it.

    Attributes:
        picture: The drawing.
        legend: The scale of its colours; None if nothing differs.
        notes: Sentences below it.
        named: Names and figures of the numbered nodes.
    """

    picture: Markup
    legend: Markup | None
    notes: tuple[str, ...]
    named: tuple[tuple[str, str], ...]


def page(
    results: Results,
    language: Language,
    outages: Sequence[OutageResult],
    critical: Sequence[CriticalNode],
    frontier: Frontier | None,
) -> str:
    """The report as HTML; see `kifabrik.recipes.supply_chain.report.write_report`."""
    tell = Teller.of(results.network, language)
    fans = list(_fans(results, tell))
    uses, all_uses = figures.use_rows(results, tell)
    worst, all_worst = figures.worst_rows(results, tell)
    number = tell.numerals.number
    cost_axis = f"{tell.words('cost')}, {tell.currency}"
    shown = {
        "t": tell.words,
        "tell": tell,
        "language": language,
        "network": results.network,
        "summary": figures.summary(results, tell),
        "tiles": figures.tiles(results, tell),
        "facts": figures.facts(results, tell),
        "map": _map(results, risk_of(results, critical), tell),
        "fans": fans[:_MOST_FANS],
        "fans_left": number(len(fans) - _MOST_FANS) if len(fans) > _MOST_FANS else "",
        "traced": number(_traced(results)),
        "warm_up": results.settings.warm_up,
        "dated": _dated_names(results, tell),
        "costs": figures.cost_rows(results, tell),
        "spread": spread(
            results.scenarios["cost"],
            tell.words("costs_spread"),
            cost_axis,
            (tell.words("mean"), tell.words("p95")),
            tell.numerals,
        ),
        "critical": findings.critical_rows(critical, tell),
        "nodes": number(len(results.network.nodes)),
        "critical_length": tell.length(critical[0].periods if critical else 0, after_of=True),
        "outages": findings.outage_views(outages, tell),
        "frontier": _frontier(frontier, tell),
        "uses": uses,
        "uses_all": number(all_uses),
        "worst": worst,
        "worst_all": number(all_worst),
        "count": lambda rows: number(len(rows)),
    }
    return _environment().from_string(_text("page.html.j2")).render(shown, style=Markup(_text("page.css")))  # noqa: S704


def _environment() -> Environment:
    return Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_readable, trim_blocks=True, lstrip_blocks=True
    )


def _readable(value: Any) -> Any:
    """Take what cannot be read out of every text that is about to be escaped."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _text(name: str) -> str:
    return (files("kifabrik.recipes.supply_chain.report") / name).read_text(encoding="utf-8")


def _traced(results: Results) -> int:
    return max((course.shape[1] for course in results.courses.values()), default=0)


def _dated(results: Results) -> list[tuple[int, Disruption]]:
    """Disruptions with a date within the study, by it."""
    known = [(one.start, one) for one in results.network.disruptions if one.start is not None]
    return sorted((each for each in known if each[0] < results.settings.periods), key=lambda each: each[0])


def _dated_names(results: Results, tell: Teller) -> str:
    number = tell.numerals.number
    said = []
    for start, one in _dated(results):
        when = tell.words("recovery_when", start=number(start), end=number(start + one.duration))
        said.append(f"{one.name} ({tell.period} {when})")
    return ", ".join(dict.fromkeys(said[:_MOST_DATED])) + (", …" if len(said) > _MOST_DATED else "")


def _fans(results: Results, tell: Teller) -> Iterator[Fan]:
    if not _traced(results):
        return
    spans = [(start, start + disruption.duration) for start, disruption in _dated(results)]
    for name, course in results.courses.items():
        watched = next((node for node in ("on_hand", "backlog") if name.startswith(f"{node} ")), "")
        if watched:
            key = "fan_on_hand" if watched == "on_hand" else "fan_node_backlog"
            title = tell.words(key, name=name.removeprefix(f"{watched} "))
        elif name in {"stock_value", "backlog", "beta", "demand"}:
            title = tell.words(f"fan_{name}", currency=tell.currency, period=tell.period)
        else:
            title = name
        picture = fan(
            course,
            title,
            tell.period,
            tell.numerals,
            warm_up=results.settings.warm_up,
            is_share=name == "beta",
            shaded=spans,
        )
        yield Fan(title=title, picture=picture)


def _map(results: Results, risk: Risk, tell: Teller) -> MapView:
    network, number = results.network, tell.numerals.number
    drawn = network_map(network, risk, tell.words("map"), tell.numerals)
    scale = legend(risk, tell.words("map_low"), tell.words("map_high"), tell.numerals) if risk.highest > 0 else None
    named = tuple((network.nodes[at].name, _risk_figure(risk, at, tell)) for at in drawn.named)
    return MapView(
        picture=drawn.picture, legend=scale, notes=tuple(_notes(results, risk, drawn, tell, number)), named=named
    )


def _risk_figure(risk: Risk, at: int, tell: Teller) -> str:
    written = tell.numerals.amount(float(risk.values[at]))
    return f"{written} {tell.currency if risk.periods else tell.periods}"


def _notes(results: Results, risk: Risk, drawn: Map, tell: Teller, number: Any) -> Iterator[str]:
    nodes = len(results.network.nodes)
    if risk.periods:
        yield tell.words("map_cost", length=tell.length(risk.periods, after_of=True), currency=tell.currency)
        if risk.unknown:
            yield tell.words("map_untested", grey=number(risk.unknown), nodes=number(nodes))
    else:
        yield tell.words("map_delay", periods=tell.in_periods)
    if not risk.highest:
        yield tell.words("map_flat")
    yield tell.words("map_places" if drawn.by_place else "map_layers")
    if drawn.is_dots and not drawn.by_place:
        yield tell.words("map_dots", nodes=number(nodes))
    if drawn.drawn < nodes:
        yield tell.words("map_fewer", drawn=number(drawn.drawn), nodes=number(nodes))
    between = sum(bool(lane.source) for lane in results.network.lanes)
    if drawn.lanes < drawn.all_lanes:
        yield tell.words("map_lanes_fewer", lanes=number(drawn.all_lanes), drawn=number(drawn.lanes))
    elif drawn.lanes < between and drawn.is_dots:
        yield tell.words("map_lanes_some", lanes=number(between))


def _plan_name(point: FrontierPoint, tell: Teller) -> str:
    """What a plan is called in the reader's language, where its name is the optimiser's."""
    if point.is_current and point.name == TODAY:
        return tell.words("frontier_current")
    if point.target is not None and point.name == by_target(point.target):
        return f"β {tell.numerals.percent(point.target, digits_of(100 * point.target))}"
    return point.name


def _frontier(frontier: Frontier | None, tell: Teller) -> dict[str, Any] | None:
    if frontier is None or not frontier.points:
        return None
    frontier = replace(frontier, points=tuple(replace(one, name=_plan_name(one, tell)) for one in frontier.points))
    keys = ("frontier_x", "frontier_y", "frontier_current", "frontier_chosen")
    words = tuple(tell.words(key, currency=tell.currency) for key in keys)
    return {
        "picture": frontier_chart(frontier, (words[0], words[1], words[2], words[3]), tell.numerals),
        "rows": findings.frontier_rows(frontier, tell),
        "scenarios": tell.numerals.number(frontier.scenarios),
        "compared": tell.numerals.number(frontier.compared) if 0 < frontier.compared < frontier.scenarios else "",
        "confidence": tell.numerals.percent(frontier.confidence, 0),
    }
