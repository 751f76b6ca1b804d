"""Keys that were seen are known again, in a table that takes what was announced."""

from hypothesis import given
from hypothesis import strategies as st

from kifabrik.connectors.sap.keys import Hasher, Seen


@given(st.lists(st.integers(1, 2**64 - 1)))
def test_it_is_a_set(numbers):
    seen, known = Seen(), set()
    for number in numbers:
        assert seen.add(number) == (number not in known)
        known.add(number)
    assert len(seen) == len(known)


def test_a_table_made_for_a_number_of_rows_does_not_grow():
    seen = Seen(10_000)
    size = len(seen._table)
    seen.update(range(1, 10_001))
    assert (len(seen), len(seen._table)) == (10_000, size)
    assert size * 8 <= 10_000 * 24


def test_parts_of_a_key_do_not_run_into_each_other():
    of = Hasher(b"salt", ("a", "b"))
    assert of({"a": "x'", "b": "y"}) != of({"a": "x", "b": "'y"})
    assert of({"a": "1", "b": 2}) == of({"a": 1, "b": "2"})
    assert of({"a": 1, "b": 2}) != Hasher(b"other", ("a", "b"))({"a": 1, "b": 2})
