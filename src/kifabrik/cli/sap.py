"""`kifabrik sap`."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(cls=LazyGroup, lazy={})
def sap() -> None:
    """Bring SAP data in sealed, and results back."""
