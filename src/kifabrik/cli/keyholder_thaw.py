"""`kifabrik keyholder thaw`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import key_file_option, passphrase_option, unlocked
from kifabrik.keyholder.blocks import EVERYTHING


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
    with unlocked(home, passphrase_file, key_file) as keyholder:
        keyholder.thaw(subject)
    if as_json:
        show_json({"thawed": subject or "everything"})
        return
    done(f"{subject or 'Everything'} is thawed")
