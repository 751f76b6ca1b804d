"""The page: what is said of a model, in the order a chemist asks, in English or German."""

import math
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from kifabrik.durable import write_whole
from kifabrik.recipes.pharma.card import bounds_said, keeping, principles
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.evaluating import CLIFF_SIMILARITY, FAR, coverage_of_far, is_short
from kifabrik.recipes.pharma.importance import importance
from kifabrik.recipes.pharma.measures import HEADLINE, ROUNDS, SMALL_IS_GOOD
from kifabrik.recipes.pharma.model import Model
from kifabrik.recipes.pharma.numbers import Relation
from kifabrik.recipes.pharma.report.charts import Charts, Points
from kifabrik.recipes.pharma.texts import Language
from kifabrik.recipes.pharma.words import Words

_NAME: Final = "report.html"
_USED: Final = 15
_ENOUGH: Final = 20
"""Test compounds of which a share says something."""


def write_report(model: Model, evaluation: dict[str, Any], folder: Path, *, language: Language = "en") -> Path:
    """Write the report of a model that was judged.

    Args:
        model: What it is about.
        evaluation: What `evaluate` kept.
        folder: The model's; `report.html` goes there.
        language: Of the reader.

    Returns:
        The file; one that was there is replaced.
    """
    path = folder / _NAME
    write_whole(path, page(model, evaluation, folder, Words(language)).encode(), mode=0o644)
    return path


def page(model: Model, evaluation: dict[str, Any], folder: Path, words: Words) -> str:
    """The report as HTML."""
    points = _points(evaluation)
    shown = {
        "words": words,
        "endpoint": model.endpoint,
        "is_class": model.endpoint.kind is Kind.CLASS,
        "level": model.level,
        "is_short": is_short,
        "rounds": ROUNDS,
        "summary": _summary(model, evaluation, words),
        "warnings": _warnings(model, evaluation, points, words),
        "tiles": _tiles(model, evaluation, words),
        **{name: evaluation[name] for name in ("measures", "in_domain", "baselines", "count", "inside")},
        "bins": evaluation["bins"],
        "covered": evaluation["covered"],
        "bounds": bounds_said(evaluation, words),
        "far": _far(model, evaluation, points, words),
        "cliffs": _cliffs(model, evaluation["cliffs"], words),
        "pictures": _pictures(model, evaluation, points, words),
        "principles": (*principles(model, evaluation, words), keeping(folder, words)),
    }
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = Markup(_text("page.css"))  # noqa: S704 - our own file
    return environment.from_string(_text("page.html.j2")).render(shown, style=style)


def _text(name: str) -> str:
    return files("kifabrik.recipes.pharma.report").joinpath(name).read_text(encoding="utf-8")


def _points(evaluation: dict[str, Any]) -> Points:
    held = {name: np.array([np.nan if one is None else one for one in values], dtype=np.float64)
            for name, values in evaluation["points"].items() if name != "in_domain"}  # fmt: skip
    return Points(**held, in_domain=np.array(evaluation["points"]["in_domain"], dtype=bool))


def _pictures(
    model: Model, evaluation: dict[str, Any], points: Points, words: Words
) -> list[tuple[str, str, Markup]]:
    """Title, what it says, and the drawing."""
    charts = Charts(words)
    unit = f" ({_unit(model)})" if _unit(model) else ""
    if model.endpoint.kind is Kind.CLASS:
        roc, pr = charts.curves(points)
        found = [
            (words("roc"), words("roc_says"), roc),
            (words("pr"), words("pr_says"), pr),
            (words("reliability"), words("reliability_says"), charts.reliability(points)),
        ]
        error, one_error, level = words("axis_wrong"), words("axis_probability_error"), None
        says = words("near_far_says")
    else:
        says = words("parity_says", level=words.percent(model.level))
        found = [(words("parity"), says, charts.parity(points, unit))]
        error, one_error = words("axis_error", unit=unit), words("axis_one_error", unit=unit)
        level, says = model.level, words("near_far_covered")
    found.append((words("near_far"), says, charts.by_similarity(evaluation["bins"], error, level)))
    found.append((words("scatter"), words("scatter_says"), charts.scatter(points, one_error, FAR)))
    if evaluation.get("learning"):
        name = words.name(HEADLINE[model.endpoint.kind].value)
        drawn = charts.learning(evaluation["learning"], name)
        found.append((words("learning"), words("learning_says"), drawn))
    used = importance(model).descriptors[:_USED]
    if used:
        found.append((words("used"), words("used_says"), charts.shares(used)))
    return found


def _unit(model: Model) -> str:
    unit = model.endpoint.unit
    return (f"log10 {unit}" if unit else "log10") if model.scaling.log else unit


def _tiles(model: Model, evaluation: dict[str, Any], words: Words) -> list[tuple[str, str, str]]:
    tiles = [
        (
            words.name(name),
            words.figure(found["value"]),
            words("tile_interval", between=words.between(found["low"], found["high"])),
        )
        for name, found in list(evaluation["measures"].items())[:3]
    ]
    if evaluation["covered"] is not None:
        says = words("tile_held_says", level=words.percent(model.level))
        tiles.insert(0, (words("tile_held"), words.percent(evaluation["covered"], 1), says))
    inside, tested = evaluation["inside"], evaluation["count"]
    says = words("tile_domain_says", inside=words.whole(inside), tested=words.whole(tested))
    return [*tiles[:3], (words("tile_domain"), words.percent(inside / tested), says)]


def _summary(model: Model, evaluation: dict[str, Any], words: Words) -> str:
    name = HEADLINE[model.endpoint.kind].value
    return words(
        "summary",
        trained=words.whole(model.facts["compounds"]),
        tested=words.whole(evaluation["count"]),
        split=words.name(evaluation["split"]),
        measure=words.name(name),
        value=words.figure(evaluation["measures"][name]["value"]),
        forest=words.figure(evaluation["baselines"]["random forest on Morgan"][name]),
    )


def _cliffs(model: Model, cliffs: dict[str, Any], words: Words) -> str:
    near = words.figure(CLIFF_SIMILARITY, 1)
    if not cliffs["compounds"]:
        return words("cliffs_none", near=near)
    is_class = model.endpoint.kind is Kind.CLASS
    write = words.percent if is_class else words.figure
    value, others = (write(math.nan if one is None else one) for one in (cliffs["error"], cliffs["other_error"]))
    return words(
        "cliffs_are" if cliffs["compounds"] > 1 else "cliffs_one",
        count=words.whole(cliffs["compounds"]),
        near=near,
        error=words("share_wrong" if is_class else "mean_absolute"),
        value=value,
        others=others,
    )


def _far(model: Model, evaluation: dict[str, Any], points: Points, words: Words) -> str:
    """What becomes of compounds unlike all training compounds; empty where too few were tested."""
    is_far = points.similarity < FAR
    if is_far.sum() < _ENOUGH:
        return ""
    edge = words.figure(FAR, 1)
    if model.endpoint.kind is Kind.CLASS:
        wrong = (points.predicted >= 0.5) != (points.true == 1)  # noqa: PLR2004 - one half
        shares = [wrong[at].mean() if at.any() else math.nan for at in (is_far, ~is_far)]
        return words("worse_far", edge=edge, far=words.percent(shares[0]), near=words.percent(shares[1]))
    covered = coverage_of_far(points.similarity, points.true, points.low, points.high)
    return words(
        "falls" if is_short(covered, int(is_far.sum()), model.level) else "holds_far",
        level=words.percent(model.level),
        edge=edge,
        covered=words.percent(covered),
        count=words.whole(int(is_far.sum())),
        tested=words.whole(evaluation["count"]),
    )


def _warnings(model: Model, evaluation: dict[str, Any], points: Points, words: Words) -> list[str]:
    """What a reader must not overlook."""
    found = []
    headline = HEADLINE[model.endpoint.kind]
    name, sign = headline.value, -1 if headline in SMALL_IS_GOOD else 1
    value = evaluation["measures"][name]["value"]
    better = [
        words.name(which)
        for which, one in evaluation["baselines"].items()
        if one[name] is not None and value is not None and sign * one[name] >= sign * value
    ]
    if better:
        found.append(words("not_better", which=", ".join(better)))
    if evaluation["covered"] is not None:
        is_far = points.similarity < FAR
        if is_far.sum() >= _ENOUGH:
            covered = coverage_of_far(points.similarity, points.true, points.low, points.high)
            if is_short(covered, int(is_far.sum()), model.level):
                found.append(_far(model, evaluation, points, words))
        found += [
            words(
                "short_bin",
                level=words.percent(model.level),
                between=words.between(one["low"], one["high"], 1),
                covered=words.percent(one["covered"]),
                count=words.whole(one["count"]),
            )
            for one in evaluation["bins"]
            if one["low"] >= FAR and is_short(one["covered"], one["count"], model.level)
        ]
    found += [
        words(
            "pile",
            end=words("pile_low" if one["side"] == Relation.BELOW.value else "pile_high"),
            value=words.short(one["value"]),
            share=words.percent(one["share"]),
        )
        for one in model.facts.get("piles", ())
    ]
    outside, tested = evaluation["count"] - evaluation["inside"], evaluation["count"]
    if outside:
        found.append(words("outside", outside=words.whole(outside), tested=words.whole(tested)))
    return found
