"""The pages: another tenant's things, hostile names, forged forms, stolen and outlived sessions.

Each page with an id in its path is asked for twice, with what exists for the other tenant and with what exists for
nobody: status, text, headers and SQL statements must be the same, but for the ids themselves.
"""

import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from html.parser import HTMLParser
from threading import Barrier

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs_room import Desk, desk
from sqlalchemy import event
from starlette.testclient import TestClient

from kifabrik.client.datasets import Datasets
from kifabrik.client.sign_ins import SignIns
from kifabrik.client.tenants import Tenants
from kifabrik.errors import ConflictError, IntegrityError, SignInError
from kifabrik.factory.factory import Factory
from kifabrik.factory.tokens import looks_like_token
from kifabrik.grants.statements import Grant
from kifabrik.portal.app import ROUTERS, add_pages
from kifabrik.portal.door import PageDoor
from kifabrik.portal.premises import Premises
from kifabrik.prices.pricelist import PriceList
from kifabrik.service.app import make_app
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.statements import Removal, Role, SignInProof
from kifabrik.values import Kind, Place, format_time, new_id, now_utc
from kifabrik.wiring.factory import open_factory
from living_trees import files_below
from parties import Party, Person
from players import keyholder
from signing_up import sign_up

__all__ = ["desk"]

pytestmark = pytest.mark.filterwarnings("ignore:The 'alias' attribute with value 'body'")

_ID = re.compile(r"\b[a-z]-[a-z2-7]{16,32}(?:-[1-9][0-9]{0,4})?\b|[0-9a-f]{64}")
_SCRIPT = "<script>alert(1)</script>"
_CHANGING = {"/sign-in", "/sign-out"}
"""The only pages that take a POST."""


@dataclass(repr=False)
class Scene:
    """Two tenants of one factory; `mine` looks, `other` has something."""

    desk: Desk
    mine: Party
    other: Party
    me: Person
    victim: Person
    client: TestClient
    mine_cookie: str
    their_cookie: str
    operators_cookie: str
    own: dict[str, list[str]]
    theirs: dict[str, list[str]]

    def get(self, path: str, cookie: str, **headers: str) -> httpx.Response:
        """Ask for a page with a session, or without one."""
        cookies = {"cookie": f"kifabrik={cookie}"} if cookie else {}
        self.client.cookies.clear()
        return self.client.get(path, headers={"accept": "text/html", **cookies, **headers}, follow_redirects=False)


def proof_of(person: Person, challenge: str, key: SigningKey | None = None, **changes: str) -> Envelope:
    said = {"tenant": person.party.tenant, "member": person.member, "challenge": challenge, **changes}
    return sign_statement(SignInProof(**said, created=format_time(now_utc())), {}, key or person.key)


def code_of(person: Person) -> str:
    pages = SignIns(person.connection)
    return pages.prove(proof_of(person, pages.challenge()))


def session_of(factory: Factory, person: Person) -> str:
    return factory.sign_ins.exchange(code_of(person)).secret


@pytest.fixture(scope="module")
def scene(desk: Desk) -> Iterator[Scene]:
    mine, other = desk.sign_up(), desk.sign_up()
    for party in (mine, other):
        party.mailbox.mail(after=0, wait_s=0)  # runs wait for a keyholder that has never called
    me, victim = mine.enrol(Role.OWNER), other.enrol(Role.OWNER)
    own, theirs = (_done(desk, party, person) for party, person in ((mine, me), (other, victim)))
    app = make_app(desk.inside)
    add_pages(app, Premises(PriceList.load()))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Scene(
            desk=desk,
            mine=mine,
            other=other,
            me=me,
            victim=victim,
            client=client,
            mine_cookie=session_of(desk.inside, me),
            their_cookie=session_of(desk.inside, victim),
            operators_cookie=desk.inside.sign_ins.exchange(desk.inside.sign_ins.operator_code()).secret,
            own=own,
            theirs=theirs,
        )


def _done(desk: Desk, party: Party, person: Person) -> dict[str, list[str]]:
    """Let a tenant seal, grant and run; return what exists of it by then, by the names of paths' parameters."""
    manifest = person.seal()
    dataset = next(reversed(party.recipients))
    now, late = format_time(now_utc()), "2099-01-01T00:00:00Z"
    grant = Grant(
        new_id(Kind.GRANT), party.tenant, dataset, "p-test", (), Place(), None, 0, False, False, now, late
    )
    Datasets(party.connection).grant(party.sign(grant), None)
    player = desk.hire(person, inputs=[manifest])
    with keyholder(party):
        player.play(["keys", "log hello", "running"])
    return {"run": [player.order.run], "dataset": [dataset]}


def paths(method: str = "GET") -> list[str]:
    """Every page."""
    routes = [one for router in ROUTERS for one in router.routes if isinstance(one, PageDoor)]
    return sorted({one.path for one in routes if method in one.methods})


def filled(path: str, values: dict[str, list[str]]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]][0], path)


def made_up(values: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: [new_id(Kind(one[0])) for one in many] for name, many in values.items()}


@contextmanager
def statements_of(factory: Factory) -> Iterator[list[str]]:
    """The SQL statements of a block, in their order."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    engines = {factory.store.engine, factory.store._writer}  # type: ignore[attr-defined]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


def seen_of(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, _ID.sub("…", answer.text), headers


def apart_from_the_time(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    """What is seen of a page that says how long ago something was."""
    status, text, headers = seen_of(answer)
    return (
        status,
        re.sub(r"[0-9]+", "#", text),
        {name: headers[name] for name in headers if name != "content-length"},
    )


# --- another tenant's things ---


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_page_of_another_tenants_things_is_that_of_missing_ones_by_the_same_code_path(
    scene: Scene, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from([one for one in paths() if "{" in one]), label="page")
    who = data.draw(st.sampled_from([scene.mine_cookie, scene.operators_cookie, ""]), label="session")
    query = data.draw(st.sampled_from(["", "?lang=de", "?lang=en&live=1"]), label="query")
    with statements_of(scene.desk.inside) as did:
        theirs = seen_of(scene.get(filled(path, scene.theirs) + query, who))
    with statements_of(scene.desk.inside) as would:
        nobodys = seen_of(scene.get(filled(path, made_up(scene.theirs)) + query, who))
    assert theirs == nobodys
    assert theirs[0] in ({404} if who else {303})
    assert did == would


def queries() -> list[tuple[str, str]]:
    """Every page with each of the parameters its query may have."""
    routes = [
        one for router in ROUTERS for one in router.routes if isinstance(one, PageDoor) and "GET" in one.methods
    ]
    return sorted((route.path, one.alias) for route in routes for one in route.dependant.query_params)


def test_another_tenants_ids_in_a_query_are_those_of_nothing_by_the_same_code_path(scene: Scene) -> None:
    """On pages of one's own things, also: from which run of another tenant on would a list go?"""
    assert {("/runs", "before"), ("/runs/{run}", "after"), ("/bill", "month")} <= set(queries())
    foreign = {
        "run": scene.theirs["run"],
        "task": [f"{scene.theirs['run'][0]}-1"],
        "dataset": scene.theirs["dataset"],
    }
    for path, parameter in queries():
        for value in foreign.values():
            asked = f"{filled(path, scene.own)}?{parameter}="
            other = re.sub(r"([a-z])-[a-z2-7]{16,32}", lambda match: new_id(Kind(match[1])), value[0])
            for who in (scene.mine_cookie, scene.operators_cookie):
                with statements_of(scene.desk.inside) as did:
                    theirs = apart_from_the_time(scene.get(asked + value[0], who))
                with statements_of(scene.desk.inside) as would:
                    nobodys = apart_from_the_time(scene.get(asked + other, who))
                assert theirs == nobodys, (path, parameter)
                assert did == would, (path, parameter)


def test_no_page_of_a_member_shows_anything_of_another_tenant(scene: Scene) -> None:
    foreign = [scene.other.tenant, scene.victim.member, *scene.theirs["run"], *scene.theirs["dataset"]]
    for path in paths():
        text = scene.get(filled(path, scene.own), scene.mine_cookie).text
        assert not [one for one in foreign if one in text], path


def test_ones_own_things_are_shown(scene: Scene) -> None:
    """The positive control of all of the above."""
    for path in ("/overview", "/runs", "/record", "/runs/{run}"):
        assert scene.own["run"][0] in scene.get(filled(path, scene.own), scene.mine_cookie).text, path
    for path in ("/datasets", "/datasets/{dataset}", "/record"):
        assert scene.own["dataset"][0] in scene.get(filled(path, scene.own), scene.mine_cookie).text, path
    assert "p-test" in scene.get(filled("/datasets/{dataset}", scene.own), scene.mine_cookie).text


def test_the_operators_pages_are_missing_to_members_and_the_members_to_the_operator(scene: Scene) -> None:
    nothing = seen_of(scene.get("/operator/nothing", scene.mine_cookie))
    assert nothing[0] == 404
    for path in paths():
        if path.startswith("/operator"):
            assert scene.get(path, scene.operators_cookie).status_code == 200
            assert scene.get(path, scene.mine_cookie).status_code == 404
        elif path in {"/overview", "/runs", "/datasets", "/record", "/bill"}:
            assert scene.get(path, scene.operators_cookie).status_code == 404
            assert scene.get(path, scene.mine_cookie).status_code == 200


def test_every_page_but_the_public_ones_needs_a_session(scene: Scene) -> None:
    public = {"/", "/health", "/sign-in", "/icon.svg", *(one for one in paths() if one.startswith("/style-"))}
    for path in paths():
        for cookie in ("", secrets.token_urlsafe(32), scene.me.token, "x" * 5000):
            answer = scene.get(filled(path, scene.own), cookie)
            if path in public:
                assert answer.status_code in {200, 503}
                assert scene.mine.tenant not in answer.text
            else:
                assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), path


def test_a_session_is_no_token_and_a_token_no_session(scene: Scene) -> None:
    as_token = {"authorization": f"Bearer {scene.mine_cookie}"}
    assert scene.client.get("/v1/me", headers=as_token).status_code == 401
    assert scene.client.get("/v1/me", headers={"cookie": f"kifabrik={scene.mine_cookie}"}).status_code == 401
    assert scene.get("/overview", scene.me.token).status_code == 303


# --- what a page is made of ---


class _Parts(HTMLParser):
    """What of a page could run, load, or change something."""

    def __init__(self) -> None:
        super().__init__()
        self.odd: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "iframe", "object", "embed", "base", "style", "img", "audio", "video", "math"}:
            self.odd.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name in {"style", "srcdoc", "src"}:
                self.odd.append(name)
            if name in {"href", "action", "formaction"}:
                self.links.append(value or "")


def test_pages_run_nothing_load_nothing_foreign_and_say_so_in_their_headers(scene: Scene) -> None:
    for path in paths():
        cookie = scene.operators_cookie if path.startswith("/operator") else scene.mine_cookie
        answer = scene.get(filled(path, scene.own), cookie)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none';"), path
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        if "html" in answer.headers["content-type"]:
            assert answer.headers["cache-control"] == "no-store"
            parts = _Parts()
            parts.feed(answer.text)
            assert not parts.odd, path
            assert all(one.startswith(("/", "#")) and not one.startswith("//") for one in parts.links), path


@pytest.mark.parametrize("where", ["note", "purpose", "reason", "published", "language", "query"])
def test_what_others_named_is_text_and_never_markup(scene: Scene, where: str) -> None:
    inside, run = scene.desk.inside, scene.own["run"][0]
    code = inside.accounts.make_code(_SCRIPT)
    with inside.store.write(scene.mine.tenant) as transaction:
        row = transaction.runs.run(scene.mine.tenant, run)
        assert row is not None
        changes = {"reason": _SCRIPT, "published": {_SCRIPT: 0.5}}
        transaction.runs.save_run(type(row)(**{**vars(row), **changes}))
    assert code
    page = {"language": "/?lang=%3Cscript%3Ealert(1)%3C/script%3E", "query": f"/runs?state={_SCRIPT}"}
    for path in (page.get(where, f"/runs/{run}"), "/overview", "/operator/tenants", f"/runs/{run}?lang=de"):
        cookie = scene.operators_cookie if path.startswith("/operator") else scene.mine_cookie
        text = scene.get(path, cookie).text
        assert "<script" not in text.lower(), path


def test_a_tenants_note_with_markup_is_shown_as_it_is_written(scene: Scene) -> None:
    sign_up(scene.desk.inside, f"Müller {_SCRIPT}")
    text = scene.get("/operator/tenants", scene.operators_cookie).text
    assert "Müller &lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "///evil.example", "/%5Cevil.example", '/"onload=alert(1)', "/%0d%0ax"]
)
def test_the_page_of_an_odd_address_links_nowhere_else(scene: Scene, path: str) -> None:
    answer = httpx.get(httpx.URL(scene.desk.url).copy_with(raw_path=path.encode()), headers={"accept": "text/html"})
    parts = _Parts()
    parts.feed(answer.text)
    assert answer.status_code == 404
    assert parts.links
    assert not parts.odd
    assert not [one for one in parts.links if re.match(r"[/\\]{2}|[a-z]+:", one)]


# --- forms ---


def test_nothing_is_changed_by_a_get_and_only_two_pages_take_a_post(scene: Scene) -> None:
    assert set(paths("POST")) == _CHANGING
    with statements_of(scene.desk.inside) as did:
        for path in paths():
            cookie = scene.operators_cookie if path.startswith("/operator") else scene.mine_cookie
            scene.get(filled(path, scene.own), cookie)
    assert did
    assert not [one for one in did if one != "BEGIN" and not one.startswith(("SELECT", "PRAGMA"))]
    with statements_of(scene.desk.inside) as did:  # the positive control
        session_of(scene.desk.inside, scene.me)
    assert [one for one in did if one.startswith(("INSERT", "DELETE"))]


def test_another_sites_form_signs_nobody_in(scene: Scene) -> None:
    code = code_of(scene.me)
    for origin in ("https://evil.example", "http://testserver.evil.example", "https://testserver@evil.example"):
        answer = scene.client.post("/sign-in", data={"code": code}, headers={"origin": origin})
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    answer = scene.client.post("/sign-in", data={"code": code}, headers={"origin": "null"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, True)


def test_signing_out_needs_the_cookie_and_ends_the_session_for_everybody_who_has_it(scene: Scene) -> None:
    secret = session_of(scene.desk.inside, scene.me)
    scene.client.cookies.clear()
    assert scene.client.post("/sign-out", follow_redirects=False).headers["location"] == "/sign-in"
    assert scene.get("/overview", secret).status_code == 200
    answer = scene.client.post("/sign-out", headers={"cookie": f"kifabrik={secret}"}, follow_redirects=False)
    assert 'kifabrik=""' in answer.headers["set-cookie"]
    assert scene.get("/overview", secret).status_code == 303


@pytest.mark.parametrize(
    "body", [b"", b"code=", b"code=%ff%fe", b"x" * 1000, b"code=a&code=b", b"&" * 900, b"\x00"]
)
def test_malformed_forms_sign_nobody_in_and_break_nothing(scene: Scene, body: bytes) -> None:
    scene.client.app.state.failures.__init__()  # type: ignore[attr-defined]
    answer = scene.client.post("/sign-in", content=body)
    assert answer.status_code in {400, 401}
    assert "set-cookie" not in answer.headers


def test_a_form_that_is_too_large_is_refused(scene: Scene) -> None:
    assert scene.client.post("/sign-in", content=b"x" * 5000).status_code == 413


def test_guessing_codes_is_slowed_down(scene: Scene) -> None:
    scene.client.app.state.failures.__init__()  # type: ignore[attr-defined]
    guesses = [scene.client.post("/sign-in", data={"code": "A" * 16}).status_code for _ in range(25)]
    assert guesses[:20] == [401] * 20
    assert guesses[-1] == 429
    scene.client.app.state.failures.__init__()  # type: ignore[attr-defined]


# --- sessions ---


def test_a_code_signs_in_once_also_if_two_try_at_once(scene: Scene) -> None:
    def exchange(code: str, barrier: Barrier) -> str:
        barrier.wait(30)
        try:
            return scene.desk.inside.sign_ins.exchange(code).secret
        except SignInError:
            return ""

    for code in (code_of(scene.me), scene.desk.inside.sign_ins.operator_code()):
        barrier = Barrier(6)
        with ThreadPoolExecutor(6) as pool:
            secrets_of = list(pool.map(exchange, [code] * 6, [barrier] * 6))
        assert len([one for one in secrets_of if one]) == 1
        assert scene.client.post("/sign-in", data={"code": code}).status_code == 401


def test_a_visitors_own_choice_of_a_session_is_not_taken_over(scene: Scene) -> None:
    """Session fixation: the secret is made at sign-in, whatever the browser had before."""
    planted = secrets.token_urlsafe(32)
    headers = {"cookie": f"kifabrik={planted}"}
    answer = scene.client.post("/sign-in", data={"code": code_of(scene.me)}, headers=headers)
    assert planted not in answer.headers["set-cookie"]
    assert scene.get("/overview", planted).status_code == 303


def test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_plain_http(scene: Scene) -> None:
    answer = scene.client.post("/sign-in", data={"code": code_of(scene.me)})
    said = answer.headers["set-cookie"]
    assert re.fullmatch(r"kifabrik=[\w-]{43}; HttpOnly; Max-Age=3600; Path=/; SameSite=strict", said)
    app = make_app(scene.desk.inside)
    add_pages(app, Premises(PriceList.load(), secure=True))
    with TestClient(app, base_url="https://factory.example") as client:
        said = client.post("/sign-in", data={"code": code_of(scene.me)}).headers["set-cookie"]
    assert re.fullmatch(r"__Host-kifabrik=[\w-]{43}; HttpOnly; Max-Age=3600; Path=/; SameSite=strict; Secure", said)


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.STEWARD])
def test_sessions_and_codes_end_with_the_membership(scene: Scene, role: Role) -> None:
    gone = scene.mine.enrol(role)
    secret, code = session_of(scene.desk.inside, gone), code_of(gone)
    assert scene.get("/overview", secret).status_code == 200
    removal = scene.mine.sign(Removal(scene.mine.tenant, gone.member, format_time(now_utc())))
    Tenants(scene.mine.connection).remove(removal)
    assert seen_of(scene.get("/overview", secret))[:2] == seen_of(scene.get("/overview", "nobody"))[:2]
    with pytest.raises(SignInError):
        scene.desk.inside.sign_ins.exchange(code)
    with scene.desk.inside.store.read() as transaction:
        assert transaction.sign_ins.find(secrets.token_hex(32)) is None


def test_codes_last_a_minute_and_sessions_an_hour(scene: Scene) -> None:
    ahead = timedelta()
    factory = open_factory(scene.desk.home, clock=lambda: now_utc() + ahead)
    try:
        code, secret = code_of(scene.me), session_of(factory, scene.me)
        ahead = timedelta(seconds=61)
        with pytest.raises(SignInError):
            factory.sign_ins.exchange(code)
        assert factory.sign_ins.who(secret)[0].member == scene.me.member
        ahead = timedelta(seconds=3601)
        with pytest.raises(SignInError):
            factory.sign_ins.who(secret)
    finally:
        factory.store.close()


def test_a_challenge_is_answered_once_by_the_device_it_was_made_for(scene: Scene) -> None:
    pages, colleague = SignIns(scene.me.connection), scene.mine.enrol()
    challenge = pages.challenge()
    for forged in (
        proof_of(scene.me, challenge, SigningKey.generate()),
        proof_of(scene.me, challenge, member=colleague.member),
        proof_of(scene.me, challenge, tenant=scene.other.tenant),
    ):
        with pytest.raises(IntegrityError):
            pages.prove(forged)
    for foreign in (SignIns(colleague.connection).challenge(), SignIns(scene.victim.connection).challenge()):
        with pytest.raises(SignInError):
            pages.prove(proof_of(scene.me, foreign))
    answer = proof_of(scene.me, challenge)
    assert pages.prove(answer)
    with pytest.raises((SignInError, ConflictError)):
        pages.prove(answer)


def test_a_statement_of_another_kind_is_no_proof(scene: Scene) -> None:
    pages = SignIns(scene.me.connection)
    pages.challenge()
    with pytest.raises(IntegrityError):
        pages.prove(scene.me.ask_for("ab" * 32))


def test_no_code_or_session_is_kept_or_logged(scene: Scene) -> None:
    with httpx.Client(base_url=scene.desk.url) as browser:
        code = code_of(scene.me)
        answer = browser.post("/sign-in", data={"code": code})
        secret = answer.cookies["kifabrik"]
        assert browser.get("/overview").status_code == 200
        browser.get(f"/sign-in?code={code}")
    pieces = [secret.encode(), code.encode(), code.replace("-", "").encode()]
    for path, data in files_below(scene.desk.home):
        assert not [one for one in pieces if one in data], path
    written = scene.desk.log.read_text() + (scene.desk.home / "service.log").read_text()
    assert "POST /sign-in 200" in written
    assert not looks_like_token(written)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/record?before=9007199254740992", 200),
        ("/record?before=-1", 400),
        ("/record?before=x", 400),
        ("/bill?month=2026-13", 400),
        ("/bill?month=2999-12", 200),
        ("/runs?before=r-%00", 400),
        ("/runs/" + "r" * 500, 400),
        ("/runs/..%2f..%2fetc", 404),
        ("/datasets/d-", 404),
        ("/datasets/%25", 404),
    ],
)
def test_odd_addresses_are_answered_with_a_page(scene: Scene, path: str, status: int) -> None:
    answer = scene.get(path, scene.mine_cookie)
    assert answer.status_code == status
    assert answer.text.startswith("<!DOCTYPE html>")
