"""`kifabrik keyholder backup`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.cli.unlock import ask_passphrase, key_file_option, passphrase_option, unlocked
from kifabrik.keyholder.backup import BACKUP_DAYS


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder backup /media/safe/keyholder-2026-11.backup
    """
)
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--days", default=BACKUP_DAYS, show_default=True, help="After which it lapses; destroy it by then.")
@click.option(
    "--backup-passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the passphrase of the backup; asked for without it.",
)
@passphrase_option
@key_file_option
@home_option
@json_option
def backup(
    path: Path,
    days: int,
    backup_passphrase_file: Path | None,
    passphrase_file: Path | None,
    key_file: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Write everything but the witness key to PATH, under a passphrase of its own, and register it.

    Until it lapses, an erasure names it as still holding the key.
    """
    with unlocked(home, passphrase_file, key_file) as keyholder:
        passphrase = ask_passphrase(backup_passphrase_file, confirm=True, what="Passphrase of the backup")
        made = keyholder.backup(path, passphrase, days=days)
    if as_json:
        show_json(asdict(made))
        return
    done(f"Backup {made.backup} is in {path}, until {made.expires}")
    remark("  Results of the next 32 runs are covered too; make a new one then. See docs/keyholder.md.")
