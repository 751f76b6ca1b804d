"""`kifabrik plant report`."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "year": ("kifabrik.cli.plant_report_year:year", "Write a year's report as HTML and one page of PDF."),
    },
)
def report() -> None:
    """Report a year of a site."""
