"""`kifabrik login`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.cli.text_files import text_of
from kifabrik.customer.profile import enrol
from kifabrik.tenants.invitation import Invitation


@click.command(
    epilog="""\b
    Example:
      kifabrik login invitation.json
    """
)
@click.argument("invitation", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@home_option
@json_option
def login(invitation: Path, home: Path, as_json: bool) -> None:
    """Enrol this machine with the INVITATION file a steward gave you.

    The keys of this device are made here and never leave it. The invitation works once.
    """
    profile = enrol(home, Invitation.from_text(text_of(invitation)))
    if as_json:
        show_json({"tenant": profile.tenant, "member": profile.member, "role": profile.role})
        return
    done(f"This machine is enrolled as {profile.role} {profile.member}")
    remark(f"  tenant  {profile.tenant}")
    remark("  Compare this fingerprint with the one your steward tells you.")
