"""`kifabrik node`: init, serve, attest, prolog, epilog."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "init": ("kifabrik.cli.node_init:init", "Make this machine a node of a cluster's factory."),
        "serve": ("kifabrik.cli.node_serve:serve", "Serve the jobs the cluster's scheduler puts here."),
        "attest": ("kifabrik.cli.node_attest:attest", "Let the node's TPM show what the node booted into."),
        "prolog": ("kifabrik.cli.node_prolog:prolog", "See that this node is fit for a job (called by slurmd)."),
        "epilog": ("kifabrik.cli.node_epilog:epilog", "Clear away what a job has left (called by slurmd)."),
    },
)
def node() -> None:
    """Look after a node: its keys, its agent, and what is done before and after its jobs."""
