"""A job file from somebody else: nothing in it grows, runs, hangs, or means two things to two readers."""

import pytest
import yaml

from kifabrik.errors import UsageError
from kifabrik.jobs.jobfile import _LARGEST_BYTES, parse_job, read_job
from kifabrik.jobs.plain_yaml import parse_plain

JOB = "name: press-anomaly\npurpose: predictive-maintenance\nrun: python train.py\n"


def billion_laughs(depth: int) -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, depth):
        above, here = chr(96 + n), chr(97 + n)
        lines.append(f"{here}: &{here} [{', '.join(['*' + above] * 9)}]")
    return "\n".join(lines)


def leaves(value) -> int:
    if isinstance(value, dict):
        return sum(map(leaves, value.values()))
    return sum(map(leaves, value)) if isinstance(value, list) else 1


def test_a_bomb_of_aliases_is_refused_at_its_first_alias():
    assert leaves(yaml.safe_load(billion_laughs(4))) == 9 + 9**2 + 9**3 + 9**4  # it does go off elsewhere
    with pytest.raises(UsageError, match=r"aliases are not allowed \(line 2\)"):
        parse_job(billion_laughs(9))


def test_an_anchor_that_holds_itself_is_refused():
    with pytest.raises(UsageError, match="aliases"):
        parse_job("run: &a [*a]\n")


def test_a_bomb_of_merge_keys_is_refused():
    bomb = "base: &a {k: v}\nnext: &b {<<: [*a, *a]}\nlast: {<<: [*b, *b]}\n"
    with pytest.raises(UsageError, match="aliases"):
        parse_job(bomb)


def test_a_merge_key_does_not_slip_a_second_value_under_a_key():
    text = "name: a\n<<: {name: b, run: c}\n"
    assert "run" in yaml.safe_load(text)
    assert parse_plain(text, "job") == {"name": "a", "<<": {"name": "b", "run": "c"}}
    with pytest.raises(UsageError, match="unknown key '<<'"):
        parse_job(JOB + "<<: {ask: true}\n")


@pytest.mark.parametrize(
    "tagged",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system ''",
        "!!int 0x_",
        "!!binary aGk=",
        "!!timestamp 2026-13-45",
        "!!set {a, b}",
        "!mine x",
        "! x",
    ],
)
def test_tags_are_refused_whatever_they_ask_for(tagged):
    with pytest.raises(UsageError, match="tags are not allowed"):
        parse_job(f"{JOB}workdir: {tagged}\n")


@pytest.mark.parametrize(
    ("word", "yaml_1_1"),
    [("010", 8), ("1:30", 90), ("on", True), ("0x1F", 31), ("1_000", 1000), ("0b11", 3)],
)
def test_a_bare_word_is_not_read_as_something_else_than_it_looks(word, yaml_1_1):
    assert yaml.safe_load(word) == yaml_1_1
    assert parse_plain(word, "job") == word


@pytest.mark.parametrize(
    "word", ["2026-13-45", "2026-11-23", "1" * 5000, "0x_", "0b_", "1:99:99999", ".inf", ".nan"]
)
def test_words_that_break_the_usual_readers_are_text(word):
    assert parse_plain(f"workdir: {word}", "job") == {"workdir": word}


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_an_error_and_no_crash(opening):
    with pytest.raises(UsageError):
        parse_job(opening * 20_000)


@pytest.mark.parametrize("text", ["{name: a, name: b}", '{name: a, "name": b}', "? name\n: a\n? name\n: b\n"])
def test_a_key_that_stands_twice_is_refused(text):
    with pytest.raises(UsageError, match="twice"):
        parse_job(text)


@pytest.mark.parametrize("text", ["? [a]\n: b\n", "? {a: b}\n: c\n", "1: a\n", "null: a\n", "? \n: a\n"])
def test_keys_that_are_no_names_are_refused(text):
    with pytest.raises(UsageError):
        parse_job(JOB + text)


@pytest.mark.parametrize(
    "line", ["cpu: .inf", "cpu: 1e999", "memory: -1GB", "memory: 1e400GB", "nodes: 0", "gpu: -1"]
)
def test_numbers_without_measure_are_refused(line):
    with pytest.raises(UsageError):
        parse_job(f"{JOB}resources: {{{line}}}\n").resources.parsed()


def test_a_file_too_large_to_be_a_job_is_not_read(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB + "# " + "x" * _LARGEST_BYTES)
    with pytest.raises(UsageError, match="larger than a job file can be"):
        read_job(path)
    path.write_text(JOB)
    assert read_job(path).name == "press-anomaly"
