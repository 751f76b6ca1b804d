"""Lines to a service: kept, dropped in time, through proxies, and never fooled about where an answer ends."""

import base64
import select
import socket
import threading
from contextlib import contextmanager

import pytest
from scripted_factory import Answer, scripted

from kifabrik.client.connection import Connection
from kifabrik.errors import NotFoundError, UnavailableError
from ports import free_port


@contextmanager
def answering(*scripts):
    """Take one connection for each script: read as many requests as it has answers, send those, hang up."""
    heard, server = [], socket.create_server(("127.0.0.1", 0))

    def serve():
        for script in scripts:
            line, _ = server.accept()
            with line, line.makefile("rb") as reading:
                for answer in script:
                    heard.append(request(reading))
                    line.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
    finally:
        server.shutdown(socket.SHUT_RDWR)  # wakes who waits for a caller
        server.close()
        thread.join(60)


def request(reading):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += reading.readline() or b"\r\n\r\n"
    size = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    return head + reading.read(size[0] if size else 0)


def ok(body=b"hello", head=b""):
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%s\r\n%s" % (len(body), head, body)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_line_is_used_again():
    with answering([ok(), ok(b"again")]) as (url, heard):
        connection = Connection(url, patience_s=0)
        assert [connection.get_bytes("/a"), connection.get_bytes("/b")] == [b"hello", b"again"]
        connection.close()
        assert len(heard) == 2


def test_a_line_the_other_side_has_closed_is_not_used_again():
    with answering([ok()], [ok(b"new")]) as (url, _):
        connection = Connection(url, patience_s=0)
        assert connection.get_bytes("/a") == b"hello"
        (line,) = filter(None, connection._http._lines.connection_from_url(url).pool.queue)
        assert select.select([line.sock], [], [], 60)[0], "the other side has not hung up"
        assert connection.get_bytes("/b") == b"new"
        connection.close()


def test_a_line_with_an_unread_answer_is_not_used_again():
    with answering([ok(b"x" * 10**6)], [ok()]) as (url, _):
        connection = Connection(url, patience_s=0)
        with connection.stream("/a") as answer:
            assert next(answer.iter_bytes(10)) == b"x" * 10
        assert connection.get_bytes("/b") == b"hello"
        connection.close()


def test_a_body_in_chunks_is_read_to_its_end():
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with answering([chunked, chunked, chunked]) as (url, _):
        connection = Connection(url, patience_s=0)
        assert connection.get_bytes("/a") == b"abcde"
        for size in (2, 0):
            with connection.stream("/a") as answer:
                assert b"".join(answer.iter_bytes(size)) == b"abcde"
        connection.close()


@pytest.mark.parametrize("size", [0, 3, 1000])
@pytest.mark.parametrize(
    "head", [b"content-length: 9\r\n\r\nhello", b"transfer-encoding: chunked\r\n\r\n9\r\nhello"]
)
def test_a_body_that_ends_early_is_an_error(head, size):
    cut = b"HTTP/1.1 200 OK\r\n" + head
    with answering([cut], [cut]) as (url, _):
        connection = Connection(url, patience_s=0)
        with pytest.raises(UnavailableError):
            connection.get_bytes("/a")
        with pytest.raises(UnavailableError), connection.stream("/a") as answer:
            list(answer.iter_bytes(size))
        connection.close()


def test_what_a_caller_does_with_a_stream_keeps_its_own_errors():
    with answering([ok()]) as (url, _):
        connection = Connection(url, patience_s=0)
        with pytest.raises(FileNotFoundError), connection.stream("/a"):
            raise FileNotFoundError
        connection.close()


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_what_is_no_answer_is_said_with_the_address(said):
    with answering([said]) as (url, _):
        connection = Connection(url, patience_s=0)
        with pytest.raises(UnavailableError, match="cannot reach the factory at"):
            connection.get_bytes("/a")
        connection.close()


def test_a_factory_that_does_not_run_is_said_in_words():
    port = free_port()
    connection = Connection(f"http://127.0.0.1:{port}", patience_s=0)
    with pytest.raises(UnavailableError) as raised:
        connection.get_bytes("/a")
    assert raised.value.message == f"cannot reach the factory at http://127.0.0.1:{port}: Connection refused"
    connection.close()


@pytest.mark.parametrize("url", ["", "here", "ftp://here", "http://", "http://a:b", "http://[::1", "http://ä..x"])
def test_an_address_that_is_none_is_said_so(url):
    connection = Connection(url, patience_s=0)
    with pytest.raises(UnavailableError):
        connection.get_bytes("/a")
    connection.close()


def test_a_name_from_outside_cannot_add_a_line_or_a_query():
    with answering([ok()]) as (url, heard):
        connection = Connection(url, patience_s=0)
        connection.get_bytes("/v1/x y\r\nhost: evil?a=b#c%41")
        connection.close()
        assert heard[0].startswith(b"GET /v1/x%20y%0D%0Ahost:%20evil%3Fa=b%23c%2541 HTTP/1.1\r\n")


def test_closing_ends_the_lines_that_wait_and_not_the_one_in_use():
    with answering([ok(b"x" * 10**6)], [ok()]) as (url, _):
        connection = Connection(url, patience_s=0)
        with connection.stream("/a") as answer:
            connection.close()
            assert answer.read() == b"x" * 10**6
        assert connection.get_bytes("/b") == b"hello"
        connection.close()


def test_a_large_body_goes_whole_with_its_length():
    with answering([ok()]) as (url, heard):
        connection = Connection(url, patience_s=0)
        connection.patch("/a", bytes(range(256)) * 4096, {"upload-offset": "0"})
        connection.close()
        head, _, body = heard[0].partition(b"\r\n\r\n")
        assert body == bytes(range(256)) * 4096
        assert b"transfer-encoding" not in head.lower()


@pytest.mark.parametrize("token", ["kft_a\r\nhost: evil", "kft_a\n", "kft_\u2026"])
def test_a_token_that_would_break_a_line_is_not_sent(token):
    with answering([ok()]) as (url, heard):
        connection = Connection(url, token, patience_s=0)
        with pytest.raises(UnavailableError):
            connection.get_bytes("/a")
        connection.close()
        with socket.create_connection(url.removeprefix("http://").split(":")) as line:  # lets the server go on
            line.sendall(b"the test\r\n\r\n")
            line.recv(10)
        assert heard == [b"the test\r\n\r\n"]


def test_an_answer_that_is_encoded_without_being_asked_is_none():
    with answering([ok(head=b"content-encoding: gzip\r\n")]) as (url, heard):
        connection = Connection(url, patience_s=0)
        with pytest.raises(UnavailableError, match="encoded"):
            connection.get_bytes("/a")
        connection.close()
        assert b"accept-encoding: identity\r\n" in heard[0].lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_a_cookie_not_kept(status):
    away = b"HTTP/1.1 %d x\r\nlocation: /b\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n" % status
    with answering([away, ok()]) as (url, heard):
        connection = Connection(url, patience_s=0)
        with pytest.raises(UnavailableError, match="web page"):
            connection.get_bytes("/a")
        connection.get_bytes("/c")
        connection.close()
        assert b"cookie" not in heard[1].lower()
        assert heard[1].startswith(b"GET /c ")


def test_a_proxy_without_tls_is_asked_for_the_whole_address(monkeypatch):
    with answering([ok()]) as (proxy, heard):
        monkeypatch.setenv("http_proxy", proxy.replace("http://", "http://me:p%40ss@"))
        connection = Connection("http://factory.example:8000/at", "kft_secret", patience_s=0)
        assert connection.get_bytes("/v1/x") == b"hello"
        connection.close()
        assert heard[0].startswith(b"GET http://factory.example:8000/at/v1/x HTTP/1.1\r\n")
        assert b"host: factory.example:8000\r\n" in heard[0].lower()
        assert b"Basic " + base64.b64encode(b"me:p@ss") in heard[0]


def test_a_proxy_opens_a_way_for_tls_and_sees_no_token(monkeypatch):
    with answering([b"HTTP/1.1 200 OK\r\n\r\n"]) as (proxy, heard):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        connection = Connection("https://factory.example", "kft_secret", patience_s=0)
        with pytest.raises(UnavailableError):  # no TLS behind it
            connection.get_bytes("/v1/x")
        connection.close()
        assert heard[0].startswith(b"CONNECT factory.example:443 HTTP/1.")
        assert b"kft_secret" not in heard[0]


def test_a_proxy_that_refuses_is_said_so(monkeypatch):
    with answering([b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"]) as (proxy, _):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        connection = Connection("https://factory.example", patience_s=0)
        with pytest.raises(UnavailableError, match="407"):
            connection.get_bytes("/v1/x")
        connection.close()


def test_a_proxy_of_another_kind_is_named_as_unfit(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example")
    connection = Connection("https://factory.example", patience_s=0)
    with pytest.raises(UnavailableError, match="socks5"):
        connection.get_bytes("/v1/x")
    connection.close()


def test_what_needs_no_proxy_is_asked_directly(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with scripted(Answer(404)) as (url, _):
        connection = Connection(url, patience_s=0)
        with pytest.raises(NotFoundError):
            connection.get_bytes("/v1/x")
        connection.close()
