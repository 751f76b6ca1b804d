"""`kifabrik sap pull`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.sap_secret import store_of, store_options
from kifabrik.cli.terminal import counted, done, remark, show_json, show_table, warn

if TYPE_CHECKING:
    from kifabrik.connectors.sap.pull import Pulled


@click.command(
    epilog="""\b
    Examples:
      kifabrik sap pull plan.yaml
      kifabrik sap pull plan.yaml --again
    """
)
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--again", is_flag=True, help="Take all of it, whatever an earlier pull has.")
@store_options
@home_option
@json_option
def pull(
    plan: Path, again: bool, passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool
) -> None:
    """Pull what PLAN names and seal it as the next version of its dataset.

    Rows are sealed as they come: none is written to this machine's disk in the clear. An interrupted
    pull goes on where it stopped when you repeat the command. Where the service tracks changes, the
    next pull takes only those.
    """
    from kifabrik.connectors.sap.plan import read_plan  # noqa: PLC0415 - slow to import
    from kifabrik.connectors.sap.pull import pull as pull_plan  # noqa: PLC0415
    from kifabrik.customer.session import open_session  # noqa: PLC0415

    read = read_plan(plan)
    store = store_of(home, passphrase_file, key_file)
    if not as_json:
        remark(f"Confirmed by {read.confirmed.by} on {read.confirmed.on}: {read.confirmed.because}")
    with open_session(home) as session, pulling(quiet=as_json) as on_rows:
        pulled = pull_plan(session, read, again=again, store=store, on_rows=on_rows)
    if as_json:
        show_json(asdict(pulled))
        return
    show_pulled(pulled)


def show_pulled(pulled: "Pulled") -> None:
    """Print what was taken and sealed."""
    for warning in pulled.warnings:
        warn(warning)
    rows = [
        (name, "changes" if one.changes else "all", f"{taken:,}", f"{one.removed:,}" if one.changes else "", total)
        for one in pulled.sets
        for name, taken in one.rows.items()
        for total in [f"{one.total:,}" if name == one.name else ""]
    ]
    show_table(["TABLE", "TAKEN", "ROWS", "GONE", "IN ALL"], rows, right=(2, 3, 4))
    sealed = pulled.sealed
    done(
        f"{sealed.name}@{sealed.version}: {counted(sealed.files, 'file')} sealed, {sealed.reused} of them before; "
        f"entry {sealed.log_index} of the ledger"
    )


@contextmanager
def pulling(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for the entity set that is being pulled, on a terminal; gives what counts its rows."""
    with ExitStack() as bars:
        shown: dict[str, Callable[[int], None] | None] = {}
        done = dict[str, int]()

        def count(name: str, rows: int, total: int) -> None:
            if name not in shown:
                bars.close()  # sets are pulled one after the other
                shown[name] = bars.enter_context(counting(name, total if total >= 0 else None, quiet=quiet))
            advance = shown[name]
            if advance is not None:
                advance(rows - done.get(name, 0))
            done[name] = rows

        yield count
