"""A mirror believes its own entries and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import ORIGIN, checkpoint_of, head_of, some_entries

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.merkle import leaf_hash
from kifabrik.ledger.mirror import MemoryStore, Mirror, MirrorState

ENTRIES = some_entries(40)


def a_mirror(size):
    mirror = Mirror(ORIGIN)
    mirror.extend(ENTRIES[:size], head_of(ENTRIES[:size]))
    return mirror


def test_a_new_mirror_is_empty():
    mirror = Mirror(ORIGIN)
    assert (mirror.size, mirror.head, mirror.checkpoint) == (0, None, "")
    mirror.extend([], head_of([]))
    assert mirror.head == head_of([])


@given(sizes=st.lists(st.integers(0, 40), max_size=6).map(sorted), overlap=st.integers(0, 40))
@settings(max_examples=60)
def test_a_mirror_grows_in_any_steps_with_any_overlap(sizes, overlap):
    mirror = Mirror(ORIGIN)
    for size in sizes:
        start = max(0, mirror.size - overlap)
        mirror.extend(ENTRIES[start:size], head_of(ENTRIES[:size]))
        assert mirror.entries(0, size) == ENTRIES[:size]
        assert mirror.head == head_of(ENTRIES[:size])


def test_giving_the_same_again_changes_nothing():
    mirror = a_mirror(10)
    mirror.keep(checkpoint_of(head_of(ENTRIES[:10])))
    kept = mirror.checkpoint
    for again in (ENTRIES[:10], ENTRIES[4:10], []):
        mirror.extend(again, head_of(ENTRIES[:10]))
    assert mirror.size == 10
    assert mirror.checkpoint == kept


def refused(mirror, entries, head, match, error=IntegrityError):
    before = (mirror.size, mirror.head, mirror.entries(0, mirror.size))
    with pytest.raises(error, match=match):
        mirror.extend(entries, head)
    assert (mirror.size, mirror.head, mirror.entries(0, mirror.size)) == before


def test_a_smaller_log_is_a_rollback():
    refused(a_mirror(10), [], head_of(ENTRIES[:9]), "rolled back: it had 10 entries and now shows 9")
    refused(a_mirror(10), [], head_of([]), "rolled back")


def test_another_root_at_the_same_size_is_a_fork():
    other = [*ENTRIES[:9], b"another"]
    refused(a_mirror(10), [], head_of(other), "is a fork")
    refused(a_mirror(10), other[5:], head_of(other), "entry 9 is not the one the mirror holds")


def test_a_head_the_entries_do_not_give_is_refused():
    refused(a_mirror(10), ENTRIES[10:20], head_of([*ENTRIES[:19], b"another"]), "does not follow")
    refused(a_mirror(10), [*ENTRIES[10:19], b"another"], head_of(ENTRIES[:20]), "does not follow")
    swapped = [ENTRIES[11], ENTRIES[10], *ENTRIES[12:20]]
    refused(a_mirror(10), swapped, head_of(ENTRIES[:20]), "does not follow")


def test_a_rewritten_past_is_refused_even_if_the_new_entries_are_right():
    rewritten = [ENTRIES[0], b"another", *ENTRIES[2:20]]
    refused(a_mirror(10), ENTRIES[10:20], head_of(rewritten), "does not follow")


def test_missing_entries_are_asked_for():
    refused(a_mirror(10), ENTRIES[12:20], head_of(ENTRIES[:20]), "was given 8 up to 20", UsageError)
    refused(a_mirror(10), [], head_of(ENTRIES[:20]), "was given 0 up to 20", UsageError)
    refused(a_mirror(2), ENTRIES[:5], head_of(ENTRIES[:3]), "was given 5 up to 3", UsageError)


def test_a_head_of_another_log_is_refused():
    refused(a_mirror(10), ENTRIES[10:20], head_of(ENTRIES[:20], "another.origin"), r"another\.origin")


def test_entries_are_found_by_their_leaf():
    mirror = a_mirror(10)
    assert mirror.index_of(leaf_hash(ENTRIES[7])) == 7
    assert mirror.index_of(leaf_hash(ENTRIES[10])) is None
    mirror.extend(ENTRIES[10:20], head_of(ENTRIES[:20]))
    assert mirror.index_of(leaf_hash(ENTRIES[10])) == 10


def test_ranges_outside_the_mirror_are_refused():
    for bounds in [(0, 11), (-1, 2), (5, 4)]:
        with pytest.raises(UsageError):
            a_mirror(10).entries(*bounds)


def test_only_a_checkpoint_of_the_newest_head_is_kept():
    mirror = a_mirror(10)
    for other in [
        checkpoint_of(head_of(ENTRIES[:9])),
        "nonsense",
        checkpoint_of(head_of(ENTRIES[:10], "other")),
    ]:
        with pytest.raises(IntegrityError):
            mirror.keep(other)
    with pytest.raises(IntegrityError):
        Mirror(ORIGIN).keep(checkpoint_of(head_of([])))
    mirror.keep(checkpoint_of(head_of(ENTRIES[:10])))
    mirror.extend(ENTRIES[10:11], head_of(ENTRIES[:11]))
    assert mirror.checkpoint == ""


def test_a_checkpoint_is_kept_with_its_entries_in_one_write():
    class Counting(MemoryStore):
        saves = 0

        def save(self, new_entries, state):
            self.saves += 1
            super().save(new_entries, state)

    store = Counting()
    mirror = Mirror(ORIGIN, store)
    for size in (10, 11):
        mirror.extend(
            ENTRIES[mirror.size : size], head_of(ENTRIES[:size]), checkpoint=checkpoint_of(head_of(ENTRIES[:size]))
        )
        assert mirror.checkpoint == checkpoint_of(head_of(ENTRIES[:size]))
    assert store.saves == 2


def test_a_checkpoint_of_another_head_is_refused_and_nothing_is_taken_over():
    mirror = a_mirror(10)
    for other in [checkpoint_of(head_of(ENTRIES[:10])), checkpoint_of(head_of(ENTRIES[:11], "other")), "nonsense"]:
        with pytest.raises(IntegrityError):
            mirror.extend(ENTRIES[10:11], head_of(ENTRIES[:11]), checkpoint=other)
    assert (mirror.size, mirror.checkpoint) == (10, "")


def test_a_checkpoint_that_came_late_is_added_to_the_head_it_signs():
    mirror = a_mirror(10)
    mirror.extend([], head_of(ENTRIES[:10]), checkpoint=checkpoint_of(head_of(ENTRIES[:10])))
    assert mirror.checkpoint == checkpoint_of(head_of(ENTRIES[:10]))


def test_a_store_whose_entries_do_not_give_its_head_is_refused():
    for entries, head in [
        (ENTRIES[:10], head_of(ENTRIES[:9])),
        ([*ENTRIES[:9], b"another"], head_of(ENTRIES[:10])),
        (ENTRIES[:10], head_of(ENTRIES[:10], "another.origin")),
        ([], TreeHead(ORIGIN, 1, bytes(32))),
    ]:
        store = MemoryStore()
        store.save(entries, MirrorState(head))
        with pytest.raises(IntegrityError, match="damaged"):
            Mirror(ORIGIN, store)


def test_a_mirror_goes_on_from_its_store():
    store = MemoryStore()
    Mirror(ORIGIN, store).extend(ENTRIES[:10], head_of(ENTRIES[:10]))
    again = Mirror(ORIGIN, store)
    again.extend(ENTRIES[10:20], head_of(ENTRIES[:20]))
    assert again.entries(0, 20) == ENTRIES[:20]


def test_a_store_that_keeps_no_tree_is_hashed_anew_though_its_disk_is_its_owners():
    assert Mirror(ORIGIN, MemoryStore(), own_disk=True).size == 0
    store = MemoryStore()
    store.save(ENTRIES[:9], MirrorState(head_of(ENTRIES[:9])))
    mirror = Mirror(ORIGIN, store, own_disk=True)
    assert (mirror.size, mirror.head) == (9, head_of(ENTRIES[:9]))
    store.save([], MirrorState(head_of(ENTRIES[:8])))
    with pytest.raises(IntegrityError, match="damaged"):
        Mirror(ORIGIN, store, own_disk=True)
