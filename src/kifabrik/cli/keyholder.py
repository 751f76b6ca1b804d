"""`kifabrik keyholder`: run, status, asked, approve, deny, freeze, thaw, key-file, backup, restore."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "run": ("kifabrik.cli.keyholder_run:run", "Serve: answer requests for keys, by the rules you gave."),
    },
)
def keyholder() -> None:
    """Run and steer the keyholder: the one who releases keys, and only on record."""
