"""Splits of compounds into training and test data, and the check that they do not overlap.

Invariants:
- stereoisomers, salts and duplicates (one InChIKey, or one first block of it) stand on one side only;
- the same compounds, method and seed give the same split, in whatever order the compounds come;
- no split is given out that `check_apart` would refuse.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.molecules import SKELETON
from kifabrik.recipes.pharma.neighbours import nearest, similarities

CLUSTER_SIMILARITY: Final = 0.4
"""Compounds at least so similar to a cluster's leader belong to it: below 0.4 of ECFP4 few share an activity
(Franco et al., J. Cheminform. 6:5, 2014)."""
_LEAST: Final = 10


class Method(Enum):
    """How to choose test data."""

    TIME = "time"
    SCAFFOLD = "scaffold"
    CLUSTER = "cluster"
    RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Training and test data.

    Attributes:
        method: How they were chosen.
        train: Places of training compounds.
        test: Places of test compounds.
        left_out: Places of compounds on neither side: later measured twins of older ones.
        similarity: Of each test compound to the nearest training compound.
        cut: First date of the test data; empty unless split by time.
    """

    method: Method
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    left_out: NDArray[np.intp]
    similarity: NDArray[np.float32]
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Leak:
    """A compound that stands in training and in test data.

    Attributes:
        train: Its place in the training data.
        test: Its place in the test data.
        same: Whether even the stereochemistry is the same.
    """

    train: int
    test: int
    same: bool


def leaks(train: Sequence[str], test: Sequence[str]) -> list[Leak]:
    """Overlaps of two lists of InChIKeys: the same compound, or another stereoisomer of it."""
    places: dict[str, int] = {}
    skeletons: dict[str, int] = {}
    for at, key in enumerate(train):
        places.setdefault(key, at)
        skeletons.setdefault(key[:SKELETON], at)
    found = []
    for at, key in enumerate(test):
        if key in places:
            found.append(Leak(places[key], at, same=True))
        elif key[:SKELETON] in skeletons:
            found.append(Leak(skeletons[key[:SKELETON]], at, same=False))
    return found


def check_apart(train: Compounds, test: Compounds) -> None:
    """Refuse training and test data that share compounds.

    Raises:
        UsageError: If they do; it names the first.
    """
    found = leaks(train.inchikey, test.inchikey)
    if not found:
        return
    first = found[0]
    same = sum(leak.same for leak in found)
    what = "is" if first.same else "is a stereoisomer of"
    raise UsageError(
        f"Test data leak: {len(found)} of {len(test)} test compounds are in the training data ({same} the same, "
        f"{len(found) - same} stereoisomers). {test.id[first.test]} {what} {train.id[first.train]}.",
        hint="Figures on them would be too good. Prepare both together and split with `kifabrik pharma split`.",
    )


def split(compounds: Compounds, method: Method | None = None, *, share: float = 0.2, seed: int = 1) -> Split:
    """Choose test data.

    Args:
        compounds: All that there are.
        method: How; None: by time if every compound has a date, else by scaffold.
        share: Of the test data.
        seed: Of luck.

    Raises:
        UsageError: If there are too few compounds or dates, or one group is too large.
    """
    if len(compounds) < _LEAST:
        raise UsageError(
            f"{len(compounds)} compounds cannot be split.", hint=f"At least {_LEAST} are needed, better hundreds."
        )
    dated = all(compounds.date)
    method = method or (Method.TIME if dated and len(set(compounds.date)) > 1 else Method.SCAFFOLD)
    left_out: NDArray[np.intp] = np.zeros(0, np.intp)
    cut = ""
    if method is Method.TIME:
        train, test, left_out, cut = _by_time(compounds, share)
    else:
        groups = GROUPS[method](compounds)
        test = np.flatnonzero(_chosen(groups, share, seed, compounds.inchikey))
        train = np.setdiff1d(np.arange(len(compounds)), test)
    if not len(test) or not len(train):
        raise UsageError(
            f"By {method.value} everything falls on one side.", hint="Try --by random, or another --test."
        )
    check_apart(compounds[train], compounds[test])
    packed = morgan(compounds.smiles)
    similarity, _ = nearest(packed[test], packed[train])
    return Split(method=method, train=train, test=test, left_out=left_out, similarity=similarity, cut=cut)


def folds(compounds: Compounds, count: int, seed: int) -> NDArray[np.intp]:
    """Number of a fold for each compound, whole scaffolds in one fold, folds about equally large."""
    groups = scaffold_groups(compounds)
    return _even(groups, count, seed, compounds.inchikey)


def scaffold_groups(compounds: Compounds) -> tuple[str, ...]:
    """Bemis-Murcko scaffold without stereochemistry; compounds without rings are groups of their own."""
    groups = []
    for smiles, skeleton in zip(compounds.smiles, compounds.skeleton, strict=True):
        molecule = Chem.MolFromSmiles(smiles)
        scaffold = MurckoScaffold.MurckoScaffoldSmiles(mol=molecule, includeChirality=False)  # type: ignore[no-untyped-call]
        groups.append(scaffold or skeleton)
    return _joined(groups, compounds.skeleton)


def cluster_groups(compounds: Compounds) -> tuple[str, ...]:
    """Sphere exclusion: the first compound not yet near a leader becomes one; all join the nearest leader."""
    packed = morgan(compounds.smiles)
    order = np.argsort(np.array(compounds.inchikey))
    leaders: list[int] = []
    for at in order:
        if not leaders or similarities(packed[at : at + 1], packed[leaders]).max() < CLUSTER_SIMILARITY:
            leaders.append(int(at))
    _, place = nearest(packed, packed[leaders])
    return _joined([compounds.inchikey[leaders[at]] for at in place], compounds.skeleton)


def _random_groups(compounds: Compounds) -> tuple[str, ...]:
    return compounds.skeleton


GROUPS: Final[dict[Method, Callable[[Compounds], tuple[str, ...]]]] = {
    Method.SCAFFOLD: scaffold_groups,
    Method.CLUSTER: cluster_groups,
    Method.RANDOM: _random_groups,
}
"""What must stay together, by method."""


def _joined(groups: Sequence[str], skeletons: Sequence[str]) -> tuple[str, ...]:
    """Groups joined where they share a skeleton: a tautomer can have another scaffold."""
    first: dict[str, str] = {}
    for group, skeleton in sorted(zip(groups, skeletons, strict=True)):
        first.setdefault(skeleton, group)
    return tuple(first[skeleton] for skeleton in skeletons)


def _members(groups: Sequence[str], seed: int, names: Sequence[str]) -> list[list[int]]:
    """Groups in an order of luck, which does not depend on the order of the compounds."""
    members: dict[str, list[int]] = defaultdict(list)
    for at, group in enumerate(groups):
        members[group].append(at)
    ordered = [sorted(members[group], key=lambda at: names[at]) for group in sorted(members)]
    luck = np.random.default_rng(seed).permutation(len(ordered))
    return [ordered[at] for at in luck]


def _chosen(groups: Sequence[str], share: float, seed: int, names: Sequence[str]) -> NDArray[np.bool_]:
    """Groups of luck until the share is reached; large ones (over half of it) stay in training."""
    wanted = max(1, round(share * len(groups)))
    chosen = np.zeros(len(groups), dtype=bool)
    count = 0
    for member in _members(groups, seed, names):
        is_large = len(member) > max(1, wanted // 2)
        if not is_large and count + len(member) <= wanted:
            chosen[member] = True
            count += len(member)
    return chosen


def _even(groups: Sequence[str], count: int, seed: int, names: Sequence[str]) -> NDArray[np.intp]:
    sizes = np.zeros(count, np.intp)
    fold = np.zeros(len(groups), np.intp)
    for member in sorted(_members(groups, seed, names), key=len, reverse=True):
        at = int(sizes.argmin())
        fold[member] = at
        sizes[at] += len(member)
    return fold


def _by_time(
    compounds: Compounds, share: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], str]:
    dates = np.array(compounds.date)
    undated = int((dates == "").sum())
    if undated:
        raise UsageError(
            f"{undated} of {len(compounds)} compounds have no date that can be read.",
            hint="Write dates as 2024-05-31 or 31.05.2024, or split --by scaffold.",
        )
    order = np.sort(dates)
    cut = str(order[min(len(order) - 1, round((1 - share) * len(order)))])
    is_test = dates >= cut
    if is_test.all():
        later = order[order > order[0]]
        if not len(later):
            raise UsageError(f"All compounds have the date {cut}.", hint="Split --by scaffold.")
        cut = str(later[0])
        is_test = dates >= cut
    old = {skeleton for skeleton, late in zip(compounds.skeleton, is_test, strict=True) if not late}
    is_twin = is_test & np.array([skeleton in old for skeleton in compounds.skeleton])
    return (np.flatnonzero(~is_test), np.flatnonzero(is_test & ~is_twin), np.flatnonzero(is_twin), cut)
