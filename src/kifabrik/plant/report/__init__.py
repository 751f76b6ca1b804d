"""The report of a year: HTML in German or English, and one page of PDF in German."""

from pathlib import Path

from kifabrik.durable import make_folder, write_whole
from kifabrik.plant.report.words import Language
from kifabrik.plant.studies import Study

__all__ = ["Language", "write_report", "write_sheet"]


def write_report(study: Study, folder: Path, language: Language) -> Path:
    """Write the report as `report-LANGUAGE.html`; one that was there is replaced.

    Args:
        study: What to show.
        folder: Where; it is made if it is not there.
        language: Of the reader.
    """
    from kifabrik.plant.report.page import page  # noqa: PLC0415 - slow to import

    make_folder(folder)
    path = folder / f"report-{language}.html"
    write_whole(path, page(study, language).encode(), mode=0o644)
    return path


def write_sheet(study: Study, folder: Path) -> Path:
    """Write the one page in German as `blatt.pdf`; one that was there is replaced.

    Args:
        study: What to show.
        folder: Where; it is made if it is not there.
    """
    from kifabrik.plant.report.sheet import sheet  # noqa: PLC0415 - slow to import

    make_folder(folder)
    path = folder / "blatt.pdf"
    write_whole(path, sheet(study), mode=0o644)
    return path
