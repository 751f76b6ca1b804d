"""The factory writes reasons, plans and errors: it tries to write to the member's terminal itself."""

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
