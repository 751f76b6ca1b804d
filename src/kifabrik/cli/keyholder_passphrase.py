"""`kifabrik keyholder passphrase`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import ask_passphrase, key_file_option, passphrase_option, unlocked


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder passphrase
    """
)
@click.option(
    "--new-passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the new passphrase; asked for without it.",
)
@passphrase_option
@key_file_option
@home_option
@json_option
def passphrase(
    new_passphrase_file: Path | None,
    passphrase_file: Path | None,
    key_file: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Protect the keyholder with another passphrase. The tenant key keeps its own."""
    with unlocked(home, passphrase_file, key_file) as keyholder:
        keyholder.change_passphrase(ask_passphrase(new_passphrase_file, confirm=True, what="New passphrase"))
    if as_json:
        show_json({"changed": True})
        return
    done("The keyholder opens with the new passphrase only; backups keep theirs")
