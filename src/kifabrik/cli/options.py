"""Options several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kifabrik.customer.profile import home_folder

F = TypeVar("F", bound=Callable[..., Any])


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
