"""Ways to sign in, against servers that truly check; and where secrets are not."""

import base64
import datetime as dt
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scripted import Said

from kifabrik.connectors.sap.asking import Patience, connect
from kifabrik.connectors.sap.plan import (
    BasicSignIn,
    CertificateSignIn,
    OAuthSignIn,
    Plan,
    check_url,
    parse,
)
from kifabrik.errors import SignInError, UnavailableError, UsageError

QUICK = Patience(2, 1000, lambda _seconds: None)
PLAN = """
service: {service}
dataset: d
purpose: p
confirmed: {{by: A, on: 2026-01-01, because: b}}
sign_in: {sign_in}
pull: [{{entity_set: Items, fields: [name], rows: 1}}]
"""


def test_basic_sends_user_and_password(script, monkeypatch):
    monkeypatch.setenv("SAP_PASSWORD", "geheim:ß")
    sign_in = BasicSignIn(kind="basic", user="JOB", password={"env": "SAP_PASSWORD"})
    with connect(script.url, sign_in, patience=QUICK) as caller:
        caller.get("$metadata")
    kind, _, pair = script.asked[-1].headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(pair).decode()) == ("Basic", "JOB:geheim:ß")


def test_a_secret_that_is_not_there_is_named_by_its_place(script, monkeypatch):
    monkeypatch.delenv("SAP_PASSWORD", raising=False)
    sign_in = BasicSignIn(kind="basic", user="JOB", password={"env": "SAP_PASSWORD"})
    with pytest.raises(SignInError, match="the environment variable SAP_PASSWORD is not set"):
        connect(script.url, sign_in)


def test_a_secret_is_in_no_representation(monkeypatch):
    monkeypatch.setenv("SAP_PASSWORD", "geheim")
    sign_in = BasicSignIn(kind="basic", user="JOB", password={"env": "SAP_PASSWORD"})
    assert "geheim" not in repr(sign_in) + str(sign_in)


@pytest.mark.parametrize("password", ["geheim", "{value: geheim}", "{env: 'a b'}", "{env: A, value: b}"])
def test_a_plan_with_a_secret_in_it_is_refused(script, password):
    text = PLAN.format(service=script.url, sign_in=f"{{kind: basic, user: u, password: {password}}}")
    with pytest.raises(UsageError, match="a secret stands elsewhere") as raised:
        parse(Plan, text, "plan.yaml")
    assert "geheim" not in raised.value.message + raised.value.hint


def oauth(script, monkeypatch):
    monkeypatch.setenv("SAP_SECRET", "s3cret")
    return OAuthSignIn(
        kind="oauth2", token_url=f"{script.url}/token", client_id="c", client_secret={"env": "SAP_SECRET"}
    )


def test_a_token_is_fetched_once_and_renewed_before_it_ends(script, monkeypatch):
    tokens = iter(range(10))
    clock = [1000.0]
    monkeypatch.setattr("kifabrik.connectors.sap.sign_in.time.monotonic", lambda: clock[0])

    def give(asked):
        if asked.path.endswith("/token"):
            return Said({"access_token": f"t{next(tokens)}", "token_type": "Bearer", "expires_in": 100})
        return None

    script.before = give
    with connect(script.url, oauth(script, monkeypatch), patience=QUICK) as caller:
        for step in (0, 10, 50, 20):
            clock[0] += step
            caller.get("$metadata")
    sent = [asked.headers["authorization"] for asked in script.asked if asked.path.endswith("$metadata")]
    assert sent == ["Bearer t0", "Bearer t0", "Bearer t0", "Bearer t1"]


def test_a_client_that_is_refused_is_told_why_and_not_its_secret(script, monkeypatch):
    script.before = lambda asked: Said({"error": "invalid_client"}, status=401) if "token" in asked.path else None
    with (
        connect(script.url, oauth(script, monkeypatch), patience=QUICK) as caller,
        pytest.raises(SignInError, match="refuses the client 'c': invalid_client") as raised,
    ):
        caller.get("$metadata")
    assert "s3cret" not in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "http://sap.example/odata",
        "https://user:pw@sap.example/odata",
        "https://sap.example/odata?x=1",
        "ftp://sap.example",
        "https://",
        "http://127.0.0.1.evil.example/",
    ],
)
def test_an_address_that_would_show_a_secret_is_refused(url):
    with pytest.raises(UsageError, match="must begin with https://"):
        check_url(url)


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """A server that lets in only who shows a certificate of its own authority."""
    folder = tmp_path_factory.mktemp("mtls")
    ca_key, ca = _certificate("our CA", None, None)
    for name in ("server", "client"):
        key, certificate = _certificate("127.0.0.1" if name == "server" else "job", ca_key, ca)
        _write(folder / f"{name}.pem", certificate)
        secret = serialization.BestAvailableEncryption(b"phrase") if name == "client" else None
        _write_key(folder / f"{name}.key", key, secret)
    _write(folder / "ca.pem", ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            who = dict(pair[0] for pair in self.connection.getpeercert()["subject"])["commonName"]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(who.encode())

        def log_message(self, *_words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_words: None
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/odata", folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_certificate_lets_in(certified, monkeypatch):
    url, folder = certified
    monkeypatch.setenv("KEY_PHRASE", "phrase")
    sign_in = CertificateSignIn(
        kind="mtls", certificate=folder / "client.pem", key=folder / "client.key", passphrase={"env": "KEY_PHRASE"}
    )
    with connect(url, sign_in, ca=folder / "ca.pem", patience=QUICK) as caller:
        assert caller.get("$metadata").body == b"job"


def test_without_a_certificate_or_the_authority_there_is_no_connection(certified, script):
    url, folder = certified
    del script
    from kifabrik.connectors.sap.plan import NoSignIn

    for ca in (folder / "ca.pem", None):
        with connect(url, NoSignIn(), ca=ca, patience=QUICK) as caller, pytest.raises(UnavailableError):
            caller.get("$metadata")


def test_a_wrong_passphrase_of_a_key_is_a_sentence(certified, monkeypatch):
    _, folder = certified
    monkeypatch.setenv("KEY_PHRASE", "wrong")
    sign_in = CertificateSignIn(
        kind="mtls", certificate=folder / "client.pem", key=folder / "client.key", passphrase={"env": "KEY_PHRASE"}
    )
    with pytest.raises(UsageError, match="certificate or key cannot be used"):
        connect("https://127.0.0.1/x", sign_in)


def test_a_certificate_that_is_missing_is_named(tmp_path):
    sign_in = CertificateSignIn(kind="mtls", certificate=tmp_path / "no.pem", key=tmp_path / "no.key")
    with pytest.raises(UsageError, match=r"there is no file .*no\.pem"):
        connect("https://127.0.0.1/x", sign_in)


def _certificate(name, issuer_key, issuer):
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is not None:
        host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(host, critical=False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    return key, builder.sign(issuer_key or key, hashes.SHA256())


def _write(path, certificate):
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path, key, secret):
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            secret or serialization.NoEncryption(),
        )
    )
