"""Options several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kifabrik.customer.profile import home_folder
from kifabrik.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


class Country(click.ParamType[str]):
    """A country as its ISO 3166-1 alpha-2 code; no other word for it would ever match a node's."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the code in capitals, or nothing for nothing."""
        code = value.strip().upper()
        if code and not (len(code) == 2 and code.isascii() and code.isalpha()):  # noqa: PLR2004 - two letters
            self.fail(f"{value!r} is not an ISO country code of two letters, such as DE", param, ctx)
        return code


class FileToWrite(click.Path[Path]):
    """A file to write, whose ending says as what.

    Args:
        endings: Those known, such as `.html`.
    """

    def __init__(self, *endings: str) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self._endings = endings

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path.

        Raises:
            UsageError: Its ending is none of those.
        """
        path = super().convert(value, param, ctx)
        if path.suffix not in self._endings:
            *first, last = self._endings
            known = f"{', '.join(first)} or {last}" if first else last
            raise UsageError(f"{path}: what to write is not clear from its name", hint=f"End it in {known}.")
        return path


def language_option(of: str) -> Callable[[F], F]:
    """Add `--language`, with this as its help."""
    return click.option("--language", type=click.Choice(["de", "en"]), default="en", show_default=True, help=of)


def json_option(command: F) -> F:
    """Add `--json` as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def home_option(command: F) -> F:
    """Add `--home` as the argument `home` (a path)."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        default=home_folder,
        help="Folder of keys and settings; default $KIFABRIK_HOME or the usual place.",
    )(command)
