"""`kifabrik node`: init, serve."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "init": ("kifabrik.cli.node_init:init", "Make this machine a node of a cluster's factory."),
        "serve": ("kifabrik.cli.node_serve:serve", "Serve the jobs the cluster's scheduler puts here."),
    },
)
def node() -> None:
    """Look after a node of a cluster: its key and its agent."""
