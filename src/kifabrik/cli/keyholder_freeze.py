"""`kifabrik keyholder freeze`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import key_file_option, passphrase_option, unlocked
from kifabrik.keyholder.blocks import EVERYTHING


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
    with unlocked(home, passphrase_file, key_file) as keyholder:
        keyholder.freeze(subject)
    if as_json:
        show_json({"frozen": subject or "everything"})
        return
    done(f"{subject or 'Everything'} is frozen")
