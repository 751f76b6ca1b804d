"""Which models a compound trained: what an erased compound obliges to retrain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kifabrik.recipes.pharma.model import trained_by
from kifabrik.recipes.pharma.molecules import SKELETON, Refused, Standardiser

_KEY_LENGTH = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A training compound that was asked for.

    Attributes:
        model: Folder of the model.
        endpoint: What it predicts.
        id: The compound's name in its training data.
        inchikey: Its InChIKey.
        same: Whether it is the same compound; else a stereoisomer of it.
    """

    model: Path
    endpoint: str
    id: str
    inchikey: str
    same: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What was found.

    Attributes:
        traces: Of the compound, model by model.
        is_read: Whether it was read as a structure or an InChIKey; else it was looked for as a name only.
    """

    traces: tuple[Trace, ...]
    is_read: bool


def trace(compound: str, folders: Sequence[Path]) -> Traced:
    """Find a compound in the lineage of models.

    Args:
        compound: A SMILES, an InChIKey, or a name.
        folders: Of models.

    Raises:
        UsageError: If a folder is no model.
        IntegrityError: If a list of training compounds is not the one its model was saved with.
    """
    found = []
    is_read = False
    for folder in folders:
        endpoint, standardiser, lineage = trained_by(folder)
        key = _key(compound, standardiser)
        is_read |= bool(key)
        for name, known in zip(lineage.id, lineage.inchikey, strict=True):
            same = known == key or name == compound
            if same or (key and known[:SKELETON] == key[:SKELETON]):
                found.append(Trace(model=folder, endpoint=endpoint.name, id=name, inchikey=known, same=same))
    return Traced(traces=tuple(found), is_read=is_read)


def _key(compound: str, standardiser: Standardiser) -> str:
    text = compound.strip()
    if len(text) == _KEY_LENGTH and text[SKELETON] == "-" and text.replace("-", "").isalpha() and text.isupper():
        return text
    known = standardiser(text)
    return "" if isinstance(known, Refused) else known.inchikey
