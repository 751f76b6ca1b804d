"""Every operation of the API with another tenant's ids, digests and statements, by property.

Each example makes one request twice: with what exists for the other tenant, and with what exists for nobody.
Both must have the same status, body, headers and code path: the same SQL statements in the same order and the
same files opened. Only the ids themselves may differ.
"""

import base64
import random
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs_room import Desk, desk
from sqlalchemy import Engine, event
from starlette.routing import Route
from starlette.testclient import TestClient

from kifabrik.attestation.policy import AttestationPolicy, EndorsedNode
from kifabrik.client.datasets import Datasets
from kifabrik.client.leases import Leases
from kifabrik.client.objects import Objects
from kifabrik.datasets.manifest import BodyRef, Manifest, sign_manifest
from kifabrik.grants.statements import Erasure, ErasureCertificate, Grant, Revocation
from kifabrik.leases.statements import AttemptRequest, MemberRequest, Refusal
from kifabrik.ledger.checkpoint import witness_name
from kifabrik.ledger.notes import Note
from kifabrik.models.acceptance import Acceptance
from kifabrik.models.promotion import Promotion
from kifabrik.orders.order import Input, sign_order
from kifabrik.runs.claims import NodeClaim, sign_claim
from kifabrik.service.app import make_app
from kifabrik.service.auth import Failures
from kifabrik.service.routers import ALL
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.statements import Membership, RecipientList, Removal, Role, SignInProof
from kifabrik.values import Kind, Place, format_time, new_id, now_utc, sha256_hex
from kifabrik.wire.body import Detail
from parties import Party, Person
from players import LOCK, LauncherPlayer, an_order, keyholder
from players import order as order_of

__all__ = ["desk"]

# The service ignores this itself; pytest watches warnings in its own way.
pytestmark = pytest.mark.filterwarnings("ignore:The 'alias' attribute with value 'body'")

_ID = re.compile(r"[0-9a-f]{64}|\b[a-z]-[a-z2-7]{16,32}\b")
_OPEN = {("GET", "/v1/openapi.json")}
_WITHOUT_TOKEN = {("POST", "/v1/tenants"), ("POST", "/v1/devices"), ("POST", "/v1/nodes/claims")}
_WITHOUT_ANY_ID = {
    ("GET", "/v1/me"),
    ("GET", "/v1/members"),
    ("GET", "/v1/keyholder"),
    ("GET", "/v1/recipients"),
    ("GET", "/v1/log/checkpoint"),
    ("GET", "/v1/log/cosigned"),
    ("GET", "/v1/datasets/versions"),
    ("GET", "/v1/keyholder/mail"),
    ("GET", "/v1/log/tile/{path}"),
    ("GET", "/v1/log/since/{size}"),
    ("POST", "/v1/sign-ins/challenges"),
}
"""What answers about the caller's own tenant, whatever is sent."""
_NEVER_AN_ID = {
    ("GET", "/v1/objects/{digest}", "range"),
    ("GET", "/v1/runs", "state"),
    ("POST", "/v1/attempts/{attempt}/progress", "reason"),
    ("POST", "/v1/objects", "objects"),
    ("POST", "/v1/plans", "python"),
}
"""Parts of requests that are texts and yet name nothing that could be another tenant's."""
_ROUNDS = 6
"""How often each attack is made with each token: what it names is drawn anew each time."""
_APART = {("PATCH", "/v1/uploads/{digest}"), ("POST", "/v1/objects")}
"""What changes with each call, so that it has a test of its own."""


@dataclass
class Trace:
    """What the service did for a request."""

    sql: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class Tracer:
    """Notes SQL statements and opened files, in whichever thread."""

    def __init__(self, service: "Desk") -> None:
        self._home = str(service.home)
        self._now: Trace | None = None
        # Of every engine: on SQLite the store has one for reading and another for writing.
        event.listen(Engine, "before_cursor_execute", self._sql)
        sys.addaudithook(self._audit)

    @contextmanager
    def tracing(self) -> Iterator[Trace]:
        """Trace what is done in the block."""
        trace = self._now = Trace()
        try:
            yield trace
        finally:
            self._now = None

    def _sql(self, _connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if self._now is not None:
            self._now.sql.append(statement)

    def _audit(self, name: str, arguments: tuple[object, ...]) -> None:
        if self._now is not None and name in {"open", "os.rename", "os.remove", "os.mkdir", "os.listdir"}:
            path = str(arguments[0])
            if self._home in path:
                self._now.files.append(f"{name} {_anonymous(path)}")


def _anonymous(text: str) -> str:
    """Without ids, digests and the first digits of digests that messages and folders show."""
    return re.sub(r"\b[0-9a-f]{2}(?=/…)|[0-9a-f]{12,16}", "…", _ID.sub("…", text))


class Names:
    """Where a request takes its ids from: what exists for the other tenant, or what exists for nobody.

    The same places are asked for in the same order both times, so the two requests differ in ids only.
    """

    def __init__(self, pools: dict[str, list[str]], draw: Callable[[list[Any]], Any], *, real: bool) -> None:
        self._pools, self._draw, self._real = pools, draw, real

    def pick(self, choices: list[Any]) -> Any:
        """Return one of several values, the same for both requests."""
        return self._draw(choices)

    def __getattr__(self, pool: str) -> str:
        found = self._draw(self._pools[pool])
        return found if self._real else made_up(found)


def made_up(value: str) -> str:
    """Something of the same form that exists for nobody; a statement by nobody's key about nobody's things."""
    if not value.startswith("{"):
        return _ID.sub(lambda match: _another(match[0]), value)
    envelope = Envelope.from_json(value)
    known: dict[str, str] = {}
    text = _ID.sub(lambda match: known.setdefault(match[0], _another(match[0])), envelope.payload.decode())
    return Envelope.sign(text.encode(), *(SigningKey.generate() for _ in envelope.signatures)).to_json()


def _another(value: str) -> str:
    return sha256_hex(secrets.token_bytes(16)) if len(value) == 64 else new_id(Kind(value[0]))


@dataclass(repr=False)
class Scene:
    """Two tenants of one factory; `mine` attacks."""

    desk: Desk
    mine: Party
    steward: Person
    engineer: Person
    auditor: Person
    launcher: LauncherPlayer
    own: Envelope
    """A manifest of the attacker's."""
    pools: dict[str, list[str]]
    theirs: str
    """The token of the other tenant's keyholder, to see that what is looked for can be found."""
    client: httpx.Client
    tracer: Tracer

    @property
    def tokens(self) -> dict[str, str]:
        """The attacker's tokens, one of each kind."""
        return {
            "keyholder": self.mine.token,
            "steward": self.steward.token,
            "engineer": self.engineer.token,
            "auditor": self.auditor.token,
            "launcher": self.launcher.assignment["token"],
        }


@pytest.fixture(scope="module")
def scene(desk: Desk) -> Iterator[Scene]:
    mine, other = desk.sign_up(), desk.sign_up()
    for party in (mine, other):
        party.mailbox.mail(after=0, wait_s=0)  # runs wait for a keyholder that has never called
    pools = _victim(desk, other)
    steward = mine.enrol(Role.STEWARD)
    launcher = desk.hire(mine.enrol())
    client = TestClient(make_app(desk.inside), raise_server_exceptions=False)
    with client:
        made = Scene(
            desk=desk,
            mine=mine,
            steward=steward,
            engineer=mine.enrol(Role.ENGINEER),
            auditor=mine.enrol(Role.AUDITOR),
            launcher=launcher,
            own=steward.seal(),
            pools=pools,
            theirs=other.token,
            client=client,
            tracer=Tracer(desk),
        )
        for token in made.tokens.values():
            client.get("/v1/me", headers={"authorization": f"Bearer {token}"})  # its first use is noted
        yield made


def _victim(desk: Desk, other: Party) -> dict[str, list[str]]:
    """Let a tenant do everything a tenant does; return what exists of it by then."""
    victim, gone = other.enrol(Role.STEWARD), other.enrol()
    bodies = victim.upload(*(secrets.token_bytes(500) for _ in range(6)))
    dataset = other.new_dataset()
    manifest = victim.manifest(dataset, bodies[:4])
    names = Detail(sha256=sha256_hex(b"names"), sealed=b"sealed names")
    Datasets(victim.connection).register(manifest, names)
    erased = read_unverified(victim.seal(), Manifest)[0].owner
    now, late = format_time(now_utc()), "2099-01-01T00:00:00Z"
    grant = Grant(
        new_id(Kind.GRANT), other.tenant, dataset, "p-test", (), Place(), None, 0, False, False, now, late
    )
    statements = [other.sign(grant), other.sign(Erasure(other.tenant, erased, False, now))]
    Datasets(other.connection).grant(statements[0], None)
    Datasets(other.connection).erase(statements[1])
    player = desk.hire(victim, inputs=[manifest], checkpoint=True)
    with keyholder(other):
        player.play(["keys", "log hello", "running", "checkpoint"])
    player.segment(b"one more piece")
    sweep = order_of(victim, tasks=3).run
    request = victim.ask_for(manifest.digest)
    Leases(victim.connection).request(request)
    statements += [manifest, request, player.lease, other.keyholder, victim.membership, gone.device]
    statements += [Envelope.from_json(player.work.order), Envelope.from_json(player.work.code)]
    return {
        "statement": [one.to_json() for one in statements],
        "digest": [*(one.digest for one in statements), *(one.sha256 for one in bodies)],
        "object": [one.sha256 for one in bodies],
        "begun": _begun(victim, 10),
        "begun too": _begun(victim, 12),
        "small": _small(victim, 6),
        "manifest": [manifest.digest],
        "detail": [names.sha256],
        "dataset": [dataset, erased],
        "grant": [grant.grant],
        "member": [victim.member, gone.member],
        "run": [player.order.run, sweep, f"{sweep}-2"],
        "attempt": [player.attempt],
        "request": [request.digest],
        "order": [statements[-2].digest],
        "code": [statements[-1].digest],
        "tenant": [other.tenant],
    }


def _begun(victim: Person, count: int) -> list[str]:
    """Digests whose upload the other tenant has begun."""
    digests = [sha256_hex(secrets.token_bytes(16)) for _ in range(count)]
    for digest in digests:
        victim.connection.patch(f"/v1/uploads/{digest}", b"x", {"upload-offset": "0"}, size=10)
    return digests


def _small(victim: Person, count: int) -> list[str]:
    """Small objects of the other tenant, in base64."""
    bodies = [secrets.token_bytes(16) for _ in range(count)]
    Objects(victim.connection).upload_small(bodies)
    return [base64.b64encode(data).decode() for data in bodies]


# --- requests: each builds one from the names it is given ---

Request = dict[str, object]
Make = Callable[["Scene", Names], Request]


def get(path: str) -> Make:
    """A request whose path has one id."""

    def make(_scene: Scene, names: Names) -> Request:
        return {"url": re.sub(r"\{(\w+)\}", lambda match: getattr(names, match[1]), path)}

    return make


def a_claim(_scene: Scene, names: Names) -> Request:
    """A node nobody has enrolled claims somebody's attempt."""
    node = SigningKey.generate()
    said = NodeClaim(node.public.hex, names.attempt, 0, 1, "kf-x", (), "age1" + "q" * 58, _now())
    return {"url": "/v1/nodes/claims", "json": {"statement": sign_claim(said, node).to_json()}}


def posted(path: str, build: Callable[[Scene, Names], Envelope], **more: str) -> Make:
    """A POST of one statement that the attacker has signed about somebody's things."""

    def make(scene: Scene, names: Names) -> Request:
        return {"url": path, "json": {"statement": build(scene, names).to_json(), **more}}

    return make


def body(path: str, **fields: str) -> Make:
    """A POST with ids or replayed statements of somebody's in fields of its body."""

    def make(_scene: Scene, names: Names) -> Request:
        said = {name: getattr(names, pool.rstrip("*")) for name, pool in fields.items()}
        lists = {name: [said[name]] for name, pool in fields.items() if pool.endswith("*")}
        url = re.sub(r"\{(\w+)\}", lambda match: getattr(names, match[1]), path)
        return {"url": url, "json": said | lists}

    return make


def own_attempt(path: str, **fields: object) -> Make:
    """What a launcher tells of its own attempt, with statements of somebody else's in it."""

    def make(scene: Scene, names: Names) -> Request:
        said = {name: names.statement if value == "statement" else value for name, value in fields.items()}
        return {"url": path.replace("{attempt}", scene.launcher.attempt), "json": said}

    return make


def foreign_attempt(path: str, **fields: object) -> Make:
    """What a launcher tells, whole and well-formed, of somebody else's attempt."""

    def make(_scene: Scene, names: Names) -> Request:
        said = {name: names.statement if value == "statement" else value for name, value in fields.items()}
        return {"url": path.replace("{attempt}", names.attempt), "json": said}

    return make


def _now() -> str:
    return format_time(now_utc())


def a_removal(scene: Scene, names: Names) -> Envelope:
    return scene.mine.sign(Removal(scene.mine.tenant, names.member, _now()))


def a_grant(scene: Scene, names: Names) -> Envelope:
    late = "2099-01-01T00:00:00Z"
    said = Grant(
        names.grant, scene.mine.tenant, names.dataset, "p", (), Place(), None, 0, False, False, _now(), late
    )
    return scene.mine.sign(said)


def a_revocation(scene: Scene, names: Names) -> Envelope:
    return scene.mine.sign(Revocation(scene.mine.tenant, names.grant, _now()))


def an_erasure(scene: Scene, names: Names) -> Envelope:
    return scene.mine.sign(Erasure(scene.mine.tenant, names.dataset, False, _now()))


def a_certificate(scene: Scene, names: Names) -> Envelope:
    said = ErasureCertificate(scene.mine.tenant, names.dataset, names.digest, (), (), (), (), "", True, _now())
    return scene.mine.sign(said, scene.mine.keyholder_key)


def a_version(scene: Scene, names: Names) -> Envelope:
    """A version of somebody's dataset, out of somebody's objects."""
    said, _ = read_unverified(scene.own, Manifest)
    shard = BodyRef(names.object, 500)
    changed = {"owner": names.dataset, "shards": (shard,)}
    return sign_manifest(Manifest(**{**vars(said), **changed}), scene.steward.key)


def a_next_version(scene: Scene, names: Names) -> Envelope:
    said, _ = read_unverified(scene.own, Manifest)
    changed = {"version": 2, "previous": names.manifest}
    return sign_manifest(Manifest(**{**vars(said), **changed}), scene.steward.key)


def a_pull(scene: Scene, names: Names) -> Envelope:
    who = scene.engineer
    said = MemberRequest(
        scene.mine.tenant,
        who.member,
        who.key.public.hex,
        who.identity.recipient.text,
        names.run,
        (names.digest,),
        _now(),
        secrets.token_hex(16),
    )
    return sign_statement(said, {}, who.key)


def keys_for_an_attempt(scene: Scene, names: Names) -> Envelope:
    said, _ = read_unverified(scene.launcher.signed_request(), AttemptRequest)
    changed = AttemptRequest(**{**vars(said), "items": (names.digest,), "run": said.run, "order": names.order})
    return sign_statement(changed, {}, scene.launcher.run_key, scene.launcher.node_key)


def an_acceptance(scene: Scene, names: Names) -> Envelope:
    run = names.run
    said = Acceptance(scene.mine.tenant, scene.engineer.member, run, f"{run}/1", names.manifest, "ab" * 32, _now())
    return sign_statement(said, {}, scene.engineer.key)


def a_promotion(scene: Scene, names: Names) -> Envelope:
    run, mine = names.run, scene.mine.tenant
    said = Promotion(mine, scene.engineer.member, "ab" * 32, run, f"{run}/1", names.manifest, _now())
    return sign_statement(said, {}, scene.engineer.key)


def a_list(scene: Scene, names: Names) -> Envelope:
    listed = {names.dataset: scene.engineer.identity.recipient.text}
    return scene.mine.sign(RecipientList(scene.mine.tenant, 1, listed, _now()), scene.mine.keyholder_key)


def a_sign_in(scene: Scene, names: Names) -> Envelope:
    """A sign-in to the pages as somebody else, signed by the attacker's device, over a challenge of somebody's."""
    return sign_statement(SignInProof(names.tenant, names.member, names.digest, _now()), {}, scene.engineer.key)


def a_policy(scene: Scene, names: Names) -> Envelope:
    listed = EndorsedNode(names.digest, "n1", names.digest, names.digest, names.digest)
    return scene.mine.sign(AttestationPolicy(names.tenant, 1, nodes=(listed,), created=_now()))


def a_refusal(scene: Scene, names: Names) -> Envelope:
    said = Refusal(scene.mine.tenant, names.request, "no-grant", "No.", True, _now())
    return scene.mine.sign(said, scene.mine.keyholder_key)


def decision(scene: Scene, names: Names) -> Request:
    return {"url": "/v1/keyholder/decisions", "json": {"statement": a_refusal(scene, names).to_json()}}


def order(scene: Scene, names: Names) -> Request:
    """A run on somebody's dataset, with one's own code."""
    signed, code = an_order(scene.engineer)
    said = read_unverified(signed, type(scene.launcher.order))[0]
    inputs = (Input(names.dataset, 1, names.manifest),)
    changed = sign_order(type(said)(**{**vars(said), "inputs": inputs}), scene.engineer.key)
    return {"url": "/v1/runs", "json": {"order": changed.to_json(), "code": code.to_json(), "lock": LOCK}}


def order_with_other_code(scene: Scene, names: Names) -> Request:
    signed, _ = an_order(scene.engineer)
    return {"url": "/v1/runs", "json": {"order": signed.to_json(), "code": names.statement, "lock": LOCK}}


def plan(_scene: Scene, names: Names) -> Request:
    resources = {"cpus": 1, "memory_bytes": 10**6}
    asked = {"resources": resources, "place": {}, "max_duration_s": 60, "inputs": [names.manifest]}
    return {"url": "/v1/plans", "json": asked}


def runs_page(_scene: Scene, names: Names) -> Request:
    return {"url": "/v1/runs", "params": {"before": names.run, "limit": names.pick([1, 50, 500])}}


def part(_scene: Scene, names: Names) -> Request:
    asked = names.pick(["", "bytes=0-", "bytes=5-9", "bytes=9-5", "bytes=99999-"])
    return {"url": f"/v1/objects/{names.object}", "headers": {"range": asked} if asked else {}}


def cosignature(scene: Scene, names: Names) -> Request:
    """The attacker's witness cosigns a head that says it is another tenant's."""
    text = f"kifabrik.org/log/{names.tenant}\n3\nGIvDqzvlUX9tdMRLhyPj3XyIWpFBZ0mEoXsDdSO4zQg=\n"
    note = Note(text).signed(witness_name(scene.mine.tenant), scene.mine.witness_key, 1)
    return {"url": "/v1/keyholder/cosignatures", "json": {"note": note.to_text()}}


def enrolment(scene: Scene, names: Names) -> Request:
    """A device for another tenant's member, under the attacker's tenant key."""
    person = Person(scene.mine, member=names.member)
    late = "2099-01-01T00:00:00Z"
    stray = Membership(names.tenant, names.member, Role.OWNER, person.key.public.hex, _now(), late)
    membership = scene.mine.sign(stray)
    return {"url": "/v1/devices", "json": {"membership": membership.to_json(), "device": person.device.to_json()}}


def sign_up(scene: Scene, names: Names) -> Request:
    said = {"code": "kfo_" + "A" * 43, "tenant_key": scene.mine.tenant_key.public.hex, "keyholder": names.statement}
    return {"url": "/v1/tenants", "json": said}


def with_detail(make: Make) -> Make:
    """The same request with sealed names beside it, under the digest of somebody's."""

    def also(scene: Scene, names: Names) -> Request:
        request = make(scene, names)
        said = {"sha256": names.detail, "sealed": base64.b64encode(b"sealed names").decode()}
        return request | {"json": request["json"] | {"detail": said}}  # type: ignore[operator]

    return also


def decision_with_headers(scene: Scene, names: Names) -> Request:
    """Keys for somebody's request, by a keyholder of its own."""
    request = decision(scene, names)
    return request | {"json": request["json"] | {"headers": {names.manifest: "eA=="}}}  # type: ignore[operator]


ATTACKS: dict[tuple[str, str], list[tuple[Make, tuple[str, ...]]]] = {}


def attack(method: str, path: str, make: Make, *who: str) -> None:
    ATTACKS.setdefault((method, path), []).append((make, who or ("keyholder", "steward", "auditor", "launcher")))


for _path in (
    "/v1/statements/{digest}",
    "/v1/leases/{digest}",
    "/v1/erasures/{dataset}",
    "/v1/runs/{run}",
    "/v1/runs/{run}/events",
    "/v1/runs/{run}/evidence",
    "/v1/runs/{run}/tasks",
    "/v1/attempts/{attempt}/work",
    "/v1/attempts/{attempt}/control",
    "/v1/attempts/{attempt}/log",
):
    attack("GET", _path, get(_path))
attack("GET", "/v1/erasures/{dataset}", get("/v1/erasures/{dataset}?after={digest}"))
attack("GET", "/v1/runs/{run}/tasks", get("/v1/runs/{run}/tasks?after={run}"))
attack("GET", "/v1/attempts/{attempt}/notes", get("/v1/attempts/{attempt}/notes?stage=joined&rank=0"))
attack("GET", "/v1/log/details/{sha256}", get("/v1/log/details/{detail}"))
attack("GET", "/v1/objects/{digest}", part)
attack("GET", "/v1/runs", runs_page)
attack("HEAD", "/v1/uploads/{digest}", get("/v1/uploads/{object}"), "steward", "launcher")
attack("HEAD", "/v1/uploads/{digest}", get("/v1/uploads/{begun}"), "steward", "launcher")
attack("POST", "/v1/objects/{digest}/way", get("/v1/objects/{object}/way"))
for _pool in ("object", "begun"):
    attack("POST", "/v1/uploads/{digest}/way", get(f"/v1/uploads/{{{_pool}}}/way?size=10"), "steward", "launcher")
    attack("POST", "/v1/uploads/{digest}/arrived", get(f"/v1/uploads/{{{_pool}}}/arrived"), "steward", "launcher")
attack("POST", "/v1/runs/{run}/stop", get("/v1/runs/{run}/stop"), "steward", "engineer", "auditor")
attack("POST", "/v1/objects/missing", body("/v1/objects/missing", digests="object*"))
attack("POST", "/v1/keyholder/asking", body("/v1/keyholder/asking", request="request"), "keyholder")
attack("POST", "/v1/keyholder/decisions", decision, "keyholder")
attack("POST", "/v1/keyholder/decisions", body("/v1/keyholder/decisions", statement="statement"), "keyholder")
attack("POST", "/v1/keyholder/cosignatures", cosignature, "keyholder")
attack("POST", "/v1/keyholder", body("/v1/keyholder", keyholder="statement"), "keyholder")
attack("POST", "/v1/devices", enrolment, "nobody")
attack("POST", "/v1/devices", body("/v1/devices", membership="statement", device="statement"), "nobody")
attack("POST", "/v1/tenants", sign_up, "nobody")
attack("POST", "/v1/plans", plan, "steward", "engineer")
attack("POST", "/v1/runs", order, "engineer")
attack("POST", "/v1/runs", order_with_other_code, "engineer")
attack("POST", "/v1/leases", posted("/v1/leases", a_pull), "engineer")
attack("POST", "/v1/leases", posted("/v1/leases", keys_for_an_attempt), "launcher")
for _path, _build, _who in (
    ("/v1/members/removals", a_removal, ("steward", "keyholder")),
    ("/v1/grants", a_grant, ("steward", "keyholder")),
    ("/v1/revocations", a_revocation, ("steward", "keyholder")),
    ("/v1/erasures", an_erasure, ("steward", "keyholder")),
    ("/v1/keyholder/certificates", a_certificate, ("keyholder",)),
    ("/v1/recipients", a_list, ("keyholder",)),
    ("/v1/attestation", a_policy, ("keyholder",)),
    ("/v1/datasets/versions", a_version, ("steward",)),
    ("/v1/datasets/versions", a_next_version, ("steward",)),
    ("/v1/models/acceptances", an_acceptance, ("engineer",)),
    ("/v1/models/promotions", a_promotion, ("engineer",)),
):
    attack("POST", _path, posted(_path, _build), *_who)
    attack("POST", _path, body(_path, statement="statement"), *_who)
attack("POST", "/v1/leases", body("/v1/leases", statement="statement"), "engineer", "launcher")
for _path, _fields in (
    ("progress", {"state": "running"}),
    ("stream", {"stream": "statement", "header": "eA=="}),
    ("segments", {"statement": "statement", "body": "eA=="}),
    ("checkpoints", {"statement": "statement"}),
    ("notes", {"rank": 0, "stage": "joined", "text": "statement"}),
    ("keys", {"body": "eA==", "headers": ["eA=="]}),
    ("fault", {"rank": 0, "outcome": "error", "message": ""}),
    ("finish", {"finish": "statement", "outputs": [], "provenance": "", "message": ""}),
):
    _whole = f"/v1/attempts/{{attempt}}/{_path}"
    if _path not in ("progress", "keys", "fault"):
        attack("POST", _whole, own_attempt(_whole, **_fields), "launcher")
    attack("POST", _whole, foreign_attempt(_whole, **_fields), "launcher", "steward", "keyholder")
attack("POST", "/v1/sign-ins", posted("/v1/sign-ins", a_sign_in), "engineer")
attack("POST", "/v1/sign-ins", body("/v1/sign-ins", statement="statement"), "engineer", "steward", "auditor")
attack("POST", "/v1/nodes/claims", a_claim, "nobody", "launcher", "steward")
for _path, _build, _who in (
    ("/v1/members/removals", a_removal, "steward"),
    ("/v1/grants", a_grant, "steward"),
    ("/v1/revocations", a_revocation, "steward"),
    ("/v1/erasures", an_erasure, "steward"),
    ("/v1/keyholder/certificates", a_certificate, "keyholder"),
    ("/v1/recipients", a_list, "keyholder"),
    ("/v1/attestation", a_policy, "keyholder"),
    ("/v1/datasets/versions", a_version, "steward"),
    ("/v1/models/acceptances", an_acceptance, "engineer"),
    ("/v1/models/promotions", a_promotion, "engineer"),
    ("/v1/sign-ins", a_sign_in, "engineer"),
):
    attack("POST", _path, with_detail(posted(_path, _build)), _who)
attack("POST", "/v1/devices", with_detail(enrolment), "nobody")
attack("POST", "/v1/keyholder/decisions", with_detail(decision), "keyholder")
attack("POST", "/v1/keyholder/decisions", decision_with_headers, "keyholder")
attack("POST", "/v1/runs", with_detail(order), "engineer")
attack("POST", "/v1/nodes/claims", with_detail(a_claim), "nobody")
_whole = "/v1/attempts/{attempt}/checkpoints"
attack("POST", _whole, with_detail(own_attempt(_whole, statement="statement")), "launcher")


def test_every_operation_of_the_schema_is_attacked(scene: Scene) -> None:
    schema = scene.client.get("/v1/openapi.json").json()
    there = {(method.upper(), path) for path, item in schema["paths"].items() for method in item}
    assert there - _WITHOUT_ANY_ID - _OPEN - _APART == set(ATTACKS), "teach this test about what is new"


def parts_of(operation: dict[str, Any], schemas: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every parameter of an operation and every field of its body, with its schema."""
    found = {one["name"]: one["schema"] for one in operation.get("parameters", ())}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        whole = content["schema"].get("$ref", "").rpartition("/")[2]
        found |= schemas[whole]["properties"] if whole else {}
    return found


def can_hold_an_id(schema: dict[str, Any]) -> bool:
    """Whether a value of this schema may be something else than numbers and words of a fixed list."""
    kinds = schema.get("anyOf", [schema])
    return any(
        one.get("type") not in ("integer", "number", "boolean", "null") and "enum" not in one for one in kinds
    )


def parts_sent(scene: Scene, path: str, makes: list[Make]) -> set[str]:
    """Names of the parameters and fields that these attacks on an operation fill."""
    sent = set(re.findall(r"\{(\w+)\}", path))
    for make in makes:
        request = make(scene, Names(scene.pools, lambda pool: pool[0], real=True))
        sent |= {name for name, _ in httpx.URL(str(request["url"])).params.multi_items()}
        for place in ("json", "params", "headers"):
            sent |= set(request.get(place, {}))  # type: ignore[call-overload]
    return sent


def test_every_part_of_every_request_that_can_hold_an_id_is_attacked(scene: Scene) -> None:
    """A parameter or field that an operation has learnt since is told here, as a new operation is above."""
    schema = scene.client.get("/v1/openapi.json").json()
    schemas = schema["components"]["schemas"]
    left = set()
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            makes = [make for make, _ in ATTACKS.get((method.upper(), path), [])]
            sent = parts_sent(scene, path, makes)
            for name, said in parts_of(operation, schemas).items():
                if can_hold_an_id(_resolved(said, schemas)) and name not in sent:
                    left.add((method.upper(), path, name))
    assert left == _NEVER_AN_ID


def _resolved(said: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    whole = said.get("$ref", "").rpartition("/")[2]
    return schemas[whole] if whole else said


def test_what_is_asked_about_oneself_tells_nothing_of_another_tenant(scene: Scene) -> None:
    """What needs no id answers from the caller's own tenant: no id, digest or object of the other is in it."""
    paths = [path for method, path in sorted(_WITHOUT_ANY_ID) if method == "GET" and "{" not in path]
    paths += [f"/v1/log/since/{size}?statements=true" for size in (0, 1, 5)]
    paths += [f"/v1/log/tile/{tile}.p/{size}" for tile in ("0/000", "1/000", "entries/000") for size in (1, 4)]
    theirs = {
        one for pool in ("digest", "dataset", "grant", "member", "run", "tenant") for one in scene.pools[pool]
    }
    answered_of = {
        (who, path): scene.client.get(path, headers={"authorization": f"Bearer {token}"})
        for who, token in (*scene.tokens.items(), ("the other", scene.theirs))
        for path in paths
    }
    named = {key: {one for one in theirs if one.encode() in said.content} for key, said in answered_of.items()}
    assert {who for (who, _), found in named.items() if found} == {"the other"}
    for path in ("/v1/me", "/v1/members", "/v1/datasets/versions", paths[-1], "/v1/log/since/0?statements=true"):
        assert answered_of["steward", path].status_code == 200, path
        assert named["the other", path], path


def test_every_attack_is_made_with_every_token(scene: Scene) -> None:
    """The property below chooses at random; this leaves nothing out."""
    chance = random.Random("every attack")
    for (method, path), attacks in sorted(ATTACKS.items()):
        for make, allowed in attacks * _ROUNDS:
            for who in allowed:
                found, did, absent, would = compared(scene, method, make, who, chance.choice)
                assert (found, did) == (absent, would), (method, path, who)
                assert found[0] != 500, (method, path, who)


def test_no_route_is_outside_the_schema(scene: Scene) -> None:
    """What was mounted, or hidden from the schema, would be attacked by nobody here."""
    apart = [one.path for one in scene.client.app.routes if isinstance(one, Route)]  # type: ignore[attr-defined]
    assert apart == [path for _, path in _OPEN]
    assert len(scene.client.app.routes) == len(apart) + len(ALL)  # type: ignore[attr-defined]
    schema = scene.client.get("/v1/openapi.json").json()
    there = {(method.upper(), path) for path, item in schema["paths"].items() for method in item}
    routes = [route for router in ALL for route in router.routes]
    assert {(method, route.path_format) for route in routes for method in route.methods} == there  # type: ignore[attr-defined]


def answered(scene: Scene, method: str, token: str, request: Request) -> tuple[tuple[object, ...], Trace]:
    """Make a request; return what the caller sees, without ids, and what the service did."""
    scene.client.app.state.failures = Failures()  # type: ignore[attr-defined]
    headers = {"authorization": f"Bearer {token}"} if token else {}
    headers |= request.pop("headers", {})  # type: ignore[arg-type]
    with scene.tracer.tracing() as trace:
        answer = scene.client.request(method, headers=headers, **request)  # type: ignore[arg-type]
    seen = {name: value for name, value in answer.headers.items() if name not in ("date", "content-length")}
    return (answer.status_code, _anonymous(answer.text), tuple(seen.items())), trace


def compared(
    scene: Scene, method: str, make: Make, who: str, draw: Callable[[list[Any]], Any]
) -> tuple[tuple[object, ...], Trace, tuple[object, ...], Trace]:
    """Make one request with what exists for the other tenant, and again with what exists for nobody."""
    token = scene.tokens.get(who, "")
    drawn: list[Any] = []

    def first(pool: list[Any]) -> Any:
        drawn.append(draw(pool))
        return drawn[-1]

    theirs = make(scene, Names(scene.pools, first, real=True))
    again = iter(list(drawn))
    nobodys = make(scene, Names(scene.pools, lambda _pool: next(again), real=False))
    return (*answered(scene, method, token, theirs), *answered(scene, method, token, nobodys))


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_another_tenants_things_answer_as_missing_ones_by_the_same_code_path(
    scene: Scene, data: st.DataObject
) -> None:
    method, path = data.draw(st.sampled_from(sorted(ATTACKS)), label="operation")
    make, allowed = data.draw(st.sampled_from(ATTACKS[method, path]), label="attack")
    who = data.draw(st.sampled_from(allowed), label="token")
    found, did, absent, would = compared(
        scene, method, make, who, lambda pool: data.draw(st.sampled_from(pool), label="thing")
    )
    assert found == absent
    assert found[0] != 500
    assert did == would


def test_an_upload_another_tenant_has_begun_is_begun_anew(scene: Scene) -> None:
    tokens = [scene.tokens[who] for who in ("steward", "engineer", "launcher")]
    for number, digest in enumerate(scene.pools["begun too"]):
        offset, token = number % 4, tokens[number % 3]

        def piece(digest: str, offset: int) -> Request:
            headers = {"upload-offset": str(offset)}
            return {"url": f"/v1/uploads/{digest}", "params": {"size": 10}, "headers": headers, "content": b"x"}

        theirs = answered(scene, "PATCH", token, piece(digest, offset))
        nobodys = answered(scene, "PATCH", token, piece(made_up(digest), offset))
        assert theirs == nobodys


def test_a_small_object_another_tenant_has_is_taken_as_if_it_were_new(scene: Scene) -> None:
    tokens = [scene.tokens[who] for who in ("steward", "engineer", "launcher")]
    for number, theirs in enumerate(scene.pools["small"]):
        nobodys = base64.b64encode(secrets.token_bytes(16)).decode()
        asked = [{"url": "/v1/objects", "json": {"objects": [one]}} for one in (theirs, nobodys)]
        found, absent = (answered(scene, "POST", tokens[number % 3], one) for one in asked)
        assert found[0] == absent[0]
        assert found[0][0] == 200
        assert found[1].sql == absent[1].sql


def test_the_tracer_sees_when_something_is_there(scene: Scene) -> None:
    """The positive control: one's own things are found, by another path than missing ones."""
    run = scene.launcher.order.run
    found, did = answered(scene, "GET", scene.steward.token, {"url": f"/v1/runs/{run}/evidence"})
    absent, would = answered(scene, "GET", scene.steward.token, {"url": f"/v1/runs/{made_up(run)}/evidence"})
    assert (found[0], absent[0]) == (200, 404)
    assert did.sql[: len(would.sql)] == would.sql
    assert len(did.sql) > len(would.sql)
    _, begun = answered(scene, "HEAD", scene.steward.token, {"url": f"/v1/uploads/{scene.pools['object'][0]}"})
    assert begun.sql
    given = {
        "url": "/v1/revocations",
        "json": {"statement": a_revocation(scene, Names(scene.pools, lambda pool: pool[0], real=True)).to_json()},
    }
    refused, wrote = answered(scene, "POST", scene.tokens["steward"], given)
    assert refused[0] == 404
    assert any("FROM grants" in one for one in wrote.sql), "what a writing request asks the database is not seen"


@pytest.mark.parametrize("who", ["engineer", "steward"])
def test_the_token_of_a_removed_member_opens_no_operation(scene: Scene, who: str) -> None:
    """Also for one's own tenant's things: every operation of the schema, by the same code path up to the token."""
    gone = scene.mine.enrol(Role(who))
    removal = scene.mine.sign(Removal(scene.mine.tenant, gone.member, _now()))
    headers = {"authorization": f"Bearer {scene.mine.token}"}
    statement = {"statement": removal.to_json()}
    assert scene.client.post("/v1/members/removals", headers=headers, json=statement).status_code == 200
    schema = scene.client.get("/v1/openapi.json").json()
    for path, item in schema["paths"].items():
        for method in item:
            if (method.upper(), path) in _OPEN | _WITHOUT_TOKEN:
                continue
            url = re.sub(r"\{(\w+)\}", lambda match: _own(scene, match[1]), path)
            removed, did = answered(scene, method.upper(), gone.token, {"url": url})
            unknown, would = answered(scene, method.upper(), "kfd_" + secrets.token_urlsafe(32), {"url": url})
            assert removed[0] == 401, (method, path)
            assert (removed, did) == (unknown, would)


def _own(scene: Scene, name: str) -> str:
    """A value of the attacker's own tenant for a parameter of a path."""
    known = {"run": scene.launcher.order.run, "attempt": scene.launcher.attempt, "path": "0/000.p/1"}
    return known.get(name) or (new_id(Kind.DATASET) if name == "dataset" else scene.own.digest)


def test_an_attempts_token_reaches_no_other_attempt_of_its_own_tenant(scene: Scene) -> None:
    other = scene.desk.hire(scene.engineer)
    for method, path in ATTACKS:
        if "{attempt}" in path and not path.endswith("/log"):
            asked = {"url": path.replace("{attempt}", other.attempt)}
            missing = {"url": path.replace("{attempt}", made_up(other.attempt))}
            token = scene.tokens["launcher"]
            there, absent = answered(scene, method, token, asked), answered(scene, method, token, missing)
            assert there == absent
            assert there[0][0] in {400, 404}
