"""`kifabrik model`: ls, pull, verify, accept."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "ls": ("kifabrik.cli.model_ls:ls", "List models with their versions and what they were made from."),
        "pull": ("kifabrik.cli.model_pull:pull", "Verify a model's whole chain, then open it here."),
        "verify": ("kifabrik.cli.model_verify:verify", "Verify a model's chain without opening it."),
        "promote": (
            "kifabrik.cli.model_promote:promote_command",
            "Make the best task of a sweep the next version.",
        ),
        "accept": ("kifabrik.cli.model_accept:accept", "Sign a pulled model (OpenSSF) and put it on record."),
    },
)
def model() -> None:
    """List, pull, verify and accept models: the outputs of your runs, by job name and version."""
