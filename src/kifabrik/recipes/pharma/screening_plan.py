"""What a screen is asked to do, and how it is told apart from any other screen."""

import hashlib
import json
import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.filters import NO_FILTERS, Filters
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.picking import Picking, check

_FORMAT: Final = 1
"""Raised when the same settings give other hits."""
_AT_ONCE: Final = 1 << 20


class First(Enum):
    """What scores every molecule of the library before the full model sees the best."""

    LEARNT = "learnt"
    SIMILARITY = "similarity"
    NONE = "none"


class Stage(Enum):
    """A stage of the work, as progress shows it."""

    COUNTING = "Counting rows"
    SAMPLING = "Learning from a sample"
    FIRST = "First stage"
    SECOND = "Second stage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A screen.

    Attributes:
        model: Folder of the full model.
        library: What is screened.
        out: Folder of the results.
        first: What the first stage is.
        actives: Known actives, for a first stage by similarity.
        keep: Per cent of the library that the full model sees.
        sample: Molecules that the small model learns from.
        hits: Molecules in the result.
        diverse: How many of them are picked to be unlike each other.
        picking: How they are picked.
        low_is_better: Whether hits are those with the smallest values.
        only_in_domain: Whether hits must lie in the model's domain.
        filters: What hits must fulfil.
        seed: Of all luck.
        workers: Processes; they change nothing but the time.
    """

    model: Path
    library: Library
    out: Path
    first: First = First.LEARNT
    actives: Library | None = None
    keep: float = 5.0
    sample: int = 5_000
    hits: int = 1_000
    diverse: int = 0
    picking: Picking = Picking.MAXMIN
    low_is_better: bool = False
    only_in_domain: bool = False
    filters: Filters = NO_FILTERS
    seed: int = 1
    workers: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 100:  # noqa: PLR2004 - per cent
            raise UsageError(f"{self.keep:g} per cent cannot be kept.", hint="Give more than 0, 100 at most.")
        if (self.first is First.SIMILARITY) != (self.actives is not None):
            raise UsageError(
                "A first stage by similarity and known actives go together.",
                hint="Give both --first similarity and --actives FILE, or neither.",
            )
        if self.diverse:
            check(self.picking, self.hits)

    def identity(self, rows: int) -> dict[str, Any]:
        """All that the result depends on, as plain values.

        Args:
            rows: Of the library.

        Raises:
            UsageError: A file cannot be read.
        """
        return {
            "format": _FORMAT,
            "library": {
                "name": self.library.path.name,
                "sha256": _digest(self.library.path),
                "smiles_column": self.library.smiles_column,
                "id_column": self.library.id_column,
                "rows": rows,
            },
            "model": _digest(self.model / "model.json"),
            "first": self.first.value,
            "actives": _digest(self.actives.path) if self.actives else None,
            "keep_percent": self.keep,
            "sample": self.sample,
            "hits": self.hits,
            "diverse": self.diverse,
            "picking": self.picking.value,
            "low_is_better": self.low_is_better,
            "only_in_domain": self.only_in_domain,
            "limits": [
                {
                    "property": limit.property.value,
                    "low": limit.low if math.isfinite(limit.low) else None,
                    "high": limit.high if math.isfinite(limit.high) else None,
                }
                for limit in self.filters.limits
            ],
            "alerts": [alerts.value for alerts in self.filters.alerts],
            "seed": self.seed,
        }


def same(identity: dict[str, Any], path: Path) -> bool:
    """Whether a file holds this identity."""
    try:
        return bool(json.loads(path.read_text()) == identity)
    except (OSError, ValueError):
        return False


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_AT_ONCE):
                found.update(block)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the path.") from error
    return found.hexdigest()
