"""`kifabrik ledger`: show, verify, export."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "show": ("kifabrik.cli.ledger_show:show", "Show who did what with which data."),
        "verify": ("kifabrik.cli.ledger_verify:verify", "Recompute and check the whole log; needs no server."),
        "export": ("kifabrik.cli.ledger_export:export", "Write the log as a folder anybody can verify."),
    },
)
def ledger() -> None:
    """Show and verify the record of every use of your data."""
