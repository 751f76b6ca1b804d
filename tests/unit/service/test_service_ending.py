"""A service that is told to end keeps no connection, not even one that comes at that moment."""

import asyncio
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection

import uvicorn

from kifabrik.service.connections import connection_within
from kifabrik.service.limits import Limits


async def app(scope, _receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serving(connection):
    """A real web server with these connections, on a thread; its port."""
    config = uvicorn.Config(app, port=0, http=connection, lifespan="off", log_config=None, timeout_keep_alive=3600)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(60)


def test_an_answer_given_while_the_service_ends_is_the_last_on_its_connection():
    connection = connection_within(Limits())
    with serving(connection) as port:
        caller = HTTPConnection("127.0.0.1", port, timeout=60)
        caller.connect()
        line = caller.sock
        for ending in (False, False, True):
            connection.ending = ending
            caller.request("GET", "/")
            assert caller.sock is line, "it was to be kept"
            assert caller.getresponse().read() == b"ok"
        assert line.recv(1) == b""
        caller.close()
