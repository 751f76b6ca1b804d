"""Morgan fingerprints as packed bits: 2,048 bits of radius 2, 32 words of 64 bits a molecule.

Bit `i` of a fingerprint is bit `i % 64` of word `i // 64`, as `BitVectToBinaryText` lays it out on any machine
whose lowest byte comes first.

Source: Rogers and Hahn, J. Chem. Inf. Model. 50 (2010) 742, as RDKit's `GetMorganGenerator` builds them.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs
from rdkit.Chem import Mol, rdFingerprintGenerator
from rdkit.rdBase import BlockLogs

from kifabrik.recipes.pharma.libraries import Molecules

BITS: Final = 2048
RADIUS: Final = 2
WORDS: Final = BITS // 64

Packed = NDArray[np.uint64]
"""Shape (n, 32)."""


@cache
def _generator() -> Any:
    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)


def read_molecule(smiles: str) -> Mol | None:
    """A molecule with at least one atom, or None where RDKit cannot read it."""
    with BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    return molecule if molecule is not None and molecule.GetNumAtoms() else None


def read_chunk(chunk: Molecules) -> tuple[list[Mol], list[int], list[tuple[int, str, str, str]]]:
    """Read a chunk of a library.

    Returns:
        Molecules, their places in the chunk, and the rows that could not be read: row, id, SMILES and why.
    """
    molecules, places, rejects = [], [], []
    for place, text in enumerate(chunk.smiles):
        reason = chunk.reasons.get(place, "")
        molecule = None if reason else read_molecule(text)
        if molecule is None:
            reason = reason or ("RDKit cannot read the SMILES" if text else "the row has no SMILES")
            rejects.append((chunk.first + place, chunk.ids[place], text, reason))
        else:
            molecules.append(molecule)
            places.append(place)
    return molecules, places, rejects


def of_molecules(molecules: Iterable[Mol | None]) -> Packed:
    """Fingerprints of molecules; all bits are off where there is none.

    Returns:
        Packed bits, uint64 (n, 32).
    """
    generator = _generator()
    empty = bytes(BITS // 8)
    rows = [
        empty if each is None else DataStructs.BitVectToBinaryText(generator.GetFingerprint(each))
        for each in molecules
    ]
    return np.frombuffer(b"".join(rows), dtype="<u8").reshape(len(rows), WORDS).astype(np.uint64, copy=False)


def morgan(smiles: Sequence[str]) -> Packed:
    """Morgan fingerprints of radius 2 folded to 2,048 bits.

    Args:
        smiles: Molecules; what RDKit cannot read has no bit on.

    Returns:
        Packed bits, uint64 (n, 32).
    """
    return of_molecules(read_molecule(each) for each in smiles)


def unpack(packed: Packed) -> NDArray[np.uint8]:
    """One byte a bit, uint8 (n, 2048), for models that want columns."""
    return np.unpackbits(np.ascontiguousarray(packed, dtype="<u8").view(np.uint8), axis=1, bitorder="little")
