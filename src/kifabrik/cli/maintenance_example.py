"""`kifabrik maintenance example`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import remark, show_json
from kifabrik.errors import ConflictError


@click.command(
    epilog="""\b
    Example:
      kifabrik maintenance example readings
    """
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@json_option
def example(folder: Path, *, as_json: bool) -> None:
    """Write made-up readings of a milling machine into FOLDER: eight weeks, three faults."""
    from kifabrik.recipes.maintenance.example import write_example  # noqa: PLC0415 - slow to import

    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder} exists and is not empty", hint="Name another folder.")
    write_example(folder)
    if as_json:
        show_json({"folder": str(folder), "files": sorted(file.name for file in folder.iterdir())})
        return
    remark(f"Wrote {folder}. Next:")
    remark(f'  kifabrik maintenance watch {folder} --label Störung --given "Last [%]" --out result')
