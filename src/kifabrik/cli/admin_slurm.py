"""`kifabrik admin slurm`: sync, check."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "sync": ("kifabrik.cli.admin_slurm_sync:sync", "Bring Slurm's accounts in step with the tenants."),
        "check": ("kifabrik.cli.admin_slurm_check:check", "Check that the cluster is set up as the promises need."),
    },
)
def slurm() -> None:
    """Look after the Slurm cluster the factory's runs go to."""
