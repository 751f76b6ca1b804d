"""`kifabrik open`."""

from pathlib import Path

import click

from kifabrik.cli.browser import open_page, write_page
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.customer.pages import code_for_browser
from kifabrik.customer.profile import Profile, member_folder


@click.command(
    name="open",
    epilog="""\b
    Examples:
      kifabrik open
      kifabrik open --no-browser     the browser is on another machine
    """,
)
@click.option("--no-browser", is_flag=True, help="Only show the code, to type it at the address that is shown.")
@home_option
@json_option
def open_pages(no_browser: bool, home: Path, *, as_json: bool) -> None:
    """Open the factory's pages in the browser, signed in as you, for an hour at most.

    There is no password: this device's key signs what the factory asks, and the browser gets a code that is good
    for a minute, once. The pages show; what has consequences is signed here.
    """
    profile = Profile.load(home)
    code = code_for_browser(profile)
    say_how(
        profile.factory, code, member_folder(home, "pages"), browser=not (no_browser or as_json), as_json=as_json
    )


def say_how(address: str, code: str, folder: Path, *, browser: bool, as_json: bool) -> None:
    """Open the browser, and say what to do where it is somewhere else.

    Args:
        address: Of the factory.
        code: For the browser.
        folder: For the page that hands it over.
        browser: Whether one is to be opened.
        as_json: Whether to print JSON.
    """
    if as_json:
        show_json({"url": f"{address}/sign-in", "code": code})
        return
    opened = browser and open_page(write_page(folder, address, code))
    if opened:
        done("The browser opens, signed in")
        remark("  If it does not, within a minute:")
    else:
        remark("Within a minute, in a browser:")
    remark(f"  go to  {address}/sign-in")
    remark(f"  code   {code}")
