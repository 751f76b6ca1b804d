"""The model card after the five OECD principles for the validation of (Q)SAR models, as Markdown and as data.

Source: OECD, Guidance Document on the Validation of (Quantitative) Structure-Activity Relationship Models,
ENV/JM/MONO(2007)2, 2007.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kifabrik.durable import write_whole
from kifabrik.recipes.pharma.boosting import Recipe
from kifabrik.recipes.pharma.calibrating import Shape
from kifabrik.recipes.pharma.domain import PROPERTIES
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.features import NAMES
from kifabrik.recipes.pharma.importance import importance
from kifabrik.recipes.pharma.keeping import digest
from kifabrik.recipes.pharma.model import DOCUMENT, LINEAGE, Model

CARD: Final = "card.md"
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Principle:
    """What a model says to one principle.

    Attributes:
        title: Of the principle.
        answers: Pairs of a question and its answer.
    """

    title: str
    answers: tuple[tuple[str, str], ...]


def principles(model: Model, evaluation: dict[str, Any] | None) -> tuple[Principle, ...]:
    """The card of a model.

    Args:
        model: What it is about.
        evaluation: What `evaluate` kept; None if the model was not judged yet.
    """
    return (
        Principle("1. A defined endpoint", _endpoint(model)),
        Principle("2. An unambiguous algorithm", _algorithm(model)),
        Principle("3. A defined domain of applicability", _domain(model, evaluation)),
        Principle("4. Goodness of fit, robustness and predictivity", _figures(model, evaluation)),
        Principle("5. A mechanistic interpretation, if possible", _meaning(model)),
        Principle("Data and lineage", _lineage(model)),
    )


def write_card(model: Model, evaluation: dict[str, Any] | None, folder: Path) -> Path:
    """Write the card as Markdown into the model's folder."""
    parts = [f"# Model card: {model.endpoint.name}", ""]
    for principle in (*principles(model, evaluation), _keeping(folder)):
        parts += [f"## {principle.title}", ""]
        parts += [f"- **{question}:** {answer}" for question, answer in principle.answers]
        parts.append("")
    path = folder / CARD
    write_whole(path, "\n".join(parts).encode(), mode=0o644)
    return path


def _endpoint(model: Model) -> tuple[tuple[str, str], ...]:
    endpoint, facts = model.endpoint, model.facts
    answers = [("Endpoint", endpoint.name)]
    if endpoint.kind is Kind.CLASS:
        answers.append(("Classes", f"1 means {endpoint.says}" if endpoint.says else "0 and 1, as in the data"))
        answers.append(("Training compounds", f"{facts['compounds']:,}, {facts['positive']:,} of class 1"))
    else:
        low, high = facts["range"]
        answers.append(("Unit", endpoint.unit or "not said in the data"))
        answers.append(("Training compounds", f"{facts['compounds']:,}, from {low:g} to {high:g}"))
        answers.append(("Scale", "decimal logarithm" if model.scaling.log else "as measured"))
    return tuple(answers)


def _algorithm(model: Model) -> tuple[tuple[str, str], ...]:
    of_numbers = "absolute" if model.recipe is Recipe.MAPLIGHT else "squared"
    kind = "log loss" if model.endpoint.kind is Kind.CLASS else f"{of_numbers} error on standardised values"
    fast = ", a tenth of the columns at each split, 32 borders" if model.recipe is Recipe.FAST else ""
    members, facts = len(model.members), model.facts
    sets = "one set" if members == 1 else f"mean of {members} sets"
    chosen = ", ".join(f"{name} {value:.3f}" for name, value in facts["compared"].items())
    return (
        (
            "Descriptors",
            f"{len(NAMES):,} of MapLight (arXiv:2310.00174): Morgan, Avalon, reduced graph, RDKit",
        ),
        (
            "Learner",
            f"CatBoost, {facts['trees']:,} trees, random strength 2{fast}; {kind}; {sets}, seed {facts['seed']}",
        ),
        (
            "Helped by",
            ", ".join(one.endpoint.name for one in model.helpers) or "no other endpoint",
        ),
        (
            "Chosen by",
            f"inner cross-validation over scaffolds on the training data: {chosen}" if chosen else "hand",
        ),
        (
            "Structures",
            "RDKit clean-up, largest fragment, charges neutralised"
            + (", canonical tautomer" if model.standardiser.tautomers else ""),
        ),
        ("Versions", ", ".join(f"{name} {value}" for name, value in model.facts["versions"].items())),
    )


def _domain(model: Model, evaluation: dict[str, Any] | None) -> tuple[tuple[str, str], ...]:
    answers = [
        (
            "Similarity",
            f"at least {model.domain.similarity:.2f} to the nearest training compound (Tanimoto, ECFP4)",
        ),
        (
            "Properties",
            f"leverage of at most {model.domain.leverage:.4g} in {', '.join(PROPERTIES)}",
        ),
    ]
    if evaluation:
        share = evaluation["inside"] / evaluation["count"]
        answers.append(
            ("Of the test data", f"{evaluation['inside']:,} of {evaluation['count']:,} in it ({share:.0%})")
        )
    return tuple(answers)


def _figures(model: Model, evaluation: dict[str, Any] | None) -> tuple[tuple[str, str], ...]:
    answers = []
    inner = model.facts["inner"]
    for name, value in inner["recipe"].items():
        if value is not None:
            beside = "; ".join(
                f"{which} {_number(found[name])}" for which, found in inner.items() if which != "recipe"
            )
            answers.append((f"{name}, left-out scaffolds of the training data", f"{value:.3f} ({beside})"))
    if evaluation is None:
        answers.append(("Test data", "not judged yet: kifabrik pharma evaluate"))
        return tuple(answers)
    for name, found in evaluation["measures"].items():
        beside = "; ".join(f"{which} {_number(one[name])}" for which, one in evaluation["baselines"].items())
        said = f"{_number(found['value'])} (95 %: {_number(found['low'])} to {_number(found['high'])}; {beside})"
        answers.append((f"{name}, {evaluation['count']:,} test compounds, split by {evaluation['split']}", said))
    if evaluation["covered"] is not None:
        answers.append(
            ("Intervals", f"promise {model.level:.0%}, cover {evaluation['covered']:.1%} of the test data")
        )
        answers += [
            (f"  similarity {one['low']:.1f} to {one['high']:.1f}", f"{one['covered']:.0%} of {one['count']}")
            for one in evaluation["bins"]
        ]
    if model.calibration is not None:
        shape = "isotonic regression" if model.calibration.shape is Shape.ISOTONIC else "Platt's sigmoid"
        answers.append(("Probabilities", f"calibrated by {shape} on left-out scaffolds"))
    return tuple(answers)


def _meaning(model: Model) -> tuple[tuple[str, str], ...]:
    found = importance(model)
    blocks = ", ".join(f"{name} {share:.0%}" for name, share in found.blocks.items())
    named = ", ".join(f"{name} {share:.1%}" for name, share in found.descriptors[:_SHOWN])
    return (
        ("What the trees use", blocks),
        ("Descriptors they use most", named),
        ("Caution", "shares of splits' gains say what the trees use, not what causes the effect"),
    )


def _lineage(model: Model) -> tuple[tuple[str, str], ...]:
    data = model.facts.get("data", {})
    answers = [(f"Source {one['name']}", f"SHA-256 {one['sha256']}") for one in data.get("sources", [])]
    answers += [(f"Table {name}", f"SHA-256 {value}") for name, value in data.get("tables", {}).items()]
    answers.append(("Split", str(data.get("split", "not said"))))
    shown = "kept in the model and shown" if model.shows_neighbours else "not in the model"
    answers.append(
        (
            "Training compounds",
            f"InChIKeys in {LINEAGE}; structures {shown}. `kifabrik pharma trained-on` finds them",
        )
    )
    return tuple(answers)


def _keeping(folder: Path) -> Principle:
    return Principle("This model", ((DOCUMENT, f"SHA-256 {digest(folder / DOCUMENT)}"),))


def _number(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"
