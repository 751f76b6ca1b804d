"""`kifabrik admin database copy`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import counted, done, remark, show_json, warn
from kifabrik.errors import IntegrityError
from kifabrik.wiring.database_copy import DatabaseMove, Moved


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin database copy postgresql://kifabrik@db.example/kifabrik
      kifabrik admin database copy postgresql:///?service=kifabrik
      kifabrik admin database copy postgresql://kifabrik@db.example/kifabrik --password-file /etc/kifabrik/database
    """
)
@click.argument("address")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Holds the password; left out, libpq looks where it always does.",
)
@home_option
@json_option
def copy(address: str, password_file: Path | None, home: Path, *, as_json: bool) -> None:
    """Copy all rows of the factory into the empty database at ADDRESS, and compare them there.

    Stop the service first; runs go on meanwhile. Afterwards no service starts on the old database any more: name
    the new one in factory.toml, as is said at the end. The same command leads back, to sqlite:///FILE.
    """
    password_file = password_file.resolve() if password_file else None
    move = DatabaseMove(home / "factory", address, password_file)
    if as_json:
        moved = move.run()
        findings = [asdict(one) for one in moved.findings]
        show_json({"ok": not findings, "tables": [asdict(one) for one in moved.tables], "findings": findings})
        click.get_current_context().exit(IntegrityError.exit_status if findings else 0)
    with counting("copying and comparing", 2 * move.rows(), quiet=False) as told:
        moved = move.run(told)
    _show(moved, password_file)


def _show(moved: Moved, password_file: Path | None) -> None:
    rows = sum(one.rows for one in moved.tables)
    done(f"{counted(rows, 'row')} in {len(moved.tables)} tables are in {moved.target}, compared one by one")
    for finding in moved.findings:
        warn(str(finding))
        remark(f"  {finding.do}")
    remark("  Put this at the top of factory.toml, and start the service:")
    click.echo(f'database = "{moved.target}"')
    if password_file is not None:
        click.echo(f'database_password_file = "{password_file}"')
    remark(f"  No service starts on {moved.left} any more. Delete it: what is erased stays readable in it.")
    if moved.findings:
        raise IntegrityError(
            "the factory on its new database does not agree", hint="kifabrik admin check says more."
        )
