"""Ciphertext read at any position from far away, by way of a bounded folder."""

import random
import threading

import pytest

from kifabrik.errors import IntegrityError, NotFoundError, UnavailableError
from kifabrik.transfer.ranges import BLOCK, RangeCache

SIZE = 3 * BLOCK + 12345
DATA = random.Random(4).randbytes(2**20) * (SIZE // 2**20 + 1)
DATA = DATA[:SIZE]


class Far:
    """The other side: counts what it is asked for, and can be away."""

    def __init__(self):
        self.asked, self.away = [], 0

    def fetch(self, digest, start, size):
        self.asked.append((digest, start, size))
        if digest == "gone":
            raise NotFoundError("there is no such object")
        if self.away:
            self.away -= 1
            raise UnavailableError("the factory is away")
        return DATA[start : start + size]


def cache(far, folder, limit=100 * BLOCK, patience_s=0.0):
    return RangeCache(far.fetch, folder / "blocks", limit, patience_s=patience_s)


def on_disk(folder):
    return sum(path.stat().st_size for path in (folder / "blocks").iterdir())


def test_bytes_at_any_position_are_the_objects_own(tmp_path):
    ranges, draw = cache(Far(), tmp_path), random.Random(5)
    for _ in range(100):
        offset = draw.randrange(SIZE)
        count = min(draw.choice((1, 16, 65552, 2**20 + 256)), SIZE - offset)
        assert ranges.read("one", SIZE, offset, count) == DATA[offset : offset + count]
    assert ranges.read("one", SIZE, BLOCK - 3, 6) == DATA[BLOCK - 3 : BLOCK + 3]


def test_a_block_is_fetched_once_however_many_want_it(tmp_path):
    far = Far()
    ranges = cache(far, tmp_path)
    threads = [threading.Thread(target=ranges.read, args=("one", SIZE, 1000 * n, 500)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert far.asked == [("one", 0, BLOCK)]


def test_the_folder_never_holds_more_than_it_may_and_forgets_what_was_not_read_for_longest(tmp_path):
    far = Far()
    ranges = cache(far, tmp_path, limit=2 * BLOCK)
    for number in (0, 1, 0, 2):
        ranges.read("one", SIZE, number * BLOCK, 10)
        assert on_disk(tmp_path) <= 2 * BLOCK
    far.asked.clear()
    ranges.read("one", SIZE, 0, 10)
    assert far.asked == []  # block 0 was read after block 1
    ranges.read("one", SIZE, BLOCK, 10)
    assert [start // BLOCK for _, start, _ in far.asked] == [1]


def test_a_folder_that_may_hold_nothing_only_passes_bytes_on(tmp_path):
    ranges = cache(Far(), tmp_path, limit=0)
    assert ranges.read("one", SIZE, 5, 5) == DATA[5:10]
    assert not (tmp_path / "blocks").exists()


def test_a_disk_that_is_full_or_cleared_under_it_costs_fetching_again_and_nothing_else(tmp_path):
    far = Far()
    ranges = cache(far, tmp_path)
    (tmp_path / "blocks").write_text("in the way of the folder")
    assert ranges.read("one", SIZE, 5, 5) == DATA[5:10]
    (tmp_path / "blocks").unlink()
    assert ranges.read("one", SIZE, 5, 5) == DATA[5:10]
    for path in (tmp_path / "blocks").iterdir():
        path.unlink()
    assert ranges.read("one", SIZE, 5, 5) == DATA[5:10]
    assert len(far.asked) == 3


def test_a_factory_that_is_away_is_waited_for(tmp_path):
    far = Far()
    far.away = 2
    assert cache(far, tmp_path, patience_s=30).read("one", SIZE, 0, 5) == DATA[:5]
    assert len(far.asked) == 3


def test_waiting_ends_when_the_run_does(tmp_path):
    far = Far()
    far.away = 10**9
    ranges = cache(far, tmp_path, patience_s=3600)
    threading.Timer(0.3, ranges.close).start()
    with pytest.raises(UnavailableError):
        ranges.read("one", SIZE, 0, 5)


def test_patience_ends(tmp_path):
    far = Far()
    far.away = 10**9
    with pytest.raises(UnavailableError):
        cache(far, tmp_path).read("one", SIZE, 0, 5)


def test_an_object_that_is_shorter_than_it_should_be_is_found_out(tmp_path):
    with pytest.raises(IntegrityError):
        cache(Far(), tmp_path).read("one", SIZE + 100, SIZE, 50)


def test_a_missing_object_is_missing_at_once(tmp_path):
    with pytest.raises(NotFoundError):
        cache(Far(), tmp_path, patience_s=3600).read("gone", SIZE, 0, 5)
