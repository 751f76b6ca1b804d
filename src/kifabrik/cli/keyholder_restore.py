"""`kifabrik keyholder restore`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.cli.text_files import text_of
from kifabrik.cli.unlock import FOLDER, ask_passphrase, passphrase_option, tenant_key_option
from kifabrik.keyholder.restore import restore as restore_keyholder

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder restore /media/safe/keyholder-2026-11.backup
    """
)
@click.argument("path", type=_FILE)
@click.option("--backup-passphrase-file", type=_FILE, help="File with the passphrase of the backup.")
@click.option(
    "--known-head",
    "known_heads",
    type=_FILE,
    multiple=True,
    help="A tree head a member has seen since; the log must contain it too. May be repeated.",
)
@passphrase_option
@tenant_key_option
@home_option
@json_option
def restore(
    path: Path,
    backup_passphrase_file: Path | None,
    known_heads: tuple[Path, ...],
    passphrase_file: Path | None,
    tenant_key: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Make a keyholder in HOME/keyholder from the backup at PATH.

    It gets a new witness key and says so in the log, replays every erasure, removal and revocation from
    there, and refuses a log that was forked or rolled back since the backup.
    """
    restore_keyholder(
        home / FOLDER,
        path,
        ask_passphrase(backup_passphrase_file, what="Passphrase of the backup"),
        ask_passphrase(passphrase_file, confirm=True, what="Passphrase for the new folder"),
        tenant_key=tenant_key,
        known_heads=tuple(text_of(head) for head in known_heads),
        say=lambda event: None if as_json else remark(f"  {event.text}"),
    )
    if as_json:
        show_json({"restored": str(home / FOLDER)})
        return
    done(f"The keyholder is restored in {home / FOLDER}")
    remark("  Next: kifabrik keyholder run, and a new backup.")
