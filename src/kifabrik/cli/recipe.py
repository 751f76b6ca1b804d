"""`kifabrik recipe`: industrial workloads as sealed jobs."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "ls": ("kifabrik.cli.recipe_ls:ls", "List recipes and what can be set."),
        "new": ("kifabrik.cli.recipe_new:new", "Write a recipe's folder: job file, requirements, code."),
    },
)
def recipe() -> None:
    """Industrial workloads as sealed jobs: data goes in sealed, results come back sealed."""
