"""`kifabrik maintenance`: watch machines by their readings."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "example": ("kifabrik.cli.maintenance_example:example", "Write made-up readings to try things with."),
        "watch": ("kifabrik.cli.maintenance_watch:watch", "Learn what is usual; report when it was not."),
        "check": ("kifabrik.cli.maintenance_check:check", "Check new readings with what was learnt."),
    },
)
def maintenance() -> None:
    """Predictive maintenance: learn what is usual from CSV files or workbooks, and say when a machine was not.

    \b
    First steps:
      kifabrik maintenance example readings
      kifabrik maintenance watch readings --label Störung --given "Last [%]" --out result
      kifabrik maintenance check readings --model result
    """  # noqa: D301 - \b is click's mark for a block kept as it is
