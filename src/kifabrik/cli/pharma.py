"""`kifabrik pharma`."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(cls=LazyGroup, lazy={})
def pharma() -> None:
    """Models and screening for confidential compounds."""
