"""`kifabrik sap secret`, and how other commands reach what it keeps."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.options import F, home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import FOLDER, choose_unlock, key_file_option, passphrase_option

if TYPE_CHECKING:
    from kifabrik.connectors.sap.keyholder_store import KeyholderStore


def store_options(command: F) -> F:
    """Add `--passphrase-file` and `--key-file`, for plans that name a secret of the keyholder's."""
    return passphrase_option(key_file_option(command))


def store_of(home: Path, passphrase_file: Path | None, key_file: Path | None) -> "KeyholderStore":
    """Return the store of this machine's keyholder; it is opened when a plan names a secret in it."""
    from kifabrik.connectors.sap.keyholder_store import KeyholderStore  # noqa: PLC0415 - slow to import

    return KeyholderStore(home / FOLDER, lambda: choose_unlock(passphrase_file, key_file))


@click.command(
    epilog="""\b
    Examples:
      kifabrik sap secret s4-client
      kifabrik sap secret s4-client --remove
    """
)
@click.argument("name")
@click.option("--remove", is_flag=True, help="Overwrite and delete it.")
@store_options
@home_option
@json_option
def secret(
    name: str, remove: bool, passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool
) -> None:
    """Keep a secret in the keyholder's store on this machine; it is asked for, or read from a pipe.

    A plan names it as {keyholder: NAME}. It is encrypted under the keyholder's key and part of its backups.
    """
    from kifabrik.connectors.sap.secrets import check_secret_name  # noqa: PLC0415 - slow to import
    from kifabrik.errors import NotFoundError  # noqa: PLC0415

    try:
        check_secret_name(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    store = store_of(home, passphrase_file, key_file)
    if remove:
        if not store.remove(name):
            raise NotFoundError(f"the keyholder has no secret {name!r}")
        if as_json:
            show_json({"secret": name, "kept": False})
            return
        done(f"{name} is gone from the keyholder's store; its backups keep it until they lapse")
        return
    text = _ask()
    if not text:
        raise click.UsageError("An empty secret is none.")
    store.put(name, text)
    if as_json:
        show_json({"secret": name, "kept": True})
        return
    done(f"{name} is in the keyholder's store; a plan names it as {{keyholder: {name}}}")


def _ask() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Secret", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")
