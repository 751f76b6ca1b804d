import random

import pytest

from kifabrik.datasets.grouping import ShardSizes, group
from kifabrik.errors import UsageError

TARGET = 100_000


def files(seed, count):
    dice = random.Random(seed)
    names = {f"class {dice.randrange(20)}/image {dice.randrange(10**9)}.png" for _ in range(count)}
    return {name: 512 * dice.randrange(2, 12) for name in names}


def divided(sizes):
    return [tuple(members) for members in group([(p, s, (p, s)) for p, s in sorted(sizes.items())], TARGET)]


def test_every_file_is_in_one_group_and_in_order():
    sizes = files(1, 3000)
    assert [member for members in divided(sizes) for member in members] == sorted(sizes.items())


def test_groups_are_half_to_twice_the_target():
    totals = [sum(size for _, size in members) for members in divided(files(2, 5000))]
    assert all(TARGET / 2 <= total <= 2 * TARGET for total in totals[:-1])
    assert totals[-1] <= 2 * TARGET
    assert 0.8 * TARGET < sum(totals) / len(totals) < 1.3 * TARGET


def test_a_single_item_beyond_all_bounds_is_a_group_of_its_own():
    assert list(group([("a", 1, "a"), ("b", 10 * TARGET, "b"), ("c", 1, "c")], TARGET)) == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("change", ["add", "remove", "grow"])
def test_one_changed_file_changes_few_groups(change):
    sizes = files(3, 4000)
    before = set(divided(sizes))
    assert len(before) > 100
    dice = random.Random(4)
    changed = []
    for turn in range(60):
        after = dict(sizes)
        name = dice.choice(sorted(after))
        if change == "add":
            after[f"{name} copy {turn}"] = 2048
        elif change == "remove":
            del after[name]
        else:
            after[name] += 1024
        changed.append(len(set(divided(after)) - before))
    assert sum(changed) / len(changed) <= 2
    assert max(changed) <= 8


def test_impossible_sizes_are_refused():
    for target, small_file in ((0, 0), (10, 11), (2**33, 1), (10, 0)):
        with pytest.raises(UsageError):
            ShardSizes(target, small_file)
