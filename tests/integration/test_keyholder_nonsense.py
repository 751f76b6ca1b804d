"""The keyholder in front of something that is no factory at all."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from keyhouse import PASSPHRASE, WORK
from kifabrik.keyholder.events import Event, EventKind
from kifabrik.keyholder.keyholder import open_keyholder
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.setup import accept_sign_up, make_folder
from kifabrik.keyholder.unlocking import Passphrase
from kifabrik.signatures.dsse import Envelope
from players import eventually
from simulated_factory import SimulatedFactory


class Nonsense(BaseHTTPRequestHandler):
    """Answers everything with the same bytes."""

    body = b""
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def nonsense() -> Iterator[ThreadingHTTPServer]:
    """A server of nonsense on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Nonsense,), {}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"garbage"),
        (200, b"\xff\xfe\x00"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b"null"),
        (404, b""),
        (500, b"<html>"),
        (503, b""),
    ],
)
def test_nonsense_is_said_to_be_that_and_the_keyholder_goes_on(
    nonsense: ThreadingHTTPServer, tmp_path: Path, status: int, body: bytes
) -> None:
    handler = nonsense.RequestHandlerClass
    handler.status, handler.body = status, body
    url = f"http://127.0.0.1:{nonsense.server_address[1]}"
    state = make_folder(tmp_path / "keyholder", url, PASSPHRASE, work_factor=WORK)
    statement = Envelope.from_json(state.settings.get(Setting.STATEMENT))
    accept_sign_up(state, SimulatedFactory(state.tenant).create("", "", statement))
    state.close()
    events: list[Event] = []
    stop = threading.Event()
    with open_keyholder(tmp_path / "keyholder", Passphrase(PASSPHRASE)) as keyholder:
        thread = threading.Thread(target=keyholder.serve, args=(stop, events.append))
        thread.start()
        try:
            assert eventually(lambda: [one.kind for one in events])[0] in {EventKind.WARNING, EventKind.OFFLINE}
            assert thread.is_alive()
        finally:
            stop.set()
            keyholder.wake()
            thread.join()
        assert not keyholder.status().blocks
