"""Signing a browser in: a page in a file of this person's own hands the code over.

The code is in no address: not in the browser's history, in no list of processes, in no proxy's log. The file may
stay where it is: its code is good for a minute, and once.
"""

import webbrowser
from html import escape
from pathlib import Path
from typing import Final

from kifabrik.durable import write_whole

FILE: Final = "sign-in.html"
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>kifabrik</title>
<form method="post" action="{address}/sign-in">
<input type="hidden" name="code" value="{code}">
<button autofocus>Sign in &#183; Anmelden</button>
</form>
<script>document.forms[0].submit()</script>
</html>
"""


def write_page(folder: Path, address: str, code: str) -> Path:
    """Write the page that hands a code to the factory at an address; readable by this person only."""
    file = folder / FILE
    write_whole(file, _PAGE.format(address=escape(address, quote=True), code=escape(code, quote=True)).encode())
    return file


def open_page(file: Path) -> bool:
    """Open the page in this person's browser; whether there is one."""
    try:
        return webbrowser.open(file.resolve().as_uri())
    except webbrowser.Error:
        return False
