"""`kifabrik plant report`."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "enefg": ("kifabrik.cli.plant_report_enefg:enefg", "Thresholds and register fields of German and EU law."),
        "site": (
            "kifabrik.cli.plant_report_site:site",
            "What a year says for runs' footprints: [site] of a factory.",
        ),
        "year": ("kifabrik.cli.plant_report_year:year", "Write a year's report as HTML and one page of PDF."),
    },
)
def report() -> None:
    """Report a year of a site."""
