"""`kifabrik ledger export`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.customer.record import export_log, keep_cosigned_head
from kifabrik.customer.session import open_session


@click.command(
    epilog="""\b
    Example:
      kifabrik ledger export ./for-the-auditor
    """
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--offline", is_flag=True, help="Use this machine's copy as it is.")
@home_option
@json_option
def export(folder: Path, offline: bool, home: Path, as_json: bool) -> None:
    """Write the log to FOLDER (c2sp.org/tlog-tiles), for anybody to verify without kifabrik's help."""
    if not offline:
        with open_session(home) as session:
            keep_cosigned_head(session)
    size = export_log(home, folder)
    if as_json:
        show_json({"folder": str(folder), "entries": size})
        return
    done(f"The log is in {folder}; check it with: kifabrik ledger verify --folder {folder}")
