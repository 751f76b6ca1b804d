"""Which models a compound trained: what an erased compound obliges to retrain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kifabrik.recipes.pharma.model import load
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


def trace(compound: str, folders: Sequence[Path]) -> list[Trace]:
    """Find a compound in the lineage of models.

    Args:
        compound: A SMILES, an InChIKey, or a name.
        folders: Of models.

    Raises:
        UsageError: If a folder is no model.
    """
    found = []
    for folder in folders:
        model = load(folder)
        key = _key(compound, model.standardiser)
        for name, known in zip(model.lineage.id, model.lineage.inchikey, strict=True):
            if known == key or name == compound or (key and known[:SKELETON] == key[:SKELETON]):
                found.append(
                    Trace(
                        model=folder,
                        endpoint=model.endpoint.name,
                        id=name,
                        inchikey=known,
                        same=known == key or name == compound,
                    )
                )
    return found


def _key(compound: str, standardiser: Standardiser) -> str:
    text = compound.strip()
    if len(text) == _KEY_LENGTH and text[SKELETON] == "-" and text.replace("-", "").isalpha() and text.isupper():
        return text
    known = standardiser(text)
    return "" if isinstance(known, Refused) else known.inchikey
