"""Keys that were seen are known again; as long as they ascend, only the last one is held."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kifabrik.connectors.sap.keys import Hasher, KeyWatch, Seen
from kifabrik.errors import IntegrityError

NUMBERS = st.lists(st.integers(1, 300), max_size=40)


@settings(deadline=None)
@given(st.lists(NUMBERS))
def test_it_is_a_set_that_names_the_first_that_comes_again(batches):
    seen, known = Seen(), set()
    for batch in batches:
        so_far, first = set(known), -1
        for place, number in enumerate(batch):
            if number in so_far:
                first = place
                break
            so_far.add(number)
        assert seen.add_all(np.array(batch, np.uint64)) == first
        if first < 0:
            known = so_far
    assert len(seen) == len(known)


def test_parts_of_a_key_do_not_run_into_each_other():
    of = Hasher(b"salt", ("a", "b"))
    assert of({"a": "x'", "b": "y"}) != of({"a": "x", "b": "'y"})
    assert of({"a": "1", "b": 2}) == of({"a": 1, "b": "2"})
    assert of({"a": 1, "b": 2}) != Hasher(b"other", ("a", "b"))({"a": 1, "b": 2})


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=6), st.integers(-9, 9)), min_size=1))
def test_columns_and_rows_have_the_same_numbers(pairs):
    rows = [{"a": text, "b": number} for text, number in pairs]
    columns = [pa.array([row[name] for row in rows]) for name in "ab"]
    for names, parts in ((("a", "b"), columns), (("a",), columns[:1]), (("b",), columns[1:])):
        hasher = Hasher(b"salt", names)
        assert hasher.columns(parts).tolist() == hasher.rows(rows).tolist()


def test_a_key_that_is_no_unicode_is_a_sentence():
    with pytest.raises(IntegrityError, match="no Unicode"):
        Hasher(b"salt", ("a",))({"a": "\ud800"})


class Service:
    """Sends keys in batches; keeps their numbers as a pull does."""

    def __init__(self):
        self.kept = np.empty(0, np.uint64)
        self.recalls = 0
        self.hasher = Hasher(b"salt", ("plant", "no"))
        self.watch = KeyWatch(self.recall)

    def recall(self):
        self.recalls += 1
        return self.kept

    def send(self, *keys):
        parts = [pa.array([key[0] for key in keys]), pa.array([key[1] for key in keys])]
        numbers = self.hasher.columns(parts)
        place = self.watch.take(parts, numbers)
        self.kept = np.concatenate([self.kept, numbers])
        return place


def test_keys_that_ascend_are_not_held():
    service = Service()
    for plant in "ABC":
        for start in range(0, 3000, 1000):
            assert service.send(*((plant, start + number) for number in range(1000))) == -1
    assert (service.watch.held, service.recalls) == (0, 0)


@pytest.mark.parametrize("again", [("A", 2), ("A", 4), ("B", 1), ("B", 3)])
def test_a_key_that_comes_again_is_found_whatever_the_order_was_before(again):
    service = Service()
    assert service.send(("A", 1), ("A", 2), ("A", 4)) == -1
    assert service.send(("B", 1), ("B", 3)) == -1
    assert service.send(("C", 1), again) == 1
    assert service.recalls == 1


def test_keys_in_an_order_of_the_services_own_are_held_from_then_on():
    service = Service()
    assert service.send(("b", 1), ("c", 1)) == -1
    assert service.send(("B", 1), ("a", 1)) == -1  # no order of bytes
    assert service.send(("d", 1)) == -1
    assert (service.watch.held, service.recalls) == (5, 1)
    assert service.send(("e", 1), ("c", 1)) == 1
