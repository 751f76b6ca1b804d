"""`kifabrik admin code`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import remark, show_json
from kifabrik.wiring.factory import open_factory


@click.command(
    epilog="""\b
    Example:
      kifabrik admin code --note "Muster GmbH"
    """
)
@click.option("--note", default="", help="For your own memory, such as a customer number.")
@home_option
@json_option
def code(note: str, home: Path, as_json: bool) -> None:
    """Make a sign-up code, good for one new tenant. It is shown once."""
    factory = open_factory(home / "factory")
    made = factory.accounts.make_code(note)
    factory.store.close()
    if as_json:
        show_json({"code": made})
        return
    click.echo(made)
    remark("  The customer uses it with: kifabrik tenant create --factory URL --code CODE")
