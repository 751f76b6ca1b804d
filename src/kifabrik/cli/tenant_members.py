"""`kifabrik tenant members`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import show_json, show_table
from kifabrik.customer.session import open_session


@click.command(
    epilog="""\b
    Example:
      kifabrik tenant members
    """
)
@home_option
@json_option
def members(home: Path, as_json: bool) -> None:
    """List members as the factory knows them: by random ids. Names are with the keyholder."""
    with open_session(home) as session:
        views = session.tenants.members()
    if as_json:
        show_json([view.model_dump(mode="json") for view in views])
        return
    show_table(
        ["MEMBER", "ROLE", "DEVICE", ""],
        [
            (view.member, view.role.value, view.device[:16] or "none yet", "removed" if view.removed else "")
            for view in views
        ],
    )
