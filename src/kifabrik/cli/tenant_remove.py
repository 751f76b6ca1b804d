"""`kifabrik tenant remove`."""

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import StewardKeys, steward_options


@click.command(
    epilog="""\b
    Example:
      kifabrik tenant remove "Anna Huber"
    """
)
@click.argument("member")
@steward_options
@json_option
def remove(member: str, keys: StewardKeys, as_json: bool) -> None:
    """Remove MEMBER, by name or id. The keyholder gives their devices nothing from this moment on."""
    with keys.open() as steward:
        steward.remove_member(member)
    if as_json:
        show_json({"removed": member})
        return
    done(f"{member} is removed: in force here at once, and on its way to the factory")
