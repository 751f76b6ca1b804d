"""Another tenant's things answer exactly like missing ones, on every endpoint of the schema."""

import io
import re
import secrets
from dataclasses import dataclass

import httpx
import pytest

from kifabrik.client.leases import Leases
from kifabrik.client.objects import Objects
from kifabrik.grants.statements import Erasure, Grant, Revocation
from kifabrik.leases.statements import MemberRequest
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified
from kifabrik.tenants.statements import Role
from kifabrik.values import Kind, Place, format_time, new_id, now_utc, sha256_hex
from kifabrik.wire.tenants import Signed
from parties import FactoryProcess, Party, Person

_TOKENS = ("keyholder", "steward", "auditor")
_EXAMPLES = {"digest": "ab" * 32, "sha256": "ab" * 32, "path": "0/000.p/1"}
_SIGNED = {("POST", "/v1/tenants"), ("POST", "/v1/devices"), ("POST", "/v1/nodes/claims")}
"""What is believed for a signature, not for a token."""
_OPEN = {*_SIGNED, ("GET", "/v1/openapi.json")}


@dataclass
class _Stage:
    """Two tenants: things of `other`, and tokens of `mine` that try to reach them."""

    mine: Party
    other: Party
    steward: Person
    auditor: Person
    victim: Person
    things: dict[str, list[str]]
    """Values of path parameters that exist for `other`."""

    def token(self, who: str) -> str:
        return self.mine.token if who == "keyholder" else getattr(self, who).token


@pytest.fixture(scope="module")
def stage(factory: FactoryProcess) -> _Stage:
    mine, other = factory.sign_up(), factory.sign_up()
    victim = other.enrol(Role.STEWARD)
    manifest = victim.seal()
    dataset = next(reversed(other.recipients))
    request = victim.ask_for(manifest.digest)
    Leases(victim.connection).request(request)
    steward = other.enrol(Role.STEWARD)
    erasure = other.sign(Erasure(other.tenant, dataset, False, format_time(now_utc())))
    steward.connection.send("/v1/erasures", _signed(erasure))
    stored = Objects(victim.connection).upload_bytes(b"secret ciphertext")
    statements = [manifest.digest, request.digest, erasure.digest, other.keyholder.digest]
    return _Stage(
        mine=mine,
        other=other,
        steward=mine.enrol(Role.STEWARD),
        auditor=mine.enrol(Role.AUDITOR),
        victim=victim,
        things={
            "digest": [*statements, stored],
            "sha256": [stored],
            "dataset": [dataset],
            "path": ["0/000.p/3", "entries/000.p/3"],
            "size": ["0", "3"],
            "run": [read_unverified(request, MemberRequest)[0].run],
            "attempt": [new_id(Kind.ATTEMPT)],
        },
    )


def _signed(envelope: Envelope) -> Signed:
    return Signed(statement=envelope.to_json())


def _missing(name: str, value: str) -> str:
    if name in {"path", "size"}:
        return value
    if re.fullmatch(r"[0-9a-f]{64}", value):
        return sha256_hex(secrets.token_bytes(16))
    return new_id(Kind(value[0]))


def _operations(http: httpx.Client) -> list[tuple[str, str]]:
    schema = http.get("/v1/openapi.json").json()
    return [(method.upper(), path) for path, item in schema["paths"].items() for method in item]


def _ask(http: httpx.Client, method: str, path: str, token: str) -> tuple[int, str, dict[str, str]]:
    answer = http.request(
        method,
        path,
        headers={"authorization": f"Bearer {token}", "upload-offset": "0"},
        params={"size": 5} if method == "PATCH" else {},
        content=b"" if method == "PATCH" else None,
    )
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, answer.text, headers


def test_every_path_answers_for_another_tenants_things_as_for_missing_ones(
    stage: _Stage, http: httpx.Client
) -> None:
    compared = 0
    for method, path in _operations(http):
        names = re.findall(r"\{(\w+)", path)
        if not names:
            continue
        assert len(names) == 1, f"teach this test about {path}"
        for value in stage.things[names[0]]:
            for who in _TOKENS:
                theirs = path.replace(re.search(r"\{[^}]*\}", path)[0], value)
                nobodys = path.replace(re.search(r"\{[^}]*\}", path)[0], _missing(names[0], value))
                found = _ask(http, method, theirs, stage.token(who))
                absent = _ask(http, method, nobodys, stage.token(who))
                same = found[0] == absent[0] and _anonymous(found) == _anonymous(absent)
                assert same, f"{who}: {method} {path}: {found} is not {absent}"
                compared += 1
    assert compared > 50


def _anonymous(answer: tuple[int, str, dict[str, str]]) -> tuple[str, dict[str, str]]:
    """Without the digests and ids that were asked for."""
    return re.sub(r"[0-9a-f]{16,64}|[a-z]-[a-z2-7]{16,32}", "…", answer[1]), answer[2]


def test_every_operation_but_sign_up_and_enrolment_needs_a_token(own_factory: FactoryProcess) -> None:
    with httpx.Client(base_url=own_factory.url, verify=False) as http:
        _ask_without_token(http)


def _ask_without_token(http: httpx.Client) -> None:
    for method, path in _operations(http):
        if (method, path) in _OPEN:
            continue
        concrete = re.sub(r"\{(\w+)(:path)?\}", lambda m: _EXAMPLES.get(m[1], "d-aaaaaaaaaaaaaaaa"), path)
        for headers in ({}, {"authorization": "Basic abc"}, {"authorization": f"Bearer kfd_{'A' * 43}"}):
            answer = http.request(method, concrete, headers=headers)
            assert answer.status_code in {401, 429}, (method, path, answer.text)


def test_the_same_ciphertext_of_two_tenants_is_stored_for_each(stage: _Stage) -> None:
    body = b"secret ciphertext"
    digest = sha256_hex(body)
    mine = Objects(stage.steward.connection)
    assert mine.missing([digest]) == {digest}
    mine.upload(io.BytesIO(body), digest, len(body))
    assert mine.fetch(digest, 100) == body
    assert len(list((stage.mine.factory.home / "objects").rglob(digest))) == 2


def test_statements_of_another_tenant_key_change_nothing(stage: _Stage, http: httpx.Client) -> None:
    """The victim's tenant key signs, the attacker's token hands in; and the other way round."""
    now = format_time(now_utc())
    dataset = stage.things["dataset"][0]
    grant = Grant(
        new_id(Kind.GRANT), stage.other.tenant, dataset, "p", (), Place(), None, 0, False, False, now, now
    )
    revocation = Revocation(stage.other.tenant, grant.grant, now)
    before = len(stage.other.entries())
    for path, said in (("/v1/grants", grant), ("/v1/revocations", revocation)):
        for party in (stage.mine, stage.other):
            answer = http.post(
                path,
                headers={"authorization": f"Bearer {stage.steward.token}"},
                json=_signed(party.sign(said)).model_dump(),
            )
            assert answer.status_code == 422, answer.text
    assert len(stage.other.entries()) == before
