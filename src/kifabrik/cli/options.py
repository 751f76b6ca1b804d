"""Options several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kifabrik.customer.profile import home_folder

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
