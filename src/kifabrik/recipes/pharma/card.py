"""The model card after the five OECD principles for the validation of (Q)SAR models, as Markdown and as data.

Source: OECD, Guidance Document on the Validation of (Quantitative) Structure-Activity Relationship Models,
ENV/JM/MONO(2007)2, 2007.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kifabrik.durable import write_whole
from kifabrik.recipes.pharma.boosting import Recipe
from kifabrik.recipes.pharma.calibrating import Shape
from kifabrik.recipes.pharma.domain import PROPERTIES
from kifabrik.recipes.pharma.endpoints import Bounds, Kind
from kifabrik.recipes.pharma.features import NAMES
from kifabrik.recipes.pharma.importance import importance
from kifabrik.recipes.pharma.keeping import digest
from kifabrik.recipes.pharma.model import DOCUMENT, LINEAGE, Model
from kifabrik.recipes.pharma.numbers import Relation
from kifabrik.recipes.pharma.texts import Language
from kifabrik.recipes.pharma.words import Words

CARD: Final = "card.md"
_SHOWN: Final = 10
_BOUNDS: Final = {
    Bounds.LEARN: "bounds_learnt",
    Bounds.VALUE: "bounds_as_values",
    Bounds.LEAVE_OUT: "bounds_left_out",
}


@dataclass(frozen=True, slots=True)
class Principle:
    """What a model says to one principle.

    Attributes:
        title: Of the principle.
        answers: Pairs of a question and its answer.
    """

    title: str
    answers: tuple[tuple[str, str], ...]


def principles(model: Model, evaluation: dict[str, Any] | None, words: Words) -> tuple[Principle, ...]:
    """The card of a model.

    Args:
        model: What it is about.
        evaluation: What `evaluate` kept; None if the model was not judged yet.
        words: Of the reader's language.
    """
    return (
        Principle(words("principle_1"), _endpoint(model, words)),
        Principle(words("principle_2"), _algorithm(model, words)),
        Principle(words("principle_3"), _domain(model, evaluation, words)),
        Principle(words("principle_4"), _figures(model, evaluation, words)),
        Principle(words("principle_5"), _meaning(model, words)),
        Principle(words("lineage"), _lineage(model, words)),
    )


def write_card(model: Model, evaluation: dict[str, Any] | None, folder: Path, *, language: Language = "en") -> Path:
    """Write the card as Markdown into the model's folder."""
    words = Words(language)
    parts = [f"# {words('card_of', name=model.endpoint.name)}", ""]
    for principle in (*principles(model, evaluation, words), keeping(folder, words)):
        parts += [f"## {principle.title}", ""]
        parts += [f"- **{question}:** {answer}" for question, answer in principle.answers]
        parts.append("")
    path = folder / CARD
    write_whole(path, "\n".join(parts).encode(), mode=0o644)
    return path


def keeping(folder: Path, words: Words) -> Principle:
    """What tells a model in a folder apart from all others."""
    digested = words("digest", digest=digest(folder / DOCUMENT))
    return Principle(words("this_model"), ((DOCUMENT, digested),))


def _endpoint(model: Model, words: Words) -> tuple[tuple[str, str], ...]:
    endpoint, facts = model.endpoint, model.facts
    count = words.whole(facts["compounds"])
    answers = [(words("endpoint"), endpoint.name)]
    if endpoint.kind is Kind.CLASS:
        means = words("class_means", says=endpoint.says) if endpoint.says else words("class_plain")
        said = words("training_classes", count=count, positive=words.whole(facts["positive"]))
        answers += [(words("classes"), means), (words("training"), said)]
    else:
        low, high = facts["range"]
        said = words("training_numbers", count=count, low=words.short(low), high=words.short(high))
        answers += [
            (words("unit"), endpoint.unit or words("unit_none")),
            (words("training"), said),
            (words("scale"), words("scale_log" if model.scaling.log else "scale_plain")),
        ]
    return (*answers, *_limits(model, words))


def _limits(model: Model, words: Words) -> tuple[tuple[str, str], ...]:
    """Measurements that are bounds, and values that look like some."""
    facts = model.facts
    left_out = facts.get("data", {}).get("bounds", {}).get(model.endpoint.name, 0)
    bounds = facts["bounds"]
    answers = []
    if left_out or sum(bounds.values()):
        said = words(
            _BOUNDS[model.bounds],
            above=words.whole(bounds[Relation.ABOVE.value]),
            below=words.whole(bounds[Relation.BELOW.value]),
        )
        dropped = words("bounds_dropped", left_out=words.whole(left_out)) if left_out else ""
        answers.append((words("bounds"), f"{said}{dropped}"))
    answers += [
        (
            words("pile_low" if one["side"] == Relation.BELOW.value else "pile_high"),
            words(
                "pile_says",
                value=words.short(one["value"]),
                count=words.whole(one["count"]),
                share=words.percent(one["share"]),
            ),
        )
        for one in facts.get("piles", ())
    ]
    return tuple(answers)


def _algorithm(model: Model, words: Words) -> tuple[tuple[str, str], ...]:
    facts = model.facts
    helped = [*(one.endpoint.name for one in model.helpers), *facts.get("learnt_together", ())]
    chosen = ", ".join(f"{name} {words.figure(value)}" for name, value in facts["compared"].items())
    structures = words(
        "structures_says",
        fragments=words("all_fragments" if model.standardiser.salts else "largest_fragment"),
        charges=words("charges_kept" if model.standardiser.charges else "charges_gone"),
        tautomer=words("tautomer") if model.standardiser.tautomers else "",
    )
    return (
        (
            words("descriptors"),
            words("descriptors_none")
            if model.networks
            else words("descriptors_says", count=words.whole(len(NAMES))),
        ),
        (words("learner"), _learner(model, words)),
        (words("helped"), ", ".join(helped) or words("helped_none")),
        (
            words("chosen"),
            words("chosen_inner", compared=chosen) if chosen else words("chosen_hand"),
        ),
        (words("structures"), structures),
        (words("versions"), ", ".join(f"{name} {value}" for name, value in facts["versions"].items())),
    )


def _learner(model: Model, words: Words) -> str:
    if model.networks:
        count = len(model.networks)
        return words(
            "network_says",
            epochs=words.whole(model.facts["epochs"]),
            sets=words("one_network") if count == 1 else words("networks", count=words.whole(count)),
            seed=str(model.facts["seed"]),
        )
    of_numbers = "absolute_loss" if model.recipe is Recipe.MAPLIGHT else "squared_loss"
    if model.bounds is Bounds.LEARN and sum(model.facts["bounds"].values()):
        of_numbers = "bounded_loss"
    members = len(model.members)
    return words(
        "learner_says",
        trees=words.whole(model.facts["trees"]),
        fast=words("fast") if model.recipe is Recipe.FAST else "",
        loss=words("log_loss" if model.endpoint.kind is Kind.CLASS else of_numbers),
        sets=words("one_set") if members == 1 else words("sets", count=words.whole(members)),
        seed=str(model.facts["seed"]),
    )


def _domain(model: Model, evaluation: dict[str, Any] | None, words: Words) -> tuple[tuple[str, str], ...]:
    domain = model.domain
    answers = [
        (words("similarity_short"), words("similarity_least", least=words.figure(domain.similarity, 2))),
        (
            words("properties"),
            words("properties_says", most=words.short(domain.leverage), names=", ".join(PROPERTIES)),
        ),
    ]
    if evaluation:
        inside, tested = evaluation["inside"], evaluation["count"]
        share = words.percent(inside / tested)
        said = words("of_test_says", inside=words.whole(inside), tested=words.whole(tested), share=share)
        answers.append((words("of_test"), said))
    return tuple(answers)


def _figures(model: Model, evaluation: dict[str, Any] | None, words: Words) -> tuple[tuple[str, str], ...]:
    answers = []
    inner = model.facts["inner"]
    simple = {which: found for which, found in inner.items() if which != "recipe"}
    for name, value in inner["recipe"].items():
        if value is not None:
            said = f"{words.figure(value)} ({_beside(name, simple, words)})"
            answers.append((words("inner", measure=words.name(name)), said))
    if evaluation is None:
        answers.append((words("test_data"), words("not_judged")))
        return tuple(answers)
    tested, split = words.whole(evaluation["count"]), words.name(evaluation["split"])
    for name, found in evaluation["measures"].items():
        said = words(
            "outer_says",
            value=words.figure(found["value"]),
            between=words.between(found["low"], found["high"]),
            beside=_beside(name, evaluation["baselines"], words),
        )
        answers.append((words("outer", measure=words.name(name), tested=tested, split=split), said))
    if evaluation["covered"] is not None:
        level, covered = words.percent(model.level), words.percent(evaluation["covered"], 1)
        answers.append((words("intervals"), words("intervals_says", level=level, covered=covered)))
        answers += [
            (
                words("intervals_bin", between=words.between(one["low"], one["high"], 1)),
                words("of_count", share=words.percent(one["covered"]), count=words.whole(one["count"])),
            )
            for one in evaluation["bins"]
        ]
    if evaluation["bounds"]["count"]:
        answers.append((words("bounds_tested"), bounds_said(evaluation, words)))
    if model.calibration is not None:
        shape = words("isotonic" if model.calibration.shape is Shape.ISOTONIC else "platt")
        answers.append((words("probabilities"), words("probabilities_says", shape=shape)))
    return tuple(answers)


def bounds_said(evaluation: dict[str, Any], words: Words) -> str:
    """What becomes of test compounds with a bound; empty where there are none."""
    found = evaluation["bounds"]
    if not found["count"]:
        return ""
    return words(
        "bounds_judged",
        count=words.whole(found["count"]),
        agree=words.percent(found["agree"]),
        covered=words.percent(found["covered"]),
        ordered=words.percent(found["ordered"], 1),
    )


def _beside(name: str, simple: dict[str, dict[str, Any]], words: Words) -> str:
    return "; ".join(f"{words.name(which)} {words.figure(found[name])}" for which, found in simple.items())


def _meaning(model: Model, words: Words) -> tuple[tuple[str, str], ...]:
    if model.networks:
        return ((words("caution"), words("network_meaning")),)
    found = importance(model)
    named = ", ".join(f"{name} {words.percent(share, 1)}" for name, share in found.descriptors[:_SHOWN])
    return (
        (
            words("uses"),
            ", ".join(f"{words.name(name)} {words.percent(share)}" for name, share in found.blocks.items()),
        ),
        (words("uses_descriptors"), named),
        (words("caution"), words("caution_says")),
    )


def _lineage(model: Model, words: Words) -> tuple[tuple[str, str], ...]:
    data = model.facts.get("data", {})
    answers = [
        (words("source", name=str(one["name"])), words("digest", digest=str(one["sha256"])))
        for one in data.get("sources", [])
    ]
    answers += [
        (words("table", name=str(name)), words("digest", digest=str(value)))
        for name, value in data.get("tables", {}).items()
    ]
    answers.append((words("split"), words.name(str(data["split"])) if "split" in data else words("split_none")))
    shown = words("shown" if model.shows_neighbours else "not_shown")
    answers.append((words("training"), words("lineage_says", file=LINEAGE, shown=shown)))
    return tuple(answers)
