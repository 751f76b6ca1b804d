"""`kifabrik admin open`."""

from pathlib import Path

import click

from kifabrik.cli.open_pages import say_how
from kifabrik.cli.options import home_option, json_option
from kifabrik.errors import UsageError
from kifabrik.wiring.factory import open_factory
from kifabrik.wiring.factory_config import FILE, read_config


@click.command(
    name="open",
    epilog="""\b
    Examples:
      kifabrik admin open
      kifabrik admin open --no-browser     the browser is on another machine
    """,
)
@click.option("--no-browser", is_flag=True, help="Only show the code, to type it at the address that is shown.")
@home_option
@json_option
def open_pages(no_browser: bool, home: Path, *, as_json: bool) -> None:
    """Open the operator's pages in the browser, signed in for an hour at most.

    They show nodes, queue, tenants, alarms and the plant's meters. Whoever can read the factory's folder on this
    machine is its operator. The browser gets a code that is good for a minute, once.
    """
    folder = home / "factory"
    address = read_config(folder).address
    if not address:
        raise UsageError(
            "this factory listens on any free port, so nobody knows its address",
            hint=f"Set port or public_url in {folder / FILE}.",
        )
    factory = open_factory(folder)
    try:
        code = factory.sign_ins.operator_code()
    finally:
        factory.store.close()
    say_how(address, code, folder, browser=not (no_browser or as_json), as_json=as_json)
