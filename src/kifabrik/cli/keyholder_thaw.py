"""`kifabrik keyholder thaw`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import FOLDER, choose_unlock, key_file_option, passphrase_option
from kifabrik.keyholder.blocks import EVERYTHING
from kifabrik.keyholder.keyholder import open_keyholder


@click.command(
    epilog="""\b
    Examples:
      kifabrik keyholder thaw
      kifabrik keyholder thaw d-k3v6…
    """
)
@click.argument("subject", default=EVERYTHING)
@passphrase_option
@key_file_option
@home_option
@json_option
def thaw(subject: str, passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool) -> None:
    """Lift a freeze or an alarm, on everything or on one dataset, grant or member id."""
    with open_keyholder(home / FOLDER, choose_unlock(passphrase_file, key_file)) as keyholder:
        keyholder.thaw(subject)
    if as_json:
        show_json({"thawed": subject or "everything"})
        return
    done(f"{subject or 'Everything'} is thawed")
