"""Options of commands that read a library of molecules."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.options import F

if TYPE_CHECKING:
    from kifabrik.recipes.pharma.libraries import Library


def library_options(command: F) -> F:
    """Add `--smiles-column` and `--id-column`."""
    for option in (
        click.option("--id-column", default="", help="Column of ids. [the one usually called so]"),
        click.option("--smiles-column", default="", help="Column of structures. [the one usually called so]"),
    ):
        command = option(command)
    return command


def library_of(path: Path, smiles_column: str, id_column: str) -> "Library":
    """The library a person named."""
    from kifabrik.recipes.pharma.libraries import Library  # noqa: PLC0415 - slow to import

    return Library(path, smiles_column, id_column)
