"""`kifabrik tenant remove`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import open_steward, passphrase_option, tenant_key_option


@click.command(
    epilog="""\b
    Example:
      kifabrik tenant remove "Anna Huber"
    """
)
@click.argument("member")
@passphrase_option
@tenant_key_option
@home_option
@json_option
def remove(member: str, passphrase_file: Path | None, tenant_key: Path | None, home: Path, as_json: bool) -> None:
    """Remove MEMBER, by name or id. The keyholder gives their devices nothing from this moment on."""
    with open_steward(home, passphrase_file, tenant_key) as steward:
        steward.remove_member(member)
    if as_json:
        show_json({"removed": member})
        return
    done(f"{member} is removed: in force here at once, and on its way to the factory")
