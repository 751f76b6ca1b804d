"""`kifabrik keyholder key-file`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.cli.unlock import FOLDER, ask_passphrase, passphrase_option
from kifabrik.keyholder.keyholder import open_keyholder
from kifabrik.keyholder.unlocking import Passphrase


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder key-file /etc/kifabrik/keyholder.key
    """
)
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@passphrase_option
@home_option
@json_option
def key_file(path: Path, passphrase_file: Path | None, home: Path, as_json: bool) -> None:
    """Write a key file to PATH that starts the keyholder without a passphrase; an earlier one ends."""
    with open_keyholder(home / FOLDER, Passphrase(ask_passphrase(passphrase_file))) as keyholder:
        keyholder.write_key_file(path)
    if as_json:
        show_json({"key_file": str(path)})
        return
    done(f"The key file is {path}: whoever has it and this folder is the keyholder")
    remark("  As a systemd credential: systemd-creds encrypt --name=kifabrik-keyholder PATH …")
