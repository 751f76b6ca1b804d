"""The factory writes reasons and errors, a job its log: they try to write to the member's terminal itself."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from kifabrik.cli.terminal import remark, show_table
from kifabrik.errors import RefusedError
from kifabrik.wire.body import Problem

PAINT = "\x1b[2J\x1b[1;1H\x9b32m✓ verified\x07\r\N{RIGHT-TO-LEFT OVERRIDE}"
UNWELCOME = ("\x1b", "\x9b", "\x07", "\r", "\N{RIGHT-TO-LEFT OVERRIDE}")


def test_reasons_and_cells_are_letters(capfd: pytest.CaptureFixture[str]) -> None:
    remark(PAINT)
    show_table(["RUN", "WHY"], [["r-1", PAINT], ["r-2", "[/nonsense] [red]not a colour"]])
    said = capfd.readouterr()
    for shown in (said.out, said.err):
        assert "verified" in shown
        assert not any(one in shown for one in UNWELCOME)
    assert "[/nonsense] [red]not a colour" in said.out


@pytest.mark.parametrize(
    "letter", ["\xad", "\u200b", "\u200e", "\u061c", "\u2028", "\u2060", "\ufeff", "\U000e0061"]
)
def test_two_names_that_differ_are_not_shown_as_one(capfd: pytest.CaptureFixture[str], letter: str) -> None:
    show_table(["WHO"], [["Anna"], [f"An{letter}na"]])
    remark(f"An{letter}na")
    said = capfd.readouterr()
    assert said.out.split()[1:] == ["Anna", "An\N{REPLACEMENT CHARACTER}na"]
    assert said.err.strip() == "An\N{REPLACEMENT CHARACTER}na"


SHOW = """
import sys
from kifabrik.cli.terminal import show_json, show_output
text = sys.stdin.buffer.read().decode()
if sys.argv[1:] == ['json']: show_json({text: text})
else: show_output(text, before='[node-0] ')
"""
LOG_LINE = (
    "\x1b]52;c;cm0gLXJmIH4=\x07"  # sets the clipboard
    '\x1bP$q"p\x1b\\\x1b[c\x1b[21t'  # asks, and the terminal types the answer
    "\x1b[5A\x1b[2K\x9b1A\x08\x7f\x0e"  # paints over what was said before
    "\x1b[31mred\x1b[0m 50%|#####     |\N{RIGHT-TO-LEFT OVERRIDE}"
)


def on_a_terminal(text: str, *words: str, terminal: bool = True) -> str:
    """Have a line printed to a terminal, or to a pipe; return the characters that come out."""
    ours, theirs = os.openpty() if terminal else os.pipe()
    try:
        subprocess.run([sys.executable, "-c", SHOW, *words], input=text.encode(), stdout=theirs, check=True)
        return os.read(ours, 65_536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_of_a_jobs_output_a_terminal_gets_letters_and_colours() -> None:
    shown = on_a_terminal(LOG_LINE)
    assert shown.replace("\x1b[31mred\x1b[0m", "").replace("\x1b[0m\r\n", "").isprintable()
    assert "\x1b[31mred\x1b[0m 50%|#####     |" in shown
    assert on_a_terminal("\x1b[8m").startswith("[node-0] \x1b[8m\x1b[0m")  # no colour outlives its line
    assert on_a_terminal(" 10%\r 20%\r100%\r") == "[node-0] 100%\r\n"
    assert on_a_terminal("mine\r[node-1] another's") == "[node-0] [node-1] another's\r\n"


def test_into_a_pipe_a_jobs_output_goes_without_colours_and_otherwise_as_it_was_written() -> None:
    assert on_a_terminal("a\tb\x07\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}\r", terminal=False) == (
        "[node-0] a\tb\x07\N{RIGHT-TO-LEFT OVERRIDE}\r\n"
    )


def test_a_json_document_commands_no_terminal_and_says_the_same() -> None:
    shown = on_a_terminal(LOG_LINE, "json", terminal=False)
    assert shown.replace("\n", "").isprintable()
    assert json.loads(shown) == {LOG_LINE: LOG_LINE}


class _Factory(BaseHTTPRequestHandler):
    """Refuses everything, with a message it has painted."""

    def do_GET(self) -> None:
        body = Problem(code=RefusedError.code, message=PAINT, hint=PAINT).model_dump_json().encode()
        self.send_response(RefusedError.http_status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_rest: object) -> None:
        pass


SCRIPT = """
import sys
from kifabrik.cli import main
from kifabrik.client.connection import Connection
from kifabrik.client.tenants import Tenants
main.cli.main = lambda **_rest: Tenants(Connection(sys.argv[1])).me()
main.main()
"""


def test_errors_of_the_factory_are_letters() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Factory)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT, f"http://127.0.0.1:{server.server_port}"],
            capture_output=True,
            check=False,
            timeout=60,
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    shown = ran.stderr.decode()
    assert ran.returncode == RefusedError.exit_status
    assert "verified" in shown
    assert not any(one in shown for one in UNWELCOME)
