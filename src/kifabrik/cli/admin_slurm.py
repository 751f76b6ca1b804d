"""`kifabrik admin slurm`: sync."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={"sync": ("kifabrik.cli.admin_slurm_sync:sync", "Bring Slurm's accounts in step with the tenants.")},
)
def slurm() -> None:
    """Look after the Slurm cluster the factory's runs go to."""
