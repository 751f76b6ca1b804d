"""`kifabrik keyholder asked`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.cli.unlock import key_file_option, passphrase_option, unlocked


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder asked
    """
)
@passphrase_option
@key_file_option
@home_option
@json_option
def asked(passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool) -> None:
    """List requests that wait for a person, because a grant or the order asks for one."""
    with unlocked(home, passphrase_file, key_file) as keyholder:
        found = keyholder.asked()
    if as_json:
        show_json([asdict(one) for one in found])
        return
    if not found:
        remark("Nothing waits.")
        return
    show_table(
        ["RUN", "WHO", "PURPOSE", "WHY", "UNTIL"],
        [(one.run, one.member, one.purpose, one.note, one.deadline) for one in found],
    )
    for one in found:
        remark(f"{one.run} uses {', '.join(one.inputs) or 'no data'}")
    remark("Decide with: kifabrik keyholder approve RUN, or deny RUN")
