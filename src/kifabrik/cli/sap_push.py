"""`kifabrik sap push`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.sap_secret import store_of, store_options
from kifabrik.cli.terminal import done, remark, show_json, show_table

if TYPE_CHECKING:
    from kifabrik.connectors.sap.push import Difference

_SHOWN: Final = 20


@click.command(
    epilog="""\b
    Examples:
      kifabrik sap push back.yaml forecast.parquet
      kifabrik sap push back.yaml forecast.parquet --apply
    """
)
@click.argument("plan", type=click.Path(path_type=Path))
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--apply", "write_it", is_flag=True, help="Write; without it, nothing is written.")
@store_options
@home_option
@json_option
def push(
    plan: Path,
    results: Path,
    write_it: bool,
    passphrase_file: Path | None,
    key_file: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Compare RESULTS (Parquet or CSV) with what a service has; write the difference with --apply.

    PLAN says where results go, how many rows may change, and who confirms it. Nothing is deleted, and
    writing a second time changes nothing.
    """
    from kifabrik.connectors.sap.asking import caller_of  # noqa: PLC0415 - slow to import
    from kifabrik.connectors.sap.plan import read_push_plan  # noqa: PLC0415
    from kifabrik.connectors.sap.push import compare  # noqa: PLC0415
    from kifabrik.connectors.sap.writing import write  # noqa: PLC0415

    read = read_push_plan(plan)
    with caller_of(read, store_of(home, passphrase_file, key_file)) as caller:
        difference, entity, service = compare(caller, read, results)
        written = write(caller, service, entity, difference, together=read.limits.batch) if write_it else None
    if as_json:
        show_json({"difference": asdict(difference), "written": asdict(written) if written else None})
        return
    _show(difference)
    if written is None:
        remark("Dry run: nothing was written. To write, add --apply.")
        return
    done(f"{difference.entity_set}: {written.added:,} rows added, {written.changed:,} changed")


def _show(difference: "Difference") -> None:
    rows = [
        (
            " ".join(str(value) for value in change.key.values()),
            name,
            "" if change.before is None else change.before[name],
            change.after[name],
        )
        for change in difference.changes[:_SHOWN]
        for name in change.fields
    ]
    if rows:
        show_table(["ROW", "FIELD", "BEFORE", "AFTER"], rows, right=(2, 3))
    if len(difference.changes) > _SHOWN:
        remark(f"… and {len(difference.changes) - _SHOWN:,} rows more; --json shows all.")
    remark(
        f"{difference.entity_set}: {difference.added:,} rows to add, {difference.changed:,} to change, "
        f"{difference.same:,} are so already."
    )
