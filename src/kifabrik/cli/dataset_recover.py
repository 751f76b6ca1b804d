"""`kifabrik dataset recover`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import counted, done, show_json, transfer
from kifabrik.cli.text_files import text_of
from kifabrik.customer.recover import recover_dataset
from kifabrik.customer.session import open_session
from kifabrik.jobs.references import InputReference
from kifabrik.seals.identities import Identity
from kifabrik.values import format_size


@click.command(
    epilog="""\b
    Example:
      kifabrik dataset recover press-line-7 --identity from-the-safe.txt --to ./press-line-7
    """
)
@click.argument("name")
@click.option(
    "--identity",
    "identity_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="File with the recovery identity (AGE-SECRET-KEY-…).",
)
@click.option("--to", "target", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@home_option
@json_option
def recover(name: str, identity_file: Path, target: Path, home: Path, as_json: bool) -> None:
    """Open dataset NAME[@VERSION] with the recovery identity, without the keyholder.

    For the day the keyholder and its backups are lost. Works for data that was sealed while the tenant had
    a recovery recipient, as long as the factory still holds the ciphertext.
    """
    wanted = InputReference.from_text(name)
    identity = Identity.from_text(text_of(identity_file).strip())
    with open_session(home) as session:
        found = recover_dataset(session, wanted.name, wanted.version, identity, target, bar=transfer)
    if as_json:
        show_json(asdict(found))
        return
    amount = f"{counted(found.files, 'file')}, {format_size(found.size)}"
    done(f"{found.name}@{found.version}: {amount}, opened in {target}")
