"""Targets as models see them: logarithms where values span decades, mean 0 and standard deviation 1."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_DECADES: Final = 2.0
"""Values that span at least so many decades are taken as logarithms, as MapLight does for half-life, clearance
and volume of distribution."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scaling:
    """From values of an endpoint to those of a model, and back.

    Attributes:
        log: Whether the decimal logarithm is taken first.
        mean: Of what is then scaled.
        sd: Of what is then scaled.
    """

    log: bool = False
    mean: float = 0.0
    sd: float = 1.0

    @classmethod
    def of(cls, values: Floats, *, log: bool | None = None) -> "Scaling":
        """One that fits values.

        Args:
            values: Shape (n,), finite, not all the same.
            log: Whether to take logarithms; None: if all are above zero and they span two decades.
        """
        if log is None:
            log = bool(values.min() > 0) and float(np.log10(values.max() / values.min())) >= _DECADES
        seen = np.log10(values) if log else values
        return cls(log=log, mean=float(seen.mean()), sd=float(seen.std()) or 1.0)

    def forth(self, values: Floats) -> Floats:
        """Values as the model sees them."""
        return np.asarray(((np.log10(values) if self.log else values) - self.mean) / self.sd, dtype=np.float64)

    def back(self, scaled: Floats) -> Floats:
        """Values in the endpoint's unit."""
        plain = scaled * self.sd + self.mean
        return np.asarray(np.power(10.0, np.clip(plain, -300, 300)) if self.log else plain, dtype=np.float64)

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        return asdict(self)
