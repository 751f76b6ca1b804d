"""A report of a study for people who decide: one HTML file, in German or English, that prints well."""

from collections.abc import Sequence
from pathlib import Path

from kifabrik.durable import make_folder, write_whole
from kifabrik.recipes.supply_chain.report.numerals import Language
from kifabrik.recipes.supply_chain.results import Results
from kifabrik.recipes.supply_chain.studies import CriticalNode, Frontier, OutageResult

__all__ = ["Language", "write_report"]


def write_report(
    results: Results,
    folder: Path,
    *,
    language: Language,
    outages: Sequence[OutageResult] = (),
    critical: Sequence[CriticalNode] = (),
    frontier: Frontier | None = None,
) -> Path:
    """Write the report of a study.

    The file needs nothing else: no network, no script, no font. Names from the tables are escaped.

    Args:
        results: What was simulated.
        folder: Where the file goes; it is made if it is not there.
        language: Of the reader.
        outages: Outages that were studied, for recovery curves.
        critical: Nodes whose failure was studied; the ten most critical are shown.
        frontier: Plans that trade service against cash.

    Returns:
        The file, `report-LANGUAGE.html`; one that was there is replaced.

    Raises:
        OSError: If it cannot be written, such as on a full disk; what was there before still is.
    """
    from kifabrik.recipes.supply_chain.report.page import page  # noqa: PLC0415 - slow to import

    text = page(results, language, outages, critical, frontier)
    make_folder(folder)
    path = folder / f"report-{language}.html"
    write_whole(path, text.encode(), mode=0o644)
    return path
