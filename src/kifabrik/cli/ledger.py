"""`kifabrik ledger`: show, verify, report, export."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "show": ("kifabrik.cli.ledger_show:show", "Show who did what with which data."),
        "verify": ("kifabrik.cli.ledger_verify:verify", "Recompute and check the whole log; needs no server."),
        "report": ("kifabrik.cli.ledger_report:report", "Say who used which data for what, as a page to print."),
        "export": ("kifabrik.cli.ledger_export:export", "Write the log as a folder anybody can verify."),
    },
)
def ledger() -> None:
    """Show and verify the record of every use of your data."""
