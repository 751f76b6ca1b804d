"""Bodies as weapons: from strangers, from the refused, and from a tenant that wants the others to wait."""

import json
import re
import secrets
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from kifabrik.factory.records import TokenKind
from kifabrik.factory.tokens import new_token
from kifabrik.service.app import make_app
from kifabrik.service.doors import PARTS, SMALL, Door
from kifabrik.service.limits import MIB
from kifabrik.service.routers import ALL
from kifabrik.tenants.statements import Role
from kifabrik.wiring.factory import init_home, open_factory
from parties import FactoryProcess, Party

OPEN = {("POST", "/v1/tenants"), ("POST", "/v1/devices"), ("POST", "/v1/nodes/claims")}
"""Where nobody can have a token yet."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    home = tmp_path_factory.mktemp("app") / "factory"
    init_home(home, port=0)
    return make_app(open_factory(home))


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FactoryProcess]:
    """A factory of this module's own: what is measured here is not disturbed, nor disturbs others."""
    process = FactoryProcess(tmp_path_factory.mktemp("busy") / "factory")
    yield process
    process.close()


def _operations(app: FastAPI) -> list[tuple[str, str, bool]]:
    """Every operation: method, path with made-up ids, whether it takes a body."""
    found = []
    for path, item in app.openapi()["paths"].items():
        for method, said in item.items():
            there = path.replace("{digest}", "ab" * 32).replace("{sha256}", "ab" * 32)
            there = re.sub(r"\{run\}", "r-aaaaaaaaaaaaaaaa", there)
            there = re.sub(r"\{attempt\}", "a-aaaaaaaaaaaaaaaa", there)
            there = re.sub(r"\{[a-z:]+\}", "1", there)
            found.append((method.upper(), there, "requestBody" in said or "/uploads/" in there))
    return found


@contextmanager
def _connected(factory: FactoryProcess, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    url = httpx.URL(factory.url)
    with socket.create_connection((url.host, url.port), timeout=60, source_address=(address, 0)) as connection:
        yield connection


def _asks_for_a_body(
    factory: FactoryProcess, method: str, path: str, token: str = "", address: str = "127.0.0.1"
) -> tuple[bool, int]:
    """Announce a body and send none of it: whether the service asks for it, and else its answer's status."""
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n"
    head += f"authorization: Bearer {token}\r\n" if token else ""
    with _connected(factory, address) as connection:
        connection.sendall(f"{head}content-length: 1000\r\n\r\n".encode())
        status = int(connection.recv(4096).split()[1])
        return status == 100, status


def test_no_byte_of_a_body_is_asked_of_who_is_not_signed_in(factory: FactoryProcess, app: FastAPI) -> None:
    operations = [(method, path) for method, path, has_body in _operations(app) if has_body]
    assert len(operations) > 25
    for method, path in operations:
        asks, status = _asks_for_a_body(factory, method, path)
        assert asks if (method, path) in OPEN else status == 401, (method, path, status)


def test_no_byte_of_a_body_is_asked_of_who_has_failed_too_often_or_has_a_wrong_token(busy: FactoryProcess) -> None:
    wrong, address = new_token(TokenKind.DEVICE), "127.0.0.2"
    for _ in range(20):
        assert _asks_for_a_body(busy, "POST", "/v1/runs", wrong, address) == (False, 401)
    assert _asks_for_a_body(busy, "POST", "/v1/runs", wrong, address) == (False, 429)
    for method, path in OPEN:
        assert _asks_for_a_body(busy, method, path, address=address) == (False, 429)
        assert _asks_for_a_body(busy, method, path) == (True, 100), "another caller has not failed"


def test_no_byte_of_a_body_is_asked_of_who_may_not_send_it(tenant: Party) -> None:
    person = tenant.enrol(Role.AUDITOR)
    for path in ("/v1/grants", "/v1/erasures", "/v1/runs", "/v1/objects", "/v1/keyholder/decisions"):
        assert _asks_for_a_body(tenant.factory, "POST", path, person.token) == (False, 403), path
    assert _asks_for_a_body(tenant.factory, "POST", "/v1/plans", person.token) == (True, 100)


def test_forged_enrolments_count_as_failures(busy: FactoryProcess) -> None:
    person = busy.sign_up().enrol()
    body = {"membership": person.membership.to_json(), "device": person.membership.to_json()}
    with httpx.Client(base_url=busy.url, transport=httpx.HTTPTransport(local_address="127.0.0.3")) as http:
        statuses = [http.post("/v1/devices", json=body).status_code for _ in range(22)]
    assert statuses[:20] == [422] * 20
    assert statuses[20:] == [429] * 2


def _highest_memory(factory: FactoryProcess) -> int:
    """Most memory the service has had, in bytes."""
    said = Path(f"/proc/{factory.process.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", said)
    assert match
    return 1024 * int(match[1])


def test_large_bodies_of_strangers_take_no_memory(busy: FactoryProcess) -> None:
    with httpx.Client(base_url=busy.url) as http:
        http.get("/v1/me")
        before = _highest_memory(busy)

        def send(_number: int) -> int:
            pieces = (b"[" + b"0," * (MIB // 2 - 1) + b"0" for _ in range(30))
            with suppress(httpx.TransportError):
                return http.post(
                    "/v1/keyholder/decisions", content=pieces, headers={"content-type": "application/json"}
                ).status_code
            return 401  # the connection was closed in the middle of it

        with ThreadPoolExecutor(6) as pool:
            assert {*pool.map(send, range(6))} <= {401, 429}
    assert _highest_memory(busy) - before < 16 * MIB


def test_bodies_made_of_very_many_parts_are_not_parsed(busy: FactoryProcess) -> None:
    tenant = busy.sign_up()
    headers = {"authorization": f"Bearer {tenant.token}", "content-type": "application/json"}
    with httpx.Client(base_url=busy.url, headers=headers, timeout=60) as http:
        before = _highest_memory(busy)
        many = b'{"request": [' + b"{}," * (10 * MIB) + b"{}]}"
        answer = http.post("/v1/keyholder/decisions", content=many)
        assert (answer.status_code, answer.json()["code"]) == (413, "usage")
        assert str(PARTS) in answer.json()["message"]
    assert _highest_memory(busy) - before < 5 * len(many)


def test_of_very_many_faults_one_is_named(busy: FactoryProcess) -> None:
    person = busy.sign_up().enrol()
    headers = {"authorization": f"Bearer {person.token}"}
    with httpx.Client(base_url=busy.url, headers=headers, timeout=60) as http:
        unknown = http.post("/v1/objects/missing", json={str(number): 0 for number in range(9_000)})
        wrong = http.post("/v1/objects/missing", json={"digests": ["x"] * 9_000})
    for answer, said in ((unknown, "far too many fields"), (wrong, "digests.0")):
        assert answer.status_code == 400
        assert said in answer.json()["message"]
        assert "more)" not in answer.json()["message"]


def test_a_statement_in_a_body_is_not_parsed_if_its_parts_are_hidden(busy: FactoryProcess) -> None:
    tenant = busy.sign_up()
    headers = {"authorization": f"Bearer {tenant.token}", "content-type": "application/json"}
    with httpx.Client(base_url=busy.url, headers=headers, timeout=60) as http:
        body = b'{"statement": "[' + b"[]\\u002c" * 100_000 + b'[]]"}'
        answer = http.post("/v1/recipients", content=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "usage")


def test_what_a_tenant_sends_at_once_has_bounds_and_others_are_let_in_meanwhile(busy: FactoryProcess) -> None:
    hog, other = busy.sign_up(), busy.sign_up()
    head = (
        "POST /v1/keyholder/decisions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {hog.token}\r\nexpect: 100-continue\r\ncontent-length: {40 * MIB}\r\n\r\n"
    )
    with _connected(busy) as first, _connected(busy) as second, _connected(busy) as third:
        for connection in (first, second):
            connection.sendall(head.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        third.sendall(head.encode())
        third.settimeout(0.5)
        with pytest.raises(TimeoutError):
            third.recv(100)
        person = other.enrol()
        assert person.upload(secrets.token_bytes(2 * MIB))
        first.close()
        third.settimeout(10)
        assert third.recv(100).startswith(b"HTTP/1.1 100 ")


@pytest.mark.parametrize(
    ("path", "most"), [("/v1/keyholder/asking", SMALL), ("/v1/recipients", 2 * MIB), ("/v1/devices", SMALL)]
)
def test_each_route_takes_what_it_needs(tenant: Party, http: httpx.Client, path: str, most: int) -> None:
    headers = {"authorization": f"Bearer {tenant.token}", "content-type": "application/json"}
    fits = http.post(path, headers=headers, content=json.dumps("x" * (most - 2)))
    assert fits.status_code == 400, fits.text
    too_long = http.post(path, headers=headers, content=json.dumps("x" * (most - 1)))
    assert (too_long.status_code, too_long.json()["code"]) == (413, "usage")
    in_pieces = (b"x" * 1000 for _ in range(most // 1000 + 1))
    assert http.post(path, headers=headers, content=in_pieces).status_code == 413


def test_every_route_has_a_door_and_no_others_are_open(app: FastAPI) -> None:
    doors = [route for router in ALL for route in router.routes]
    assert {(method, path) for method, path, _ in _operations(app)} >= OPEN
    assert all(isinstance(route, Door) for route in doors)
    unguarded = {(*route.methods, route.path) for route in doors if route.allowed is None}
    assert unguarded == OPEN
    assert all(route.measure.most_bytes == 0 for route in doors if route.methods & {"GET", "HEAD"})
