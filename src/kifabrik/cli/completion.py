"""`kifabrik completion`."""

import click
from click.shell_completion import get_completion_class

from kifabrik.cli.main import cli
from kifabrik.errors import UsageError


@click.command(
    epilog="""\b
    Example, in ~/.bashrc:
      eval "$(kifabrik completion bash)"
    """
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL."""
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell}")
    click.echo(kind(cli, {}, "kifabrik", "_KIFABRIK_COMPLETE").source())
