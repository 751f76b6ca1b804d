"""`kifabrik recipe new`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.plain import plain
from kifabrik.cli.terminal import remark, show_json
from kifabrik.errors import UsageError
from kifabrik.recipes.kits import find_kit, write_kit


@click.command(
    epilog="""\b
    Examples:
      kifabrik recipe new supply-chain pumps-study --example
      kifabrik recipe new supply-chain study --set dataset=our-network --set runs=8 --set scenarios=100000
      kifabrik recipe ls supply-chain      what can be set
    """
)
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Choose a setting; may be repeated.")
@click.option("--example", is_flag=True, help="Write example input to seal, too.")
@json_option
def new(name: str, folder: Path, settings: tuple[str, ...], example: bool, as_json: bool) -> None:
    """Write the job file, the requirements and the code of the recipe NAME into FOLDER.

    The code is the recipe as it is installed here; it travels sealed, and may be changed.
    """
    kit = find_kit(name)
    chosen = {}
    for each in settings:
        key, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"{each!r} is not NAME=VALUE", hint=f"See 'kifabrik recipe ls {kit.name}'.")
        chosen[key] = value
    values = write_kit(kit, folder, chosen, example=example)
    if kit.finish is not None:
        kit.finish(folder, values, (lambda _text: None) if as_json else remark)
    steps = kit.steps(folder, values)
    if not example:  # there is no such folder: people have their own
        steps = tuple(step.replace(str(folder / "input"), "YOUR-FOLDER") for step in steps)
    if as_json:
        show_json({"recipe": kit.name, "folder": str(folder), "settings": values, "next": list(steps)})
        return
    click.echo(f"Wrote {plain(str(folder))}. Next:")
    for step in steps:
        click.echo(f"  {plain(step)}")
