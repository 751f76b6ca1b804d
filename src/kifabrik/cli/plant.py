"""`kifabrik plant`."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "schedule": ("kifabrik.cli.plant_schedule:schedule", "Schedule a trace of jobs and compare policies."),
        "placement": ("kifabrik.cli.plant_placement:placement", "Compare how policies place parts of GPUs."),
    },
)
def plant() -> None:
    """The digital twin of a site: power, cooling, river, heat, reports."""
