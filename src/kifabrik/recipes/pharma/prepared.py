"""The folder that `prepare` makes: `compounds.csv`, `rejects.csv` and `prepared.json`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.compounds import Compounds, read_compounds, write_compounds, write_table
from kifabrik.recipes.pharma.endpoints import Endpoint
from kifabrik.recipes.pharma.keeping import digest, fresh_folder, read_document, versions, write_document
from kifabrik.recipes.pharma.molecules import Standardiser
from kifabrik.recipes.pharma.preparing import Prepared
from kifabrik.recipes.pharma.rejects import ADVICE, Reject

COMPOUNDS: Final = "compounds.csv"
REJECTS: Final = "rejects.csv"
DOCUMENT: Final = "prepared.json"
_REJECT_COLUMNS: Final = ("file", "row", "id", "structure", "endpoint", "reason", "detail", "what_to_do")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where measurements came from.

    Attributes:
        name: Of the file.
        sha256: Of its bytes, as hex.
    """

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a table of compounds beside its rows.

    Attributes:
        endpoints: What was measured, by name.
        sources: Files it was made from.
        standardiser: How structures were cleaned up.
        bounds: How many measurements were left out because they are bounds (`<10`), by endpoint.
    """

    endpoints: dict[str, Endpoint] = field(hash=False)
    sources: tuple[Source, ...]
    standardiser: Standardiser
    bounds: dict[str, int] = field(default_factory=dict, hash=False)

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        return {
            "endpoints": [one.plain() for one in self.endpoints.values()],
            "sources": [{"name": one.name, "sha256": one.sha256} for one in self.sources],
            "standardiser": asdict(self.standardiser),
            "bounds": self.bounds,
        }

    @classmethod
    def of(cls, document: dict[str, Any], path: Path) -> "Facts":
        """Read them from a document.

        Raises:
            UsageError: If it does not hold them.
        """
        try:
            endpoints = [Endpoint.of(one) for one in document["endpoints"]]
            sources = tuple(Source(name=str(one["name"]), sha256=str(one["sha256"])) for one in document["sources"])
            standardiser = Standardiser(**document["standardiser"])
            bounds = {str(name): int(count) for name, count in document.get("bounds", {}).items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"{path} does not say what was measured.", hint="Make the folder again.") from error
        known = {one.name: one for one in endpoints}
        return cls(endpoints=known, sources=sources, standardiser=standardiser, bounds=bounds)


def save_prepared(
    prepared: Prepared, files: Sequence[Path], folder: Path, standardiser: Standardiser | None = None
) -> Facts:
    """Write a folder of prepared compounds.

    Args:
        prepared: What to write.
        files: Where it came from.
        folder: Where to; made if it is not there.
        standardiser: How structures were cleaned up.

    Returns:
        What the folder says of its table.

    Raises:
        UsageError: If the folder cannot be made.
    """
    fresh_folder(folder)
    (folder / DOCUMENT).unlink(missing_ok=True)
    write_compounds(folder / COMPOUNDS, prepared.compounds)
    write_rejects(folder / REJECTS, prepared.rejects)
    facts = Facts(
        endpoints={one.name: one for one in prepared.endpoints},
        sources=tuple(Source(name=path.name, sha256=digest(path)) for path in files),
        standardiser=standardiser or Standardiser(),
        bounds=prepared.bounds,
    )
    counts = Counter(one.reason.value for one in prepared.rejects)
    content = {
        **facts.plain(),
        "rows": prepared.rows,
        "compounds": len(prepared.compounds),
        "rejects": dict(sorted(counts.items())),
        "replicates": "median if they differ by no more than the tolerance, else none is taken",
        "tolerances": prepared.tolerances,
        "versions": versions(),
    }
    write_document(folder / DOCUMENT, "prepared", content)
    return facts


def load_prepared(folder: Path) -> tuple[Compounds, Facts]:
    """Read a folder that `save_prepared` wrote.

    Raises:
        UsageError: If it is not one.
    """
    document = read_document(folder / DOCUMENT, "prepared", "prepare")
    return read_compounds(folder / COMPOUNDS), Facts.of(document, folder / DOCUMENT)


def write_rejects(path: Path, rejects: Sequence[Reject]) -> None:
    """Write what was left out, with the reason of each."""
    rows = [
        (one.file, one.row, one.id, one.structure, one.endpoint, one.reason.value, one.detail, ADVICE[one.reason])
        for one in rejects
    ]
    write_table(path, _REJECT_COLUMNS, rows)
