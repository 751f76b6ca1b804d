"""Wishes for Slurm cannot be more than the value of their option."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import UsageError
from kifabrik.orders.slurm_options import SlurmOptions

GOOD = {
    "partition": "main,big", "qos": "long", "account": "acme", "constraint": "[rack1|rack2]&h200*4",
    "reservation": "later", "switches": "1@02:00:00", "array": "0-99:2,200%8",
    "dependency": "afterok:1:2,afterany:3", "signal": "B:USR1@60", "licenses": "solver:2,mesh",
    "begin": "2026-12-24T18:00",
}  # fmt: skip
TEXTS = [field.name for field in fields(SlurmOptions) if field.type in (str, "str")]


def test_every_text_has_an_example_here():
    assert set(TEXTS) == set(GOOD)
    assert SlurmOptions(**GOOD).array == GOOD["array"]


WRONG = ["a b", "a\nb", "--uid=0", "-w", "a\0", "a'b", 'a"b', "$(id)", "a;b", "a=b", "é", " a"]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("wrong", WRONG)
def test_no_text_carries_a_second_option_a_line_or_a_quotation(name, wrong):
    with pytest.raises(UsageError, match=f"slurm.{name}"):
        SlurmOptions(**{name: wrong})


@pytest.mark.parametrize("name", TEXTS)
@given(text=st.text(min_size=1, max_size=30))
def test_what_is_taken_is_one_plain_word(name, text):
    try:
        SlurmOptions(**{name: text})
    except UsageError:
        return
    assert text.isascii()
    assert text.isprintable()
    assert not text.startswith("-")
    assert not set(text) & set(" \t\n\"'`$;\\<>!#~=")


def test_only_the_operator_makes_runs_earlier():
    with pytest.raises(UsageError):
        SlurmOptions(nice=-1)
