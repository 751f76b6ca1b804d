"""`kifabrik admin backup`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import counted, done, remark, show_json, transfer
from kifabrik.values import format_size
from kifabrik.wiring.backup import back_up
from kifabrik.wiring.objects import stored_bytes


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin backup /mnt/backup/factory
      kifabrik admin backup /mnt/backup/factory      the next day: only what is new
    """
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@home_option
@json_option
def backup(folder: Path, home: Path, *, as_json: bool) -> None:
    """Copy database, objects, log keys and settings to FOLDER, beside the running service.

    Again into the same FOLDER copies what is new, and deletes what the factory has deleted: an erasure reaches it.
    Whoever has FOLDER can sign as this factory's logs, and opens nothing of its customers. To restore, stop the
    service, put FOLDER in the place of HOME/factory, start, `kifabrik admin check --deep`; and tell your customers
    before: their keyholders refuse a log that was rolled back. Of a database on PostgreSQL, FOLDER/factory.dump is
    made with pg_dump; give it to pg_restore before you start.
    """
    source = home / "factory"
    if as_json:
        show_json({"folder": str(folder), **asdict(back_up(source, folder))})
        return
    with transfer("backing up", stored_bytes(source)) as told:
        found = back_up(source, folder, told)
    done(f"{counted(found.objects, 'object')}, {format_size(found.size)}, and the database in {folder}")
    remark(f"  {counted(found.copied, 'object')} new, {found.removed} deleted since")
