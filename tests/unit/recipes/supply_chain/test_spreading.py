from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.spreading import Part, gather, load_part, save_part, share
from kifabrik.recipes.supply_chain.tables import read_network
from kifabrik.recipes.supply_chain.tables.template import write_example

WHOLE = Settings(scenarios=993, periods=20, warm_up=5, seed=3, traced=70)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pumps")
    write_example(folder)
    return read_network(folder)


def run(network, part, parts):
    results = simulate(network, share(WHOLE, part, parts), watch=(network.nodes[0].name,), workers=1, tallied=True)
    return Part(results, WHOLE)


@pytest.fixture(scope="module")
def three(network):
    return [run(network, part, 3) for part in (1, 2, 3)]


def test_a_study_in_parts_has_bit_for_bit_the_figures_of_one_in_one_piece(network, three, tmp_path):
    for number, part in enumerate(three):
        save_part(part, tmp_path / str(number))
    whole = run(network, 1, 1).results
    gathered = gather([load_part(tmp_path / name) for name in "201"])
    assert gathered.settings == whole.settings == WHOLE
    for figures in ("scenarios", "nodes", "nodes_error", "lanes", "courses"):
        expected, found = getattr(whole, figures), getattr(gathered, figures)
        assert set(found) == set(expected)
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{figures} {name}")


def test_parts_begin_at_whole_groups_and_leave_nothing_out():
    shares = [share(replace(WHOLE, scenarios=1000), part, 7) for part in range(1, 8)]
    assert [one.first % 32 for one in shares] == [0] * 7
    assert sum(one.scenarios for one in shares) == 1000
    assert sum(one.traced for one in shares) == 70
    assert all(now.first + now.scenarios == then.first for now, then in pairwise(shares))


@pytest.mark.parametrize(
    ("part", "parts", "said"), [(4, 3, "no part 4 of 3"), (0, 3, "no part 0 of 3"), (1, 33, "over 33 parts")]
)
def test_a_part_that_cannot_be_is_refused(part, parts, said):
    with pytest.raises(UsageError, match=said):
        share(WHOLE, part, parts)


def test_parts_that_do_not_make_up_one_study_are_refused(network, three):
    first, second, third = three
    for parts, said in (
        ([], "no parts"),
        ([first, third], "Scenarios 320 to 671 are missing"),
        ([second, third], "Scenarios 0 to 319 are missing"),
        ([first, second], "Scenarios 672 to 992 are missing"),
        ([first, second, second, third], "stand in two parts"),
        ([first, Part(second.results, replace(WHOLE, seed=4)), third], "different studies"),
        (
            [first, Part(replace(second.results, network=replace(network, name="x")), WHOLE), third],
            "different studies",
        ),
        ([first, Part(replace(second.results, tallies=None), WHOLE), third], "no tallies"),
    ):
        with pytest.raises(UsageError, match=said):
            gather(parts)


def test_a_folder_that_is_no_part_is_named(tmp_path, three):
    save_part(three[0], tmp_path)
    (tmp_path / "tallies.npz").write_bytes(b"no")
    with pytest.raises(UsageError, match=r"tallies\.npz cannot be read"):
        load_part(tmp_path)
    (tmp_path / "tallies.npz").unlink()
    with pytest.raises(UsageError, match="not part of a study"):
        load_part(tmp_path)
