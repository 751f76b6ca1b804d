"""`kifabrik sap upload` and `kifabrik sap share`: the ways in without OData."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.sap import require
from kifabrik.cli.sap_secret import store_of, store_options
from kifabrik.cli.terminal import counted, done, show_json, show_table

if TYPE_CHECKING:
    from kifabrik.connectors.sap.bring import Brought


@click.command(
    epilog="""\b
    Example:
      kifabrik sap upload files.yaml
    """
)
@click.argument("plan", type=click.Path(path_type=Path))
@home_option
@json_option
def upload(plan: Path, home: Path, as_json: bool) -> None:
    """Seal the CSV or Parquet files PLAN names, with the types it gives their columns.

    Values that do not fit their type exactly are refused; nothing else is written than sealed parts.
    """
    from kifabrik.connectors.sap.bring import upload as bring  # noqa: PLC0415 - slow to import
    from kifabrik.connectors.sap.file_plan import read_upload_plan  # noqa: PLC0415
    from kifabrik.customer.session import open_session  # noqa: PLC0415

    read = read_upload_plan(plan)
    with open_session(home) as session:
        brought = bring(session, read)
    _show(brought, as_json=as_json)


@click.command(
    epilog="""\b
    Example:
      export SHARE="$(cat profile.share)"; kifabrik sap share share.yaml
    """
)
@click.argument("plan", type=click.Path(path_type=Path))
@store_options
@home_option
@json_option
def share(plan: Path, passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool) -> None:
    """Seal tables that Datasphere or Business Data Cloud share by Delta Sharing.

    Their files are fetched into memory and sealed; none is written to this machine's disk in the clear.
    """
    require("sap", "delta_sharing")
    from kifabrik.connectors.sap.bring import take_share  # noqa: PLC0415 - slow to import
    from kifabrik.connectors.sap.file_plan import read_share_plan  # noqa: PLC0415
    from kifabrik.customer.session import open_session  # noqa: PLC0415

    read = read_share_plan(plan)
    with open_session(home) as session:
        brought = take_share(session, read, store_of(home, passphrase_file, key_file))
    _show(brought, as_json=as_json)


def _show(brought: "Brought", *, as_json: bool) -> None:
    if as_json:
        show_json(asdict(brought))
        return
    show_table(["TABLE", "ROWS"], [(name, f"{rows:,}") for name, rows in brought.rows.items()], right=(1,))
    sealed = brought.sealed
    files = counted(sealed.files, "file")
    done(f"{sealed.name}@{sealed.version}: {files} sealed; entry {sealed.log_index} of the ledger")
