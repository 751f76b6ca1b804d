"""What a command says of a factory that cannot be reached, or of whatever answers in its place."""

import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager

import pytest
from scripted_factory import Answer, scripted

from kifabrik.client import answers
from kifabrik.client.connection import Connection
from kifabrik.errors import KifabrikError, UnavailableError


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def saying(*pieces, tls=None):
    """A server that says these pieces to every caller and hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            try:
                with tls.wrap_socket(line, server_side=True) if tls else line as speaking:
                    speaking.recv(2**16)
                    for piece in pieces:
                        speaking.sendall(piece)
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)  # wakes who waits for a caller
        server.close()
        thread.join(60)


def failure(url):
    connection = Connection(url, patience_s=0)
    try:
        with pytest.raises(KifabrikError) as raised:
            connection.get_bytes("/v1/me")
    finally:
        connection.close()
    return raised.value


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ((b"",), "it hung up without an answer"),
        ((bytes(range(256)),), "does not speak HTTP"),
        ((b'HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"a":',), "the line broke in the middle"),
    ],
)
def test_what_went_wrong_on_a_line_is_said_in_plain_words(said, words):
    with saying(*said) as at:
        error = failure(f"http://{at}")
    assert isinstance(error, UnavailableError)
    assert error.message.startswith(f"cannot reach the factory at http://{at}: ")
    assert words in error.message
    assert "Error" not in error.message
    assert "(" not in error.message


def test_a_certificate_nobody_vouches_for_is_said_with_what_to_do(tmp_path):
    subject = ("-subj", "/CN=127.0.0.1", "-days", "2", "-nodes")
    files = ("-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", *subject, *files], check=True, capture_output=True
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with saying(b"", tls=tls) as at:
        error = failure(f"https://{at}")
    assert "certificate is not trusted: self-signed certificate" in error.message
    assert "_ssl.c" not in error.message
    assert "--ca" in error.hint


def test_plain_http_behind_an_https_address_is_said():
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as at:
        error = failure(f"https://{at}")
    assert "it does not speak TLS" in error.message
    assert "http://" in error.hint


@pytest.mark.parametrize("status", [404, 407, 429, 500, 502, 503, 504, 522, 418])
def test_an_answer_in_nobodys_words_names_the_address_the_status_and_what_to_do(status):
    with scripted(Answer(status, b"upstream unavailable")) as (url, _):
        error = failure(url)
    assert url in error.message
    assert str(status) in error.message
    assert error.hint


def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://anna:geheim@127.0.0.1:9")
    error = failure("http://factory.example")
    assert "http://factory.example through the proxy http://127.0.0.1:9: " in error.message
    assert "geheim" not in error.message + error.hint


def test_a_proxy_that_wants_a_password_is_said_so(monkeypatch):
    with saying(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n") as at:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{at}")
        error = failure("https://factory.example")
    assert "the proxy wants to know who calls" in error.message
    assert "HTTPS_PROXY" in error.hint


def test_an_answer_without_an_end_is_not_held_in_memory(monkeypatch):
    monkeypatch.setattr(answers, "_MOST_BYTES", 2**20)
    with saying(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 2**18] * 16) as at:
        error = failure(f"http://{at}")
    assert "longer than 1 MiB" in error.message


def test_an_answer_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(answers, "_PACE_AFTER_S", -1.0)
    with saying(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n", b"x" * 9) as at:
        error = failure(f"http://{at}")
    assert "too slowly" in error.message
