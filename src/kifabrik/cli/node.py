"""`kifabrik node`: prolog, epilog."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "prolog": ("kifabrik.cli.node_prolog:prolog", "See that this node is fit for a job (called by slurmd)."),
        "epilog": ("kifabrik.cli.node_epilog:epilog", "Clear away what a job has left (called by slurmd)."),
    },
)
def node() -> None:
    """Work on a node of a Slurm cluster."""
