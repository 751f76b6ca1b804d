"""`kifabrik recipe ls`."""

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import show_json, show_table
from kifabrik.recipes.kits import KITS, find_kit


@click.command(
    epilog="""\b
    Examples:
      kifabrik recipe ls
      kifabrik recipe ls supply-chain      what can be set, and to what it is set otherwise
    """
)
@click.argument("name", default="")
@json_option
def ls(name: str, as_json: bool) -> None:
    """List the recipes, or the settings of the one called NAME."""
    kits = [find_kit(name)] if name else [find_kit(each) for each in KITS]
    if as_json:
        show_json(
            {
                "recipes": [
                    {
                        "name": kit.name,
                        "about": kit.about,
                        "settings": [
                            {"name": one.name, "default": one.default, "about": one.about} for one in kit.settings
                        ],
                    }
                    for kit in kits
                ]
            }
        )
    elif name:
        rows = [(one.name, one.default or "-", one.about) for one in kits[0].settings]
        show_table(["SETTING", "DEFAULT", "MEANING"], rows)
    else:
        show_table(["RECIPE", "WHAT IT DOES"], [(kit.name, kit.about) for kit in kits])
