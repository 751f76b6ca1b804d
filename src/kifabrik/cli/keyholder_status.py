"""`kifabrik keyholder status`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json, show_table, warn
from kifabrik.cli.unlock import key_file_option, passphrase_option, unlocked
from kifabrik.keyholder.status import Status

_DAY = len("2026-01-01")


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder status
    """
)
@passphrase_option
@key_file_option
@home_option
@json_option
def status(passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool) -> None:
    """Show whether it serves, and its members, grants, blocks, alarms and backups. Asks no server."""
    with unlocked(home, passphrase_file, key_file) as keyholder:
        found = keyholder.status()
    if as_json:
        show_json({**asdict(found), "healthy": found.healthy})
        return
    _show(found)


def _show(found: Status) -> None:
    remark(f"tenant   {found.tenant}")
    remark(f"factory  {found.factory}")
    remark(f"ledger   {found.log_size} entries, agreed with the factory at {found.synced or 'no time yet'}")
    remark(f"key      the tenant key is {'here' if found.tenant_key_here else 'kept elsewhere'}")
    (done if found.serving else warn)("a process serves" if found.serving else "no process serves")
    for block in found.blocks:
        warn(f"{block.subject or 'everything'}: {block.cause.value} since {block.since} {block.note}".rstrip())
    if found.missing_lease:
        warn(f"the log does not show a lease that was given (request {found.missing_lease[:12]})")
    if found.undelivered:
        warn(f"{found.undelivered} statements wait for delivery to the factory")
    if found.asked:
        warn(f"{found.asked} requests wait for a person: kifabrik keyholder asked")
    if found.clock_behind_s:
        warn(f"this machine's clock is {found.clock_behind_s:.0f} s behind")
    if not found.backups:
        warn("there is no backup: without this folder the tenant's data is lost to everyone")
    show_table(
        ["MEMBER", "NAME", "ROLE", ""],
        [
            (one.member, one.name, one.role, "removed" if one.removed else "" if one.enrolled else "not enrolled")
            for one in found.members
        ],
    )
    show_table(
        ["GRANT", "DATASET", "PURPOSE", "UNTIL"],
        [
            (
                g.grant.grant,
                g.grant.dataset,
                g.grant.purpose,
                g.grant.expires[:_DAY] if g.state == "live" else g.state,
            )
            for g in found.grants
        ],
    )
