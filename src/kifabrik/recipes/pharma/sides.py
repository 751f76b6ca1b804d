"""The folder that `split` makes: `train.csv`, `test.csv`, `left-out.csv` and `split.json`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.compounds import Compounds, read_compounds, write_compounds
from kifabrik.recipes.pharma.endpoints import Endpoint
from kifabrik.recipes.pharma.keeping import digest, fresh_folder, read_document, versions, write_document
from kifabrik.recipes.pharma.prepared import Facts
from kifabrik.recipes.pharma.splitting import Split, check_apart

TRAIN: Final = "train.csv"
TEST: Final = "test.csv"
LEFT_OUT: Final = "left-out.csv"
DOCUMENT: Final = "split.json"
SIMILARITY: Final = "nearest_train"
"""Column of the test data: Tanimoto similarity (ECFP4, 2,048 bits) to the nearest training compound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Training and test data that do not overlap.

    Attributes:
        train: To train with.
        test: To judge with.
        facts: What was measured, and where it came from.
        digests: SHA-256 of both tables, by name.
        method: How they were split.
    """

    train: Compounds
    test: Compounds
    facts: Facts
    digests: dict[str, str]
    method: str

    def endpoint(self, name: str = "") -> Endpoint:
        """What was measured under a name; without one, the only thing that was.

        Raises:
            UsageError: There is no such endpoint, or several and none was named.
        """
        known = self.facts.endpoints
        if name in known:
            return known[name]
        if not name and len(known) == 1:
            return next(iter(known.values()))
        listed = ", ".join(known)
        if name:
            raise UsageError(f"There is no endpoint {name}.", hint=f"There are: {listed}.")
        raise UsageError("There are several endpoints.", hint=f"Name one with --endpoint: {listed}.")


def save_split(compounds: Compounds, facts: Facts, split: Split, folder: Path, *, share: float, seed: int) -> None:
    """Write both sides.

    Args:
        compounds: What was split.
        facts: What was measured.
        split: How.
        folder: Where to; made if it is not there.
        share: Of test data, as wished.
        seed: Of luck.

    Raises:
        UsageError: If the folder cannot be made.
    """
    fresh_folder(folder)
    (folder / DOCUMENT).unlink(missing_ok=True)
    nearest = tuple(f"{value:.4f}" for value in split.similarity)
    write_compounds(folder / TRAIN, compounds[split.train])
    write_compounds(folder / TEST, compounds[split.test].with_properties({SIMILARITY: nearest}))
    write_compounds(folder / LEFT_OUT, compounds[split.left_out])
    content = {
        **facts.plain(),
        "method": split.method.value,
        "share": share,
        "seed": seed,
        "cut": split.cut,
        "train": len(split.train),
        "test": len(split.test),
        "left_out": len(split.left_out),
        "digests": {name: digest(folder / name) for name in (TRAIN, TEST)},
        "versions": versions(),
    }
    write_document(folder / DOCUMENT, "split", content)


def load_split(folder: Path) -> Sides:
    """Read both sides.

    Raises:
        UsageError: If the folder is not one of `save_split`, or its sides overlap (somebody edited them).
    """
    document = read_document(folder / DOCUMENT, "split", "split")
    train, test = read_compounds(folder / TRAIN), read_compounds(folder / TEST)
    check_apart(train, test)
    digests = {name: digest(folder / name) for name in (TRAIN, TEST)}
    changed = [name for name, value in digests.items() if document.get("digests", {}).get(name) != value]
    if changed:
        raise UsageError(f"{folder / changed[0]} was changed since it was split.", hint="Split again.")
    return Sides(
        train=train,
        test=test,
        facts=Facts.of(document, folder / DOCUMENT),
        digests=digests,
        method=str(document.get("method", "")),
    )
