"""`kifabrik admin check`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json, warn
from kifabrik.errors import IntegrityError
from kifabrik.wiring.factory import open_factory


@click.command(
    epilog="""\b
    Example:
      kifabrik admin check --deep
    """
)
@click.option("--deep", is_flag=True, help="Also read every object and compare its digest.")
@home_option
@json_option
def check(deep: bool, home: Path, as_json: bool) -> None:
    """Check that database, objects and every tenant's ledger agree. The exit status is 6 if they do not.

    Works beside a running service; what is being uploaded at the moment is left out.
    """
    factory = open_factory(home / "factory")
    findings = [str(one) for one in factory.check.run(deep=deep)]
    factory.store.close()
    if as_json:
        show_json({"ok": not findings, "findings": findings})
    for finding in [] if as_json else findings:
        warn(finding)
    if findings:
        raise IntegrityError(
            f"{len(findings)} things do not agree", hint="Keep a copy of the folder before mending."
        )
    if not as_json:
        done("Database, objects and ledgers agree")
