"""Where a model may be trusted: near its training compounds, and within the range of their properties.

Two checks, because each is blind where the other sees: a long alkyl chain on a known core is near by fingerprint
and far by properties; a new core with ordinary properties is the other way round.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.pharma.features import NAMES
from kifabrik.recipes.pharma.neighbours import Packed, nearest_others

PROPERTIES: Final = (
    "MolWt", "MolLogP", "TPSA", "NumHDonors", "NumHAcceptors", "NumRotatableBonds", "RingCount", "NumAromaticRings",
    "FractionCSP3",
)  # fmt: skip
_PLACES: Final = [NAMES.index(name) for name in PROPERTIES]
_SHARE: Final = 0.05
"""The share of training compounds that are themselves further from their neighbours than the threshold."""
_LEAST: Final = 0.3
"""The threshold is never below it: unrelated drug-like compounds often are as similar as that by ECFP4."""
_WARNING: Final = 3.0
"""Warning leverage 3 (p + 1) / n (Gramatica, QSAR Comb. Sci. 26:694, 2007)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Limits of a model.

    Attributes:
        similarity: Least Tanimoto similarity to the nearest training compound.
        leverage: Most leverage in nine properties.
        mean: Of each property.
        inverse: Shape (10, 10): inverse of X'X of the centred properties with a column of ones.
    """

    similarity: float
    leverage: float
    mean: tuple[float, ...]
    inverse: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, packed: Packed, features: NDArray[np.float32]) -> "Domain":
        """The domain of training compounds.

        Args:
            packed: Their fingerprints.
            features: Their MapLight features, shape (n, 2563).
        """
        seen = np.nan_to_num(features[:, _PLACES].astype(np.float64))
        mean = seen.mean(axis=0)
        matrix = np.column_stack([np.ones(len(seen)), seen - mean])
        return cls(
            similarity=max(_LEAST, float(np.quantile(nearest_others(packed), _SHARE))),
            leverage=_WARNING * (len(PROPERTIES) + 1) / len(seen),
            mean=tuple(mean.tolist()),
            inverse=tuple(map(tuple, np.linalg.pinv(matrix.T @ matrix).tolist())),
        )

    def leverages(self, features: NDArray[np.float32]) -> Floats:
        """Leverage of compounds, shape (n,); infinite where a property is not known."""
        seen = features[:, _PLACES].astype(np.float64)
        matrix = np.column_stack([np.ones(len(seen)), seen - np.array(self.mean)])
        found = np.einsum("ij,jk,ik->i", matrix, np.array(self.inverse), matrix)
        return np.where(np.isfinite(found), found, np.inf)

    def holds(self, similarity: Floats, leverage: Floats) -> NDArray[np.bool_]:
        """Whether both checks let compounds in, shape (n,)."""
        return np.asarray((similarity >= self.similarity) & (leverage <= self.leverage))

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        return {
            "similarity": self.similarity,
            "leverage": self.leverage,
            "properties": list(PROPERTIES),
            "mean": list(self.mean),
            "inverse": [list(row) for row in self.inverse],
        }
