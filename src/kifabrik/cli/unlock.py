"""Opening a keyholder from the command line: passphrase file, key file, systemd credential or prompt."""

import getpass
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from kifabrik.cli.options import F, home_option
from kifabrik.cli.terminal import waiting
from kifabrik.cli.text_files import text_of
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.keyholder.keyholder import Keyholder, open_keyholder
from kifabrik.keyholder.steward import Steward
from kifabrik.keyholder.unlocking import KeyFile, Passphrase, Unlock, require_keyholder, unlock_from_environment

FOLDER: Final = "keyholder"
_OPENING: Final = "Opening the keyholder; a passphrase takes a moment on purpose …"
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def passphrase_option(command: F) -> F:
    """Add `--passphrase-file` as the argument `passphrase_file`."""
    text = "File whose first line is the passphrase; asked for without it."
    return click.option("--passphrase-file", type=_FILE, help=text)(command)


def key_file_option(command: F) -> F:
    """Add `--key-file` as the argument `key_file`."""
    return click.option("--key-file", type=_FILE, help="Key file for unattended start.")(command)


def tenant_key_option(command: F) -> F:
    """Add `--tenant-key` as the argument `tenant_key`."""
    text = "File of the tenant key, if it is kept elsewhere than with the keyholder."
    return click.option("--tenant-key", type=_FILE, help=text)(command)


def ask_passphrase(file: Path | None, *, confirm: bool = False, what: str = "Passphrase of the keyholder") -> str:
    """Return the passphrase from its file, or ask for it.

    Raises:
        NotFoundError: The file is empty.
        UsageError: There is no terminal to ask at.
    """
    if file is None:
        return _prompt(what, confirm=confirm)
    text = text_of(file).splitlines()
    if not text or not text[0]:
        raise NotFoundError(f"{file} holds no passphrase", hint="It belongs on the first line.")
    return text[0]


def _prompt(what: str, *, confirm: bool) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "error", getpass.GetPassWarning
        )  # it would be read from a pipe, or shown as it is typed
        try:
            return str(click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True))
        except getpass.GetPassWarning:
            click.echo(err=True)
            raise UsageError(
                f"{what}: there is no terminal to ask for it at",
                hint="Name a file whose first line it is: --passphrase-file FILE",
            ) from None


def choose_unlock(passphrase_file: Path | None, key_file: Path | None) -> Unlock:
    """Return how to open the keyholder."""
    if key_file is not None:
        return KeyFile(key_file)
    credential = unlock_from_environment()
    if credential is not None and passphrase_file is None:
        return credential
    return Passphrase(ask_passphrase(passphrase_file))


@contextmanager
def unlocked(home: Path, passphrase_file: Path | None, key_file: Path | None) -> Iterator[Keyholder]:
    """Open the keyholder in HOME/keyholder.

    Raises:
        NotFoundError: There is none.
        RefusedError: Passphrase or key file do not open it.
    """
    require_keyholder(home / FOLDER)
    unlock = choose_unlock(passphrase_file, key_file)
    with ExitStack() as opened:
        with waiting(_OPENING):
            keyholder = opened.enter_context(open_keyholder(home / FOLDER, unlock))
        yield keyholder


@dataclass(frozen=True)
class StewardKeys:
    """Where a steward's keys are.

    Args:
        home: Folder of keys and settings.
        passphrase_file: Its first line is the passphrase; None to ask for it.
        tenant_key: File of the tenant key; None for the one kept with the keyholder.
    """

    home: Path
    passphrase_file: Path | None = None
    tenant_key: Path | None = None

    @contextmanager
    def open(self) -> Iterator[Steward]:
        """Open keyholder and tenant key with one passphrase, for what only a steward may do.

        Raises:
            NotFoundError: There is no keyholder, or its tenant key was taken away.
            RefusedError: The passphrase is wrong.
        """
        folder = self.home / FOLDER
        require_keyholder(folder)
        passphrase = ask_passphrase(self.passphrase_file)
        with ExitStack() as opened:
            with waiting(_OPENING):
                keyholder = opened.enter_context(open_keyholder(folder, Passphrase(passphrase)))
                steward = opened.enter_context(keyholder.steward(passphrase, self.tenant_key))
            yield steward


def steward_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--passphrase-file`, `--tenant-key` and `--home` as the argument `keys` (of `StewardKeys`)."""

    @wraps(command)
    def with_keys(passphrase_file: Path | None, tenant_key: Path | None, home: Path, **others: Any) -> None:
        command(keys=StewardKeys(home, passphrase_file, tenant_key), **others)

    return passphrase_option(tenant_key_option(home_option(with_keys)))
