"""Connections as weapons: slow ones, silent ones, very many, and answers nobody reads."""

import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from kifabrik.client.connection import Connection
from kifabrik.client.tenants import Tenants
from kifabrik.service.connections import one_too_many
from kifabrik.service.limits import MIB, Limits
from kifabrik.values import sha256_hex
from parties import FactoryProcess, Party

HEAD_S = 4.0
"""Short for those who are not waited for, and longer than a busy machine keeps an honest caller from speaking."""
STRANGERS = 20
PATIENCE_S = 60.0
"""Until a connection ends that is to end."""

_SERVE = f"""
import sys
from pathlib import Path
from kifabrik.service.limits import Limits
from kifabrik.wiring.factory import serve
limits = Limits(head_s=HEAD_S, strangers={STRANGERS}, connections=60, slowest_bytes_per_s=500_000)
serve(Path(sys.argv[1]), ready=lambda url: print(url, flush=True), limits=limits)
"""


class _Hurried(FactoryProcess):
    """A factory that waits for nobody for long."""

    program = _SERVE.replace("HEAD_S", str(HEAD_S))


class _Crowded(FactoryProcess):
    """A factory with as little room, in which no connection ends but for lack of it."""

    program = _SERVE.replace("HEAD_S", "600")


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FactoryProcess]:
    process = _Hurried(tmp_path_factory.mktemp("hurried") / "factory")
    yield process
    process.close()


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FactoryProcess]:
    process = _Crowded(tmp_path_factory.mktemp("crowded") / "factory")
    yield process
    process.close()


@pytest.fixture(scope="module")
def party(hurried: FactoryProcess) -> Party:
    return hurried.sign_up()


@contextmanager
def _connected(factory: FactoryProcess, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    url = httpx.URL(factory.url)
    with socket.create_connection((url.host, url.port), PATIENCE_S, (address, 0)) as connection:
        yield connection


def _ends(connection: socket.socket) -> bytes:
    """Wait until the service ends a connection; return what it said before."""
    said = b""
    connection.settimeout(PATIENCE_S)
    try:
        while piece := connection.recv(65_536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def _breaks(connection: socket.socket, piece: bytes, every_s: float) -> bool:
    """Send the same again and again; whether the connection is ended meanwhile."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE_S:
        try:
            connection.sendall(piece)
        except ConnectionError:
            return True
        time.sleep(every_s)
    return False


def _head(path: str, token: str, *more: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"authorization: Bearer {token}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_connection_on_which_nothing_comes_is_ended(hurried: FactoryProcess) -> None:
    with _connected(hurried) as silent:
        assert _ends(silent) == b""


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(hurried: FactoryProcess) -> None:
    with _connected(hurried) as slow:
        assert _breaks(slow, b"G", 0.1)


def test_a_second_head_on_a_used_connection_is_not_waited_for_either(hurried: FactoryProcess, party: Party) -> None:
    with _connected(hurried) as used:
        used.sendall(_head("/v1/me", party.token, method="GET"))
        assert used.recv(4096).startswith(b"HTTP/1.1 200 ")
        used.sendall(b"GET /v1/me HT")
        _ends(used)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/me HTTP/1.1\r\nhost: x\r\nx: " + b"x" * MIB,
        b"GET /v1/me?" + b"x" * MIB,
        b"GET /v1/me HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * 100_000,
        b"GET /v1/me HTTP/1.1\r\nhost: x\r\nx: a\r\n b\0\r\n\r\n",
        b"POST /v1/tenants HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /v1/tenants HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1/tenants HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/tenants HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"GET /v1/me HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        b"\x16\x03\x01" + bytes(500),
    ],
    ids=[
        "value",
        "target",
        "many",
        "nul",
        "digits",
        "two lengths",
        "negative",
        "coding",
        "hosts",
        "tls",
    ],
)
def test_a_head_that_is_too_large_or_none_is_refused_and_its_connection_ended(
    hurried: FactoryProcess, head: bytes
) -> None:
    with _connected(hurried) as hostile:
        with suppress(ConnectionError):
            hostile.sendall(head)
        said = _ends(hostile)
    assert said[:12] in {b"", b"HTTP/1.1 400", b"HTTP/1.1 501"}, said[:200]


def test_a_path_that_is_almost_one_is_not_redirected_to_where_the_caller_says(hurried: FactoryProcess) -> None:
    with _connected(hurried) as caller:
        caller.sendall(b"GET /v1/me/ HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n")
        said = caller.recv(4096)
    assert said.startswith(b"HTTP/1.1 404 ")
    assert b"elsewhere" not in said


def test_the_rest_of_a_refused_body_in_chunks_is_hardly_waited_for(factory: FactoryProcess) -> None:
    with _connected(factory) as endless:
        endless.sendall(b"POST /v1/runs HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        assert endless.recv(4096).startswith(b"HTTP/1.1 401 ")
        assert _breaks(endless, b"1\r\nx\r\n", 0.05)


def test_chunks_of_a_byte_are_put_together_and_counted(factory: FactoryProcess) -> None:
    json = ("content-type: application/json", "transfer-encoding: chunked")
    with _connected(factory) as hostile:
        hostile.sendall(_head("/v1/keyholder/asking", factory.sign_up().token, *json))
        with suppress(ConnectionError):
            hostile.sendall(b"1;ext=" + b"e" * 100 + b"\r\nx\r\n" + b"1\r\nx\r\n" * 70_000 + b"0\r\n\r\n")
        assert hostile.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("how", ["content-length: 60000", "transfer-encoding: chunked"])
def test_a_body_that_stops_coming_is_answered_and_ended(hurried: FactoryProcess, party: Party, how: str) -> None:
    with _connected(hurried) as slow:
        slow.sendall(_head("/v1/recipients", party.token, "content-type: application/json", how))
        slow.sendall(b"5\r\n{    \r\n" if "chunked" in how else b"{")
        said = _ends(slow)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"bytes of the body came in time" in said


def test_a_large_body_may_take_as_long_as_its_bytes_explain(hurried: FactoryProcess, party: Party) -> None:
    body = secrets.token_bytes(8 * MIB)
    path = f"/v1/uploads/{sha256_hex(body)}?size={len(body)}"
    token, begun = party.enrol().token, time.monotonic()
    with _connected(hurried) as steady:
        length = f"content-length: {len(body)}"
        steady.sendall(_head(path, token, "upload-offset: 0", length, method="PATCH"))
        for at in range(0, len(body), 100_000):  # four times as fast as the slowest that is waited for
            steady.sendall(body[at : at + 100_000])
            time.sleep(0.05)
        assert steady.recv(100).startswith(b"HTTP/1.1 204 ")
    assert time.monotonic() - begun > HEAD_S


def test_a_refused_body_that_never_ends_ends_with_its_connection(hurried: FactoryProcess) -> None:
    head = b"POST /v1/runs HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    with _connected(hurried) as endless:
        endless.sendall(head)
        assert endless.recv(4096).startswith(b"HTTP/1.1 401 ")
        assert _breaks(endless, b"400\r\n" + b"x" * 1024 + b"\r\n", 0.01)


@pytest.mark.parametrize("size", [MIB - 1, 24 * MIB], ids=["in one piece", "in many"])
def test_an_answer_that_is_not_read_is_not_kept_for_ever(hurried: FactoryProcess, party: Party, size: int) -> None:
    body = secrets.token_bytes(size)
    person = party.enrol()
    person.upload(body)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = httpx.URL(hurried.url)
        deaf.connect((url.host, url.port))
        deaf.sendall(_head(f"/v1/objects/{sha256_hex(body)}", person.token, method="GET"))
        deaf.settimeout(PATIENCE_S)
        assert _gone(hurried, deaf.getsockname()[1], 2 * PATIENCE_S)


def _gone(factory: FactoryProcess, port: int, within_s: float) -> bool:
    """Whether the service lets go of its connection to a port; seen from outside, in the kernel's own list."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        held = {
            (row[1][-4:], row[2][-4:]) for row in rows if row[9] != "0"
        }  # by a process, not by the kernel alone
        if (f"{httpx.URL(factory.url).port:04X}", f"{port:04X}") not in held:
            return True
        time.sleep(0.2)
    return False


def test_more_strangers_than_there_is_room_for_lose_the_oldest_of_the_largest_crowd(
    crowded: FactoryProcess,
) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(_connected(crowded, "127.0.0.9"))
        crowd = [stack.enter_context(_connected(crowded, "127.0.0.8")) for _ in range(STRANGERS + 5)]
        other.sendall(b"GET /v1/me HTTP/1.1\r\nhost: x\r\n\r\n")
        assert other.recv(4096).startswith(b"HTTP/1.1 401 ")
        crowd[-1].sendall(b"GET /v1/me HTTP/1.1\r\nhost: x\r\n\r\n")
        assert crowd[-1].recv(4096).startswith(b"HTTP/1.1 401 ")
        assert _ends(crowd[0]) == b""


def test_whoever_has_signed_in_gets_through_while_strangers_flood(crowded: FactoryProcess) -> None:
    party = crowded.sign_up()
    with ExitStack() as stack:
        signed_in = Connection(crowded.url, party.token, patience_s=5)
        stack.callback(signed_in.close)
        assert Tenants(signed_in).me().tenant == party.tenant
        for _ in range(5 * STRANGERS):
            stack.enter_context(_connected(crowded, "127.0.0.8"))
        assert Tenants(signed_in).me().tenant == party.tenant
        fresh = Connection(crowded.url, party.token, patience_s=5)
        stack.callback(fresh.close)
        assert Tenants(fresh).me().tenant == party.tenant


def test_a_tenant_with_very_many_connections_loses_its_own(crowded: FactoryProcess) -> None:
    hog, party = crowded.sign_up(), crowded.sign_up()
    with ExitStack() as stack:

        def waiting(token: str, wait_s: int) -> socket.socket:
            """A connection on which somebody has signed in, and waits for mail."""
            one = stack.enter_context(_connected(crowded))
            one.sendall(_head("/v1/me", token, method="GET"))
            said = b""
            while not said.endswith(b"}"):
                said += one.recv(4096)
            assert said.startswith(b"HTTP/1.1 200 ")
            one.sendall(_head(f"/v1/keyholder/mail?wait={wait_s}&after=1000000", token, method="GET"))
            return one

        polite = waiting(party.token, 6)
        polls = [waiting(hog.token, 60) for _ in range(70)]
        assert _ends(polls[0]) == b""
        polite.settimeout(PATIENCE_S)
        assert polite.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_nobody_is_let_go_while_there_is_room() -> None:
    class Caller:
        def __init__(self, tenant: str, address: str, since: float) -> None:
            self.tenant, self.address, self.since = tenant, address, since

    few = [Caller("", f"10.0.0.{number}", number) for number in range(5)]
    many = [Caller("t-1", "10.0.0.9", number) for number in range(5)]
    limits = Limits(strangers=5, connections=10)
    assert one_too_many([*few, *many], limits) is None
    assert one_too_many([*few, *many, Caller("t-2", "10.0.0.10", 0)], limits) is many[0]
    later = Caller("", "10.0.0.3", 9)
    assert one_too_many([*few, later, *many], limits) is few[3]
