"""Options several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def home_folder() -> Path:
    """Return `$KIFABRIK_HOME`, or the usual place for this person's settings."""
    return Path(os.environ.get("KIFABRIK_HOME") or click.get_app_dir("kifabrik"))


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
