"""Which molecules a screen leaves out: limits of simple properties, and published structural alerts.

Sources: rule of five, Lipinski et al., Adv. Drug Deliv. Rev. 23 (1997) 3; oral bioavailability, Veber et al.,
J. Med. Chem. 45 (2002) 2615; lead-like, Teague et al., Angew. Chem. Int. Ed. 38 (1999) 3743, with the numbers ZINC
uses; alerts from RDKit's FilterCatalog (PAINS: Baell and Holloway, J. Med. Chem. 53 (2010) 2719; Brenk et al.,
ChemMedChem 3 (2008) 435; NIH: Doveston et al., Org. Biomol. Chem. 13 (2015) 859).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final

from rdkit.Chem import Mol, rdMolDescriptors
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

from kifabrik.errors import UsageError


class Property(Enum):
    """A property that can be limited."""

    WEIGHT = "weight"
    LOGP = "logp"
    DONORS = "donors"
    ACCEPTORS = "acceptors"
    SURFACE = "tpsa"
    ROTATABLE = "rotatable"
    RINGS = "rings"
    HEAVY_ATOMS = "heavy"


_MEASURES: Final[dict[Property, Callable[[Mol], float]]] = {
    Property.WEIGHT: rdMolDescriptors._CalcMolWt,  # noqa: SLF001 - RDKit names it so
    Property.LOGP: lambda molecule: rdMolDescriptors.CalcCrippenDescriptors(molecule)[0],
    Property.DONORS: rdMolDescriptors.CalcNumHBD,
    Property.ACCEPTORS: rdMolDescriptors.CalcNumHBA,
    Property.SURFACE: rdMolDescriptors.CalcTPSA,
    Property.ROTATABLE: rdMolDescriptors.CalcNumRotatableBonds,
    Property.RINGS: rdMolDescriptors.CalcNumRings,
    Property.HEAVY_ATOMS: lambda molecule: molecule.GetNumHeavyAtoms(),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A range of a property.

    Attributes:
        property: What is limited.
        low: Least value.
        high: Largest value.
    """

    property: Property
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def from_text(cls, text: str) -> "Limit":
        """Read `weight=200..500`, `logp=..5` or `rings=1..`.

        Raises:
            UsageError: The text is none of these.
        """
        name, _, bounds = text.partition("=")
        low, dots, high = bounds.partition("..")
        try:
            limit = cls(
                Property(name.strip().lower()),
                float(low) if low.strip() else -math.inf,
                float(high) if high.strip() else math.inf,
            )
        except ValueError:
            limit = None
        if limit is None or not dots or not limit.low <= limit.high:
            raise UsageError(
                f"The limit {text!r} cannot be read.",
                hint=f"Write weight=200..500 or logp=..5. There are: {', '.join(one.value for one in Property)}.",
            )
        return limit


RULES: Final[dict[str, tuple[Limit, ...]]] = {
    "lipinski": (
        Limit(Property.WEIGHT, high=500),
        Limit(Property.LOGP, high=5),
        Limit(Property.DONORS, high=5),
        Limit(Property.ACCEPTORS, high=10),
    ),
    "veber": (Limit(Property.ROTATABLE, high=10), Limit(Property.SURFACE, high=140)),
    "lead-like": (
        Limit(Property.WEIGHT, 250, 350),
        Limit(Property.LOGP, high=3.5),
        Limit(Property.ROTATABLE, high=7),
    ),
}
"""Named sets of limits."""


class Alerts(Enum):
    """A published catalogue of structural alerts; the value is RDKit's name in lower case."""

    PAINS = "pains"
    BRENK = "brenk"
    NIH = "nih"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a molecule must fulfil.

    Attributes:
        limits: Of properties.
        alerts: Catalogues of which no entry may match.
    """

    limits: tuple[Limit, ...] = ()
    alerts: tuple[Alerts, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.limits or self.alerts)

    def reason(self, molecule: Mol) -> str:
        """Why a molecule is left out; empty if it is not."""
        for limit in self.limits:
            value = float(_MEASURES[limit.property](molecule))
            if not limit.low <= value <= limit.high:
                bound = limit.low if value < limit.low else limit.high
                side = "below" if value < limit.low else "above"
                return f"{limit.property.value} {value:.4g} is {side} {bound:g}"
        for alerts in self.alerts:
            match = _catalogue(alerts).GetFirstMatch(molecule)
            if match is not None:
                return f"{alerts.value} alert: {match.GetDescription()}"
        return ""


NO_FILTERS: Final = Filters()


@cache
def _catalogue(alerts: Alerts) -> Any:
    return FilterCatalog(getattr(FilterCatalogParams.FilterCatalogs, alerts.name))
