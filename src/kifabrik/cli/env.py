"""`kifabrik env`: verify."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={"verify": ("kifabrik.cli.env_verify:verify", "Rebuild a run's environment here and compare.")},
)
def env() -> None:
    """Rebuild and verify the Python environment of a run."""
