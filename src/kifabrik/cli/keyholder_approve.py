"""`kifabrik keyholder approve`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import key_file_option, passphrase_option, unlocked


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder approve r-k3v6…
    """
)
@click.argument("run")
@passphrase_option
@key_file_option
@home_option
@json_option
def approve(run: str, passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool) -> None:
    """Let the request of RUN go on. Everything else about it is still checked.

    Of a sweep, one word is for all its tasks, those to come included.
    """
    with unlocked(home, passphrase_file, key_file) as keyholder:
        keyholder.approve(run)
    if as_json:
        show_json({"approved": run})
        return
    done(f"{run} is approved")
