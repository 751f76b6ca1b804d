"""`kifabrik node`: attest."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "attest": ("kifabrik.cli.node_attest:attest", "Let the node's TPM show what the node booted into."),
    },
)
def node() -> None:
    """Look after a node: its attestation."""
