"""The texts of the pages: both languages say the same things, and templates say nothing that is not there."""

import re
from pathlib import Path

import jinja2
import pytest
from markupsafe import Markup

import kifabrik.portal
from kifabrik.factory.sign_in_records import SignInKind
from kifabrik.ledger.entry import EntryKind
from kifabrik.plant.metering.kinds import Kind
from kifabrik.portal.words import WORDS
from kifabrik.runs.states import RunState
from kifabrik.tenants.statements import Role

FOLDER = Path(kifabrik.portal.__file__).parent
SAID = re.compile(r"""\b(?:t|say|visit\.say)\(\s*["']([\w.-]+)["']""")


def test_both_languages_have_the_same_texts_with_the_same_parts() -> None:
    german, english = WORDS["de"], WORDS["en"]
    assert german.keys() == english.keys()
    for key in german:
        parts = [set(re.findall(r"\{(\w+)\}", words[key])) for words in (german, english)]
        assert parts[0] == parts[1], key
        tags = [sorted(re.findall(r"</?\w+>", words[key])) for words in (german, english)]
        assert tags[0] == tags[1], key


def test_every_text_a_page_says_is_there() -> None:
    sources = [*FOLDER.rglob("*.j2"), *FOLDER.rglob("*.py")]
    said = {key for file in sources for key in SAID.findall(file.read_text(encoding="utf-8"))}
    assert len(said) > 100
    assert {key for key in said if not key.endswith("_")} <= WORDS["en"].keys()


@pytest.mark.parametrize(("prefix", "kinds"), [("state", RunState), ("kind", EntryKind), ("meter", Kind)])
def test_every_state_entry_and_meter_has_a_text(prefix, kinds) -> None:
    assert {f"{prefix}_{one.value}" for one in kinds} <= WORDS["de"].keys()


def test_every_role_has_a_text() -> None:
    assert {str(role) for role in Role} <= WORDS["de"].keys()
    assert len(SignInKind) == 3


def test_parts_of_a_text_are_escaped() -> None:
    said = Markup(WORDS["de"]["signed_in"]).format(role="<b>", member="&", tenant='"', until="'")
    assert "&lt;b&gt;" in said
    assert "&amp;" in said


def test_every_template_parses() -> None:
    environment = jinja2.Environment(autoescape=True)
    for file in FOLDER.glob("templates/*.j2"):
        environment.parse(file.read_text(encoding="utf-8"))
