"""`kifabrik tenant invite`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.cli.unlock import StewardKeys, steward_options
from kifabrik.errors import ConflictError
from kifabrik.tenants.statements import Role


@click.command(
    epilog="""\b
    Example:
      kifabrik tenant invite --role engineer --name "Anna Huber" --out anna.json
    """
)
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What they may do.")
@click.option("--name", required=True, help="Of the person; stays on this machine.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("invitation.json"),
    show_default=True,
    help="File to write.",
)
@click.option("--days", default=14, show_default=True, help="How long it can be used.")
@steward_options
@json_option
def invite(
    role: str,
    name: str,
    out: Path,
    days: int,
    keys: StewardKeys,
    as_json: bool,
) -> None:
    """Admit a member and write the invitation file, which enrols one device, once.

    Hand it over in person or through a channel you trust: until it is used it is a secret.
    """
    if out.exists():
        raise ConflictError(f"{out} exists", hint="Name another file with --out.")
    with keys.open() as steward:
        invitation = steward.invite(Role(role), name, days=days)
    out.touch(mode=0o600)
    out.write_text(invitation.to_text(), encoding="utf-8")
    if as_json:
        show_json({"invitation": str(out), "tenant": invitation.tenant, "role": role})
        return
    done(f"Invitation for {name} ({role}) in {out}, good for {days} days and one device")
    remark(f"  {name} uses it with: kifabrik login {out.name}")
