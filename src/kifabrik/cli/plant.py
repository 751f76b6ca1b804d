"""`kifabrik plant`."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(cls=LazyGroup, lazy={})
def plant() -> None:
    """The digital twin of a site: power, cooling, river, heat, reports."""
