"""Lines that break, stall or lead somewhere else: what is asked again arrives once and whole, else it is said."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kifabrik.client import objects as module
from kifabrik.client.connection import Connection
from kifabrik.client.datasets import Datasets
from kifabrik.client.objects import Objects
from kifabrik.client.tenants import Tenants
from kifabrik.customer.profile import Profile
from kifabrik.errors import UnavailableError
from parties import FactoryProcess, Party, Person
from weak_line import PAGE, WeakLine, weak_line

REDIRECT = b"HTTP/1.1 302 Found\r\nlocation: http://sign-in.invalid/\r\ncontent-length: 0\r\n\r\n"
FORBIDDEN = PAGE.replace(b"200 OK", b"403 Forbidden")
GARBLED = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!"


@pytest.fixture
def line(factory: FactoryProcess):
    with weak_line(factory.url) as line:
        yield line


@pytest.fixture
def member(tenant: Party) -> Person:
    return tenant.enrol()


@pytest.fixture
def over(line: WeakLine, member: Person) -> Iterator[Connection]:
    """A member's connection over the line."""
    connection = Connection(line.url, member.token, patience_s=0, silence_s=0.5)
    yield connection
    connection.close()


@pytest.mark.parametrize("stalls", [False, True], ids=["cut", "silent"])
def test_an_object_arrives_whole_over_a_line_that_breaks_again_and_again(
    over: Connection, line: WeakLine, monkeypatch: pytest.MonkeyPatch, stalls: bool
) -> None:
    monkeypatch.setattr(module, "PIECE", 200_000)
    objects, body = Objects(over), os.urandom(900_000 if stalls else 2_000_000)
    digest = hashlib.sha256(body).hexdigest()
    line.lasts, line.stalls = 290_000, stalls
    sent: list[int] = []
    objects.upload(io.BytesIO(body), digest, len(body), sent.append)
    breaks = line.breaks
    assert sum(sent) == len(body)
    assert b"".join(objects.pieces(digest)) == body
    least = 2 if stalls else 7  # more than the tries of a line that never brings anything
    assert breaks >= least
    assert line.breaks - breaks >= least


def test_a_line_that_brings_nothing_is_given_up_and_what_arrived_stays(
    over: Connection, line: WeakLine, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 200_000)
    monkeypatch.setattr(module, "_TRIES", 3)
    body = os.urandom(1_000_000)
    digest = hashlib.sha256(body).hexdigest()
    line.lasts = 100_000
    with pytest.raises(UnavailableError):
        Objects(over).upload(io.BytesIO(body), digest, len(body))
    assert Objects(member.connection).missing([digest]) == {digest}
    line.lasts = None
    Objects(over).upload(io.BytesIO(body), digest, len(body))
    assert Objects(member.connection).fetch(digest, len(body)) == body


def test_an_answer_that_got_lost_registers_a_version_once(over: Connection, line: WeakLine, member: Person) -> None:
    manifest = member.manifest(member.party.new_dataset(), member.upload(*(os.urandom(500) for _ in range(3))))
    line.loses_answers = True
    with pytest.raises(UnavailableError):
        Datasets(over).register(manifest, None)
    line.loses_answers = False
    logged = Datasets(over).register(manifest, None)
    kinds = [entry["kind"] for entry in member.party.entries()]
    assert kinds.count("dataset.sealed") == 1
    assert logged.log_index == kinds.index("dataset.sealed")


@pytest.mark.parametrize("page", [PAGE, REDIRECT, FORBIDDEN], ids=["page", "redirect", "forbidden"])
def test_a_page_in_place_of_the_factory_is_said_and_never_passes_for_success(
    over: Connection, line: WeakLine, page: bytes
) -> None:
    line.says = page
    objects = Objects(over)
    for ask in (
        Tenants(over).me,
        lambda: over.send("/v1/anything"),
        lambda: over.head("/v1/uploads/x"),
        lambda: over.get_bytes("/v1/log/checkpoint"),
        lambda: over.patch("/v1/uploads/x", b"", {}),
        lambda: objects.read("0" * 64, 0, 10),
    ):
        with pytest.raises(UnavailableError, match="web page answered") as raised:
            ask()
        assert "proxy" in raised.value.hint
        assert line.url in raised.value.message


@pytest.mark.parametrize("nonsense", [GARBLED, b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00" * 50, b""])
def test_nonsense_in_place_of_http_is_said(over: Connection, line: WeakLine, nonsense: bytes) -> None:
    line.says = nonsense
    with pytest.raises(UnavailableError, match=line.url):
        Tenants(over).me()


def test_https_where_there_is_none_is_said(line: WeakLine) -> None:
    connection = Connection(line.url.replace("http:", "https:"), patience_s=0, silence_s=2)
    with pytest.raises(UnavailableError, match="https://127"):
        Tenants(connection).me()
    connection.close()


def test_a_name_that_does_not_exist_is_said() -> None:
    connection = Connection("http://factory.invalid", patience_s=0)
    with pytest.raises(UnavailableError, match=r"factory\.invalid"):
        Tenants(connection).me()
    connection.close()


def test_the_command_says_it_in_two_lines(line: WeakLine, member: Person, tmp_path: Path) -> None:
    policy = "log example+1+x"
    Profile(
        factory=line.url,
        ca_pem="",
        tenant_key=member.party.tenant_key.public.hex,
        member=member.member,
        role="engineer",
        policy=policy,
        keyholder=member.party.keyholder.to_json(),
        device_seed=member.key.seed.hex(),
        identity=member.identity.text,
        catalogue_identity=member.identity.text,
        token=member.token,
    ).save(tmp_path)
    line.says = PAGE
    ran = subprocess.run(
        [Path(sys.executable).parent / "kifabrik", "ps", "--home", tmp_path],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 7
    error, hint = ran.stderr.splitlines()
    assert error.startswith("error: a web page answered in place of the factory at http://127.0.0.1:")
    assert hint.startswith("hint: ")
