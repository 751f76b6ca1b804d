"""`kifabrik tenant create`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json, ticking, warn
from kifabrik.cli.text_files import text_of
from kifabrik.cli.unlock import FOLDER, ask_passphrase, passphrase_option
from kifabrik.keyholder.setup import create_tenant
from kifabrik.keyholder.unlocking import Passphrase, open_state_key, write_key_file


@click.command(
    epilog="""\b
    Examples:
      kifabrik tenant create --factory https://factory.example --code kfo_…
      kifabrik tenant create --factory … --code … --recovery new   for the safe
    """
)
@click.option("--factory", required=True, help="URL of the factory's service.")
@click.option("--code", required=True, help="Sign-up code from the factory's operator.")
@click.option("--ca", type=click.Path(path_type=Path, exists=True), help="PEM file of the factory's own authority.")
@click.option("--recovery", default="", help="age recipient to seal datasets to as well, or 'new' to make one.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="Also write a key file here, for unattended start of the keyholder.",
)
@passphrase_option
@home_option
@json_option
def create(
    factory: str,
    code: str,
    ca: Path | None,
    recovery: str,
    key_file: Path | None,
    passphrase_file: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Make a tenant and its keyholder in HOME/keyholder, and sign up with a factory.

    All keys are made here; only public halves leave. The tenant's id is the fingerprint of its key. Without
    the keyholder's folder, or a backup of it, what you seal is lost to everyone: see docs/keyholder.md.
    """
    passphrase = ask_passphrase(passphrase_file, confirm=True)
    ca_pem = text_of(ca) if ca else ""
    folder = home / FOLDER

    def show_recovery(identity: str) -> None:
        stop()
        if not as_json:
            warn("Print this recovery identity and put it into the safe; it is kept nowhere else:")
            click.echo(identity)

    stop = ticking("Making keys; a passphrase takes a moment on purpose …")
    try:
        made = create_tenant(
            folder, factory, code, passphrase, recovery=recovery, ca_pem=ca_pem, show_recovery=show_recovery
        )
        if key_file is not None:
            write_key_file(folder, open_state_key(folder, Passphrase(passphrase)), key_file)
    finally:
        stop()
    if as_json:
        show_json({"tenant": made.tenant, "keyholder": str(folder), "recovery_identity": made.recovery_identity})
        return
    done(f"Tenant {made.tenant}")
    remark(f"  its keys, and the only ones that open its data, are in {folder}")
    remark("  Next: kifabrik keyholder run, and kifabrik tenant invite --role engineer --name NAME")
