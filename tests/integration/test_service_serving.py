"""Serving: TLS with a company's own authority, settings, stopping, two services on one home."""

import datetime as dt
import socket
import ssl
import threading
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kifabrik.client.connection import Connection
from kifabrik.client.tenants import Tenants
from kifabrik.errors import SignInError, UnavailableError, UsageError
from kifabrik.wiring.factory import init_home, serve
from kifabrik.wiring.factory_config import read_config
from parties import FactoryProcess


def _certificate(home: Path) -> str:
    """Write a self-signed certificate for the loopback address and return it as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a factory")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (home / "cert.pem").write_bytes(pem)
    (home / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem.decode()


def _set(home: Path, *lines: str) -> None:
    file = home / "factory.toml"
    file.write_text("\n".join(lines) + "\n" + file.read_text())


def test_a_factory_with_its_own_authority_is_reached_by_those_who_trust_it(tmp_path: Path) -> None:
    home = tmp_path / "factory"
    init_home(home, port=0)
    pem = _certificate(home)
    _set(home, 'tls_cert = "cert.pem"', 'tls_key = "key.pem"')
    factory = FactoryProcess(home)
    try:
        assert factory.url.startswith("https://127.0.0.1:")
        trusting = Connection(factory.url, ca_pem=pem, patience_s=1)
        with pytest.raises(UsageError):
            trusting.send("/v1/tenants")
        trusting.close()
        distrustful = Connection(factory.url, patience_s=0)
        with pytest.raises(UnavailableError, match="certificate"):
            Tenants(distrustful).me()
        distrustful.close()
    finally:
        factory.close()


def _relay(source: ssl.SSLSocket | socket.socket, sink: ssl.SSLSocket | socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(2**16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def _proxy(home: Path, server: socket.socket, heard: list[bytes]) -> None:
    """Take one connection with TLS, and what goes through it to where CONNECT names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "cert.pem", home / "key.pem")
    with context.wrap_socket(server.accept()[0], server_side=True) as near:
        while not b"".join(heard).endswith(b"\r\n\r\n"):
            heard.append(near.recv(2**16))
        host, port = heard[0].split()[1].decode().split(":")
        with socket.create_connection((host, int(port))) as far:
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_relay, args=(far, near))
            back.start()
            _relay(near, far)
            back.join()


def test_a_factory_is_reached_through_a_proxy_that_speaks_tls_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "factory"
    init_home(home, port=0)
    pem = _certificate(home)
    _set(home, 'tls_cert = "cert.pem"', 'tls_key = "key.pem"')
    factory, heard = FactoryProcess(home), list[bytes]()
    server = socket.create_server(("127.0.0.1", 0))
    proxy = threading.Thread(target=_proxy, args=(home, server, heard), daemon=True)
    proxy.start()
    monkeypatch.setenv("https_proxy", f"https://me:secret@127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    try:
        connection = Connection(factory.url, "kft_token", ca_pem=pem, patience_s=0)
        with pytest.raises(SignInError):
            connection.get_bytes("/v1/log/checkpoint")
        connection.close()
    finally:
        factory.close()
        server.close()
        proxy.join(5)
    assert b"Basic bWU6c2VjcmV0" in b"".join(heard)
    assert b"kft_token" not in b"".join(heard)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("hots = 1", "hots"),
        ('quota = "a lot"', "quota"),
        ("port = 70000", "port"),
        ("this is not TOML", "TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, line: str, names: str) -> None:
    home = tmp_path / "factory"
    init_home(home)
    (home / "factory.toml").write_text(line + "\n")
    with pytest.raises(UsageError, match=names):
        read_config(home)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(UsageError, match="not empty"):
        init_home(tmp_path)
    with pytest.raises(UsageError, match="no factory"):
        read_config(tmp_path)


def test_an_address_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        init_home(tmp_path / "factory", port=taken.getsockname()[1])
        with pytest.raises(UnavailableError, match="cannot listen"):
            serve(tmp_path / "factory", ready=lambda _url: None)


def test_a_missing_certificate_is_said(tmp_path: Path) -> None:
    home = tmp_path / "factory"
    init_home(home, port=0)
    _set(home, 'tls_cert = "nowhere.pem"', 'tls_key = "nowhere.key"')
    with pytest.raises(UsageError, match=r"nowhere\.pem"):
        serve(home, ready=lambda _url: None)


def test_the_home_is_for_its_owner_only(own_factory: FactoryProcess) -> None:
    own_factory.sign_up()
    assert own_factory.home.stat().st_mode & 0o077 == 0
    for folder in ("objects", "staging", "keys"):
        assert (own_factory.home / folder).stat().st_mode & 0o077 == 0


def test_two_services_on_one_home_serve_the_same_tenants(own_factory: FactoryProcess) -> None:
    tenant = own_factory.sign_up()
    second = FactoryProcess(own_factory.home)
    try:
        person = tenant.enrol()
        person.seal()
        elsewhere = Tenants(second.connect(person.token))
        assert elsewhere.me().member == person.member
        assert tenant.factory.inside.check.run(deep=True) == []
    finally:
        second.close()


def test_what_was_acknowledged_survives_a_kill(own_factory: FactoryProcess) -> None:
    tenant = own_factory.sign_up()
    person = tenant.enrol()
    manifests = [person.seal().digest for _ in range(3)]
    own_factory.kill()
    own_factory.start()
    entries = tenant.entries()
    assert [entry["refs"].get("manifest") for entry in entries if entry["kind"] == "dataset.sealed"] == manifests
    assert own_factory.inside.check.run(deep=True) == []
