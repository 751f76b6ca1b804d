"""Guessing, leaking and outliving tokens; hostile requests; squatting."""

import io
import socket
from contextlib import suppress

import httpx
import pytest

from kifabrik.client.objects import Objects
from kifabrik.client.tenants import Tenants
from kifabrik.errors import CapacityError, ConflictError, IntegrityError, SignInError
from kifabrik.factory.keys import SMALLEST
from kifabrik.factory.records import TokenKind
from kifabrik.factory.tokens import looks_like_token, new_token
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified
from kifabrik.tenants.statements import KeyholderStatement, Removal, Role
from kifabrik.values import format_time, now_utc, sha256_hex
from living_trees import files_below
from parties import FactoryProcess, Party, Person


def test_guessing_is_slowed_down_and_a_right_token_is_not(own_factory: FactoryProcess) -> None:
    tenant = own_factory.sign_up()
    Tenants(tenant.connection).me()
    guesses = [{"authorization": f"Bearer {new_token(TokenKind.DEVICE)}"} for _ in range(30)]
    with httpx.Client(base_url=own_factory.url, verify=False) as http:
        statuses = [http.get("/v1/me", headers=guess).status_code for guess in guesses]
        assert statuses[:20] == [401] * 20
        assert statuses[-1] == 429
        assert Tenants(tenant.connection).me().tenant == tenant.tenant
        assert {http.post("/v1/tenants", json=_sign_up(tenant)).status_code for _ in range(3)} == {429}


def _sign_up(tenant: Party) -> dict[str, str]:
    return {
        "code": new_token(TokenKind.OPERATOR),
        "tenant_key": tenant.tenant_key.public.hex,
        "keyholder": tenant.keyholder.to_json(),
    }


def test_a_token_in_a_url_is_refused_even_if_it_is_right(tenant: Party, http: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {tenant.token}"}
    for url in (f"/v1/me?token={tenant.token}", f"/v1/me?x={tenant.token}"):
        answer = http.get(url, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "sign-in")
    assert http.get(f"/v1/me?token={tenant.token}").status_code == 401


def test_no_token_body_or_query_reaches_the_services_log(tenant: Party, http: httpx.Client) -> None:
    person = tenant.enrol()
    http.get(f"/v1/me?token={person.token}&secret=canary")
    http.post("/v1/devices", json={"membership": "canary", "device": person.token})
    http.get(f"/v1/canary/{person.token}")
    written = tenant.factory.log.read_text() + (tenant.factory.home / "service.log").read_text()
    assert "GET /v1/me 401" in written
    assert "POST /v1/devices 422" in written
    assert person.token not in written
    assert "canary" not in written
    assert not looks_like_token(written)


def test_only_hashes_of_tokens_are_kept(tenant: Party) -> None:
    person = tenant.enrol()
    for _, data in files_below(tenant.factory.home):
        assert person.token.encode() not in data
        assert tenant.token.encode() not in data


def test_a_removed_members_tokens_are_dead_on_every_connection(tenant: Party) -> None:
    person = tenant.enrol()
    open_before = tenant.factory.connect(person.token)
    Tenants(open_before).me()
    removal = tenant.sign(Removal(tenant.tenant, person.member, format_time(now_utc())))
    Tenants(tenant.connection).remove(removal)
    for connection in (open_before, tenant.factory.connect(person.token)):
        with pytest.raises(SignInError):
            Tenants(connection).me()


def test_nobody_takes_another_tenants_id(factory: FactoryProcess, http: httpx.Client) -> None:
    tenant, thief = factory.sign_up(), SigningKey.generate()
    forged = tenant.sign(_said(tenant), thief)
    answer = http.post(
        "/v1/tenants",
        json={
            "code": factory.inside.accounts.make_code(),
            "tenant_key": thief.public.hex,
            "keyholder": forged.to_json(),
        },
    )
    assert answer.status_code == 422
    assert thief.public.tenant_id not in {one.tenant for one in factory.inside.accounts.tenants()}


def _said(tenant: Party) -> KeyholderStatement:
    return read_unverified(tenant.keyholder, KeyholderStatement)[0]


def test_a_second_invitation_cannot_take_over_an_enrolled_member(tenant: Party) -> None:
    person = tenant.enrol()
    Tenants(person.connection).me()
    with pytest.raises(ConflictError):
        person.enrol()
    thief = Person(tenant, member=person.member)
    with pytest.raises(ConflictError):
        thief.enrol()
    assert Tenants(tenant.connection).members()[0].device == person.device.digest


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(tenant: Party) -> None:
    url = httpx.URL(tenant.factory.url)
    head = f"POST /v1/recipients HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenant.token}\r\n"
    with socket.create_connection((url.host, url.port), timeout=60) as connection:
        connection.sendall(f"{head}content-type: application/json\r\ncontent-length: {10**12}\r\n\r\n".encode())
        assert b" 413 " in connection.recv(4096).partition(b"\r\n")[0]


def test_a_body_that_turns_out_too_large_is_refused(tenant: Party, http: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {tenant.token}", "content-type": "application/json"}
    body = (bytes(2**20) for _ in range(80))
    answer = http.post("/v1/recipients", headers=headers, content=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "usage")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/v1/tenants", None, 405),
        ("POST", "/v1/tenants", b"not json", 400),
        ("POST", "/v1/tenants", b'{"code": 1}', 400),
        ("POST", "/v1/devices", b'{"membership": "{}", "device": "{}"}', 422),
        ("POST", "/v1/devices", b"[" * 60_000, 400),
        ("GET", "/v1/statements/../../etc/passwd", None, 404),
        ("GET", "/v1/statements/ABC", None, 400),
        ("GET", "/v1/erasures/t-%00", None, 400),
        ("GET", "/v1/log/tile/../../../etc/passwd", None, 404),
        ("GET", "/v1/log/tile/%2e%2e/%2e%2e/etc/passwd", None, 404),
        ("GET", "/v1/keyholder/mail?after=-1", None, 400),
        ("GET", "/v1/keyholder/mail?wait=nan", None, 400),
    ],
)
def test_every_error_is_a_problem_without_a_traceback(
    tenant: Party, http: httpx.Client, method: str, path: str, body: bytes | None, status: int
) -> None:
    headers = {"authorization": f"Bearer {tenant.token}", "content-type": "application/json"}
    answer = http.request(method, path, headers=headers, content=body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message", "hint"}
    assert "Traceback" not in answer.text
    assert "kifabrik/" not in answer.text


def test_reserving_more_than_the_quota_is_refused_and_costs_nothing(tenant: Party) -> None:
    person = tenant.enrol()
    digest = "ab" * 32
    with pytest.raises(CapacityError, match="quota"):
        person.connection.patch(f"/v1/uploads/{digest}", b"x", {"upload-offset": "0"}, size=10**12 + 1)
    with tenant.factory.inside.store.read() as transaction:
        assert transaction.accounts.tenant(tenant.tenant).bytes_used == 0


def test_a_digest_begun_with_a_wrong_size_does_not_block_the_real_object(tenant: Party) -> None:
    person, body = tenant.enrol(), b"the real object"
    digest = sha256_hex(body)
    person.connection.patch(f"/v1/uploads/{digest}", b"z", {"upload-offset": "0"}, size=10**9)
    objects = Objects(person.connection)
    with suppress(IntegrityError):  # the first try meets what the squatter left
        objects.upload(io.BytesIO(body), digest, len(body))
    objects.upload(io.BytesIO(body), digest, len(body))
    assert objects.fetch(digest, 100) == body
    with tenant.factory.inside.store.read() as transaction:
        assert transaction.accounts.tenant(tenant.tenant).bytes_used == SMALLEST


def test_an_engineers_role_does_not_reach_what_is_for_stewards_or_the_keyholder(
    tenant: Party, http: httpx.Client
) -> None:
    person = tenant.enrol(Role.ENGINEER)
    headers = {"authorization": f"Bearer {person.token}"}
    for method, path in (
        ("POST", "/v1/grants"),
        ("POST", "/v1/erasures"),
        ("GET", "/v1/keyholder/mail"),
        ("POST", "/v1/keyholder/decisions"),
        ("POST", "/v1/recipients"),
        ("POST", "/v1/attestation"),
        ("POST", "/v1/keyholder"),
    ):
        answer = http.request(method, path, headers=headers, json={})
        assert answer.status_code == 403, (path, answer.text)
