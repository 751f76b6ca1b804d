"""`kifabrik sap push`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.sap_secret import store_of, store_options
from kifabrik.cli.terminal import done, remark, show_json, show_table

if TYPE_CHECKING:
    from kifabrik.connectors.sap.plan import PushPlan
    from kifabrik.connectors.sap.push import Difference
    from kifabrik.connectors.sap.result_rows import Results
    from kifabrik.connectors.sap.secrets import SecretStore

_SHOWN: Final = 20


@click.command(
    epilog="""\b
    Examples:
      kifabrik sap push back.yaml forecast.parquet
      kifabrik sap push back.yaml --run ventile-forecast --file forecast.parquet
      kifabrik sap push back.yaml --run ventile-forecast --file forecast.parquet --apply
    """
)
@click.argument("plan", type=click.Path(path_type=Path))
@click.argument("results", type=click.Path(path_type=Path), required=False)
@click.option("--run", "run_name", help="Take the results of this run: its id, or a job's name for its newest.")
@click.option("--file", "run_file", default="", help="File in the run's outputs; default: its only Parquet or CSV.")
@click.option("--apply", "write_it", is_flag=True, help="Write; without it, nothing is written.")
@store_options
@home_option
@json_option
def push(
    plan: Path,
    results: Path | None,
    run_name: str | None,
    run_file: str,
    write_it: bool,
    passphrase_file: Path | None,
    key_file: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Compare results with what a service has; write the difference with --apply.

    RESULTS is a Parquet or CSV file. With --run they are those of a run, sealed as they lie in the factory:
    its chain of proofs is checked, the keyholder leases the key to this device, and the file is opened in
    memory, nowhere else.

    PLAN says where results go, how many rows may change, and who confirms it. Nothing is deleted, and
    writing a second time changes nothing.
    """
    from kifabrik.connectors.sap.plan import read_push_plan  # noqa: PLC0415 - slow to import
    from kifabrik.connectors.sap.result_rows import Results  # noqa: PLC0415

    if (results is None) == (run_name is None):
        raise click.UsageError("Name a file with results, or a run with --run.")
    if run_file and run_name is None:
        raise click.UsageError("--file names a file of a run: it goes with --run.")
    read = read_push_plan(plan)
    found = Results.of_file(results) if results is not None else _of_run(home, run_name or "", run_file, as_json)
    document = push_results(
        read, found, store_of(home, passphrase_file, key_file), write_it=write_it, quiet=as_json
    )
    if as_json:
        show_json(document)


def _of_run(home: Path, name: str, file: str, as_json: bool) -> "Results":
    from kifabrik.connectors.sap.run_results import open_run_file  # noqa: PLC0415 - slow to import
    from kifabrik.customer.session import open_session  # noqa: PLC0415

    with open_session(home) as session:
        found = open_run_file(session, name, file)
    if not as_json:
        remark(
            f"{found.output}/{found.path} of {found.run}: proven, and opened in memory "
            f"(lease: entry {found.lease_index} of the ledger)"
        )
    return found.results


def push_results(
    plan: "PushPlan", results: "Results", store: "SecretStore", *, write_it: bool, quiet: bool
) -> dict[str, Any]:
    """Compare results with a service, show the difference, write it if asked to, and return both."""
    from kifabrik.connectors.sap.asking import caller_of  # noqa: PLC0415 - slow to import
    from kifabrik.connectors.sap.push import compare  # noqa: PLC0415
    from kifabrik.connectors.sap.writing import write  # noqa: PLC0415

    with caller_of(plan, store) as caller:
        difference, entity, service = compare(caller, plan, results)
        if not quiet:
            _show(difference)
        written = None
        if write_it:
            with counting("Writing", len(difference.changes), quiet=quiet) as on_row:
                together = plan.limits.batch
                written = write(caller, service, entity, difference, together=together, on_row=on_row or _nothing)
    if not quiet and written is None:
        remark("Dry run: nothing was written. To write, add --apply.")
    elif not quiet and written is not None:
        done(f"{difference.entity_set}: {written.added:,} rows added, {written.changed:,} changed")
    return {"difference": asdict(difference), "written": asdict(written) if written else None}


def _nothing(_rows: int) -> None:
    """Nobody counts."""


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
