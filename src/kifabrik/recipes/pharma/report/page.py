"""The page: what is said of a model, in the order a chemist asks."""

import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from kifabrik.durable import write_whole
from kifabrik.recipes.pharma.card import principles
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.importance import importance
from kifabrik.recipes.pharma.measures import HEADLINE
from kifabrik.recipes.pharma.model import Model
from kifabrik.recipes.pharma.report import charts

_NAME = "report.html"
_USED = 15


def write_report(model: Model, evaluation: dict[str, Any], folder: Path) -> Path:
    """Write the report of a model that was judged.

    Args:
        model: What it is about.
        evaluation: What `evaluate` kept.
        folder: Where `report.html` goes.

    Returns:
        The file; one that was there is replaced.
    """
    path = folder / _NAME
    write_whole(path, page(model, evaluation).encode(), mode=0o644)
    return path


def page(model: Model, evaluation: dict[str, Any]) -> str:
    """The report as HTML."""
    is_class = model.endpoint.kind is Kind.CLASS
    shown = {
        "endpoint": model.endpoint,
        "is_class": is_class,
        "level": model.level,
        "summary": _summary(model, evaluation),
        "warnings": _warnings(model, evaluation),
        "tiles": _tiles(evaluation),
        "measures": evaluation["measures"],
        "in_domain": evaluation["in_domain"],
        "baselines": evaluation["baselines"],
        "count": evaluation["count"],
        "inside": evaluation["inside"],
        "bins": evaluation["bins"],
        "covered": evaluation["covered"],
        "cliffs": evaluation["cliffs"],
        "split": evaluation["split"],
        "pictures": _pictures(model, evaluation),
        "principles": principles(model, evaluation),
    }
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["figure"] = figure
    style = Markup(_text("page.css"))  # noqa: S704 - our own file
    return environment.from_string(_text("page.html.j2")).render(shown, style=style)


def figure(value: float | None) -> str:
    """A figure with three decimals; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"  # noqa: RUF001


def _text(name: str) -> str:
    return files("kifabrik.recipes.pharma.report").joinpath(name).read_text(encoding="utf-8")


def _pictures(model: Model, evaluation: dict[str, Any]) -> list[tuple[str, str, Markup]]:
    """Title, what it says, and the drawing."""
    held = {name: np.array([np.nan if one is None else one for one in values], dtype=np.float64)
            for name, values in evaluation["points"].items() if name != "in_domain"}  # fmt: skip
    points = charts.Points(**held, in_domain=np.array(evaluation["points"]["in_domain"], dtype=bool))
    found = []
    if model.endpoint.kind is Kind.CLASS:
        roc, pr = charts.curves(points)
        found = [
            ("Ranking", "ROC curve of the test compounds. Dotted: a guess.", roc),
            ("Precision and recall", "Dotted: the share of class 1 in the test data.", pr),
            (
                "Probabilities",
                "Do compounds said to be of class 1 with 70 % turn out so in 70 %? On the dotted line they do.",
                charts.reliability(points),
            ),
        ]
        error, level = "share of wrong classes", None
    else:
        unit = f" ({_unit(model)})" if _unit(model) else ""
        says = f"Each test compound with its {model.level:.0%} interval."
        found = [("Predicted and measured", says, charts.parity(points, unit))]
        error, level = f"mean absolute error{unit}", model.level
    says = "Error by similarity to the nearest training compound" + (
        ", and how many intervals hold what was measured; dotted: what they promise." if level else "."
    )
    found.append(("Near and far compounds", says, charts.by_similarity(evaluation["bins"], error, level)))
    if evaluation.get("learning"):
        name = HEADLINE[model.endpoint.kind].value
        says = "The same test data, trained with a part of the training data. Still rising: more data will help."
        found.append(("Learning curve", says, charts.learning(evaluation["learning"], name)))
    used = importance(model).descriptors[:_USED]
    if used:
        says = "RDKit descriptors the trees use most; use is not cause."
        found.append(("What the trees use", says, charts.shares(used)))
    return found


def _unit(model: Model) -> str:
    unit = model.endpoint.unit
    return (f"log10 {unit}" if unit else "log10") if model.scaling.log else unit


def _tiles(evaluation: dict[str, Any]) -> list[tuple[str, str, str]]:
    tiles = [
        (name, figure(found["value"]), f"95 %: {figure(found['low'])} to {figure(found['high'])}")
        for name, found in list(evaluation["measures"].items())[:3]
    ]
    if evaluation["covered"] is not None:
        tiles.insert(
            0, ("Intervals hold", f"{evaluation['covered']:.1%}", "of the test compounds' measured values")
        )
    share = evaluation["inside"] / evaluation["count"]
    tiles.append(
        ("In the domain", f"{share:.0%}", f"{evaluation['inside']:,} of {evaluation['count']:,} test compounds")
    )
    return tiles[:4]


def _summary(model: Model, evaluation: dict[str, Any]) -> str:
    name = HEADLINE[model.endpoint.kind].value
    found = evaluation["measures"][name]
    forest = evaluation["baselines"]["random forest on Morgan"][name]
    return (
        f"Trained on {model.facts['compounds']:,} compounds and judged on {evaluation['count']:,} it has not seen, "
        f"split by {evaluation['split']}: {name} {figure(found['value'])}; a random forest on fingerprints "
        f"reaches {figure(forest)}."
    )


def _warnings(model: Model, evaluation: dict[str, Any]) -> list[str]:
    """What a reader must not overlook."""
    found = []
    name = HEADLINE[model.endpoint.kind].value
    sign = 1 if name == "ROC AUC" else -1
    value = evaluation["measures"][name]["value"]
    better = [
        which
        for which, one in evaluation["baselines"].items()
        if one[name] is not None and value is not None and sign * one[name] >= sign * value
    ]
    if better:
        found.append(f"Not better than a simple model: {', '.join(better)}.")
    if evaluation["covered"] is not None:
        found += [
            f"Intervals promise {model.level:.0%}; at similarity {one['low']:.1f} to {one['high']:.1f} they hold "
            f"{one['covered']:.0%} ({one['count']} compounds)."
            for one in evaluation["bins"]
            if one["count"] >= 20 and one["covered"] < model.level - 0.02  # noqa: PLR2004 - enough to say, two points
        ]
    outside = evaluation["count"] - evaluation["inside"]
    if outside:
        found.append(
            f"{outside:,} of {evaluation['count']:,} test compounds lie outside the domain: trust these less."
        )
    return found
