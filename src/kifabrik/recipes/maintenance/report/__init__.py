"""A report for people who decide: one HTML file, in German or English, that loads nothing and prints well."""

from pathlib import Path

from kifabrik.durable import make_folder, write_whole
from kifabrik.recipes.maintenance.saying import Sayer
from kifabrik.recipes.maintenance.watching import Study

__all__ = ["write_report"]


def write_report(study: Study, folder: Path, sayer: Sayer, title: str) -> Path:
    """Write the report of a study into a folder, which is made if it is not there.

    Returns:
        The file, `report-LANGUAGE.html`; one that was there is replaced.
    """
    from kifabrik.recipes.maintenance.report.page import page  # noqa: PLC0415 - slow to import

    text = page(study, sayer, title)
    make_folder(folder)
    path = folder / f"report-{sayer.language}.html"
    write_whole(path, text.encode(), mode=0o644)
    return path
