"""`kifabrik keyholder attestation show`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import remark, show_json, show_table, warn
from kifabrik.cli.unlock import key_file_option, passphrase_option, unlocked


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder attestation show
    """
)
@passphrase_option
@key_file_option
@home_option
@json_option
def show(passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool) -> None:
    """Show which nodes and boots count as attested, and what is not in the ledger yet. Asks no server."""
    with unlocked(home, passphrase_file, key_file) as keyholder:
        newest, in_force = keyholder.attestation.newest(), keyholder.attestation.in_force()
    if as_json:
        said = asdict(newest.policy) if newest else None
        show_json({"policy": said, "digest": newest.digest if newest else "", "in_force": len(in_force) == 1})
        return
    if newest is None:
        remark("No node counts as attested. Begin with: kifabrik keyholder attestation challenge NODE.endorsement")
        return
    if len(in_force) != 1:
        warn("what is shown does not stand in the ledger yet: what it adds does not count")
    policy = newest.policy
    remark(f"policy {policy.sequence} of {policy.created}; every node must show {', '.join(policy.require)}")
    show_table(
        ["NODE", "NODE KEY", "ATTESTATION KEY", "CHIP"],
        [(one.name, one.node_key[:16], one.key[4:20], one.chip[:16]) for one in policy.nodes],
    )
    show_table(
        ["BOOT", "BANK", "REGISTERS"],
        [(one.name, one.bank, ", ".join(sorted(one.pcrs, key=int))) for one in policy.images],
    )
    if policy.guests:
        show_table(["GUEST", "MEASUREMENT"], [(one.name, one.measurement[:32]) for one in policy.guests])
