"""Every text is there in every language, with the same parts to fill in."""

import math
import string

import pytest

from kifabrik.recipes.pharma.baselines import Baseline
from kifabrik.recipes.pharma.splitting import Method
from kifabrik.recipes.pharma.texts import LANGUAGES, WORDS, Language
from kifabrik.recipes.pharma.words import Words


def _parts(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_languages_have_the_same_texts_with_the_same_parts() -> None:
    assert set(WORDS) == set(LANGUAGES)
    english, german = WORDS["en"], WORDS["de"]
    assert english.keys() == german.keys()
    for key, text in english.items():
        assert _parts(text) == _parts(german[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_simple_models_and_methods_have_names_in_every_language(language: Language) -> None:
    assert {each.value for each in (*Baseline, *Method)} <= WORDS[language].keys()


def test_german_writes_figures_with_a_comma() -> None:
    german, english = Words("de"), Words("en")
    assert (german.figure(-1234.5678, 2), english.figure(-1234.5678, 2)) == ("\u22121.234,57", "\u22121,234.57")
    assert (german.percent(0.8512, 1), english.percent(0.8512, 1)) == ("85,1\u202f%", "85.1\u202f%")
    assert german.figure(None) == english.figure(math.nan) == "\u2013"
    assert german.between(0.25, 1, 2) == "0,25 bis 1,00"
    assert german.short(0.000123) == "0,000123"
