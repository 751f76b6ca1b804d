"""`kifabrik dataset seal`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import counted, done, show_json, transfer
from kifabrik.customer.seal import seal_dataset
from kifabrik.customer.session import open_session
from kifabrik.values import format_size


@click.command(
    epilog="""\b
    Example:
      kifabrik dataset seal press-line-7 ./measurements
    """
)
@click.argument("name")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option("--description", default="", help="For the people of your tenant; sealed too.")
@home_option
@json_option
def seal(name: str, source: Path, description: str, home: Path, as_json: bool) -> None:
    """Seal SOURCE, a folder or a file, as the next version of the dataset NAME and upload it.

    Only ciphertext leaves this machine. Unchanged parts of the version before are not sent again,
    and an interrupted sealing goes on where it stopped when you repeat the command.
    """
    with open_session(home) as session:
        sealed = seal_dataset(session, name, source, bar=transfer, description=description)
    if as_json:
        show_json(asdict(sealed))
        return
    done(
        f"{sealed.name}@{sealed.version}: {counted(sealed.files, 'file')}, {format_size(sealed.size)}, "
        f"in {counted(sealed.shards, 'sealed shard')} ({sealed.reused} unchanged), "
        f"entry {sealed.log_index} of the ledger"
    )
