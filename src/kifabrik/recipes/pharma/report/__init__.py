"""A report of a model for chemists: one HTML file that needs no network, no script and no font."""

from kifabrik.recipes.pharma.report.page import write_report

__all__ = ["write_report"]
