"""Picks are unlike each other, begin with the best, and do not depend on luck."""

import pytest
from molecules import drugs, moses

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.neighbours import similarities
from kifabrik.recipes.pharma.picking import MOST_CLUSTERED, SAME_CLUSTER, Picking, Picks, pick
from kifabrik.recipes.pharma.screening_plan import Plan

_SERIES = [f"O=C(N{chain})c1ccc(-c2ccncc2)cc1" for chain in ("CCC", "CCCC", "CCCCC", "CCCCCC")]


@pytest.mark.parametrize("how", list(Picking))
def test_the_best_hit_is_picked_first_and_the_same_hits_give_the_same_picks(how):
    hits = [*moses(120), *drugs(40)]
    picks = pick(hits, 25, how)
    assert picks == pick(hits, 25, how)
    assert picks.places[0] == 0
    assert len(set(picks.places)) == 25


def test_one_pick_of_a_series_its_best():
    hits = ["CCO", _SERIES[2], "c1ccccc1", _SERIES[0], _SERIES[1], "CC(=O)Oc1ccccc1C(=O)O", _SERIES[3]]
    picks = pick(hits, 10, Picking.BUTINA)
    assert picks.places == (0, 1, 2, 5)
    assert picks.clusters == (1, 2, 3, 2, 2, 4, 2)
    assert pick(hits, 2, Picking.BUTINA).places == (0, 1)


def test_each_cluster_has_a_centre_that_all_of_it_is_like():
    hits = [*moses(150), *_SERIES]
    clusters = pick(hits, 1, Picking.BUTINA).clusters
    packed = morgan(hits)
    like = similarities(packed, packed) >= SAME_CLUSTER
    for number in range(1, max(clusters) + 1):
        members = [at for at, cluster in enumerate(clusters) if cluster == number]
        assert any(like[centre, members].all() for centre in members), number


def test_picks_by_maxmin_are_less_alike_than_the_best_hits():
    hits = [*_SERIES, *moses(60)]
    packed = morgan(hits)
    picked = similarities(packed, packed)[list(pick(hits, 4, Picking.MAXMIN).places)]
    assert sorted(picked[:, list(pick(hits, 4, Picking.MAXMIN).places)].ravel())[-5] < 0.3
    assert similarities(packed, packed)[0, 1:4].min() > 0.5


def test_nothing_is_picked_of_nothing():
    for how in Picking:
        assert pick([], 5, how) == pick(["CCO"], 0, how) == Picks()


def test_too_many_hits_to_cluster_are_said_before_the_screen_begins(tmp_path):
    wishes = {"model": tmp_path, "library": Library(tmp_path / "a.smi"), "out": tmp_path}
    wishes["hits"] = MOST_CLUSTERED + 1
    with pytest.raises(UsageError, match="10,001 hits are too many"):
        Plan(**wishes, diverse=5, picking=Picking.BUTINA)
    Plan(**wishes, diverse=5)
    Plan(**wishes, picking=Picking.BUTINA)
