"""`kifabrik admin database`: copy."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={"copy": ("kifabrik.cli.admin_database_copy:copy", "Move the rows into another database.")},
)
def database() -> None:
    """Look after the factory's database."""
