"""Long sentences on a terminal of 80 columns."""

import io

import pytest

from kifabrik.cli.folding import folded


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_a_sentence_is_broken_between_words():
    text = "✓ " + "eine recht lange Meldung über vierzig Sensoren " * 4
    lines = folded(text, Terminal()).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    assert " ".join(line.strip() for line in lines) == text.strip()


def test_what_is_no_terminal_gets_the_line_as_it_is():
    text = "word " * 40
    assert folded(text, io.StringIO()) == text


def test_a_command_to_copy_stays_in_one_line():
    command = "kifabrik dataset grant press-line-7 --purpose predictive-maintenance --passphrase-file p"
    lines = folded(f"hint: Somebody with the role of a steward allows it: {command}", Terminal()).splitlines()
    assert lines == ["hint: Somebody with the role of a steward allows it:", f"  {command}"]


def test_a_line_that_is_a_command_is_left_alone():
    text = "  kifabrik " + "x " * 60
    assert folded(text, Terminal()) == text


def test_an_indented_sentence_stays_indented():
    lines = folded("  data     " + "some words " * 12, Terminal()).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("  data     some")
    assert lines[1].startswith("    some")


def test_a_path_longer_than_the_line_is_not_cut():
    path = "/srv/" + "folder/" * 15
    assert path in folded(f"error: there is no {path} here", Terminal()).replace("\n", " ")


def test_what_follows_a_command_is_broken_like_any_sentence():
    text = "hint: Ask your steward for one; then: kifabrik login FILE. " + "And there is more to say about it. " * 4
    lines = folded(text, Terminal()).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("kifabrik login FILE." in line for line in lines)
