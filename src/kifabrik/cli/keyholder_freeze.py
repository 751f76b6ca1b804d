"""`kifabrik keyholder freeze`."""

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
      kifabrik keyholder freeze
      kifabrik keyholder freeze d-k3v6…
    """
)
@click.argument("subject", default=EVERYTHING)
@passphrase_option
@key_file_option
@home_option
@json_option
def freeze(subject: str, passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool) -> None:
    """Release nothing any more: nothing at all, or nothing of one DATASET id. In force at once."""
    with open_keyholder(home / FOLDER, choose_unlock(passphrase_file, key_file)) as keyholder:
        keyholder.freeze(subject)
    if as_json:
        show_json({"frozen": subject or "everything"})
        return
    done(f"{subject or 'Everything'} is frozen")
