"""`kifabrik keyholder deny`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import key_file_option, passphrase_option, unlocked


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder deny r-k3v6…
    """
)
@click.argument("run")
@passphrase_option
@key_file_option
@home_option
@json_option
def deny(run: str, passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool) -> None:
    """Refuse the request of RUN."""
    with unlocked(home, passphrase_file, key_file) as keyholder:
        keyholder.deny(run)
    if as_json:
        show_json({"denied": run})
        return
    done(f"{run} is denied")
