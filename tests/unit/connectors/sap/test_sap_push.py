"""Writing to a service that guards itself: tokens against forged requests, entity tags, failures half way."""

import json

import pytest
from scripted import FIELDS, TRUST, Said, metadata

from kifabrik.connectors.sap.asking import Caller, Patience
from kifabrik.connectors.sap.plan import PushPlan, parse
from kifabrik.connectors.sap.push import compare
from kifabrik.connectors.sap.result_rows import Results
from kifabrik.connectors.sap.sign_in import Open
from kifabrik.connectors.sap.writing import write
from kifabrik.errors import CapacityError, ConflictError, KifabrikError, UnavailableError, UsageError

PLAN = """
service: {url}
purpose: testing
confirmed: {{by: Anna Huber, on: 2026-11-20, because: "a server of our own"}}
push: {{entity_set: Items, fields: {{ID: id, name: title}}, rows: {rows}, create: {create}}}
"""


class Guarded:
    """Wants a token with every write, and keeps what is written."""

    def __init__(self, script):
        self.script, self.token, self.writes = script, "abc", []
        script.before = self.answer
        self.after_writes = lambda: None

    def answer(self, asked):
        if asked.method == "GET":
            wants = asked.headers.get("x-csrf-token", "").lower() == "fetch"
            if not wants:
                return None
            return Said({"value": []}, headers={"x-csrf-token": self.token, "set-cookie": f"session={self.token}"})
        if asked.headers.get("x-csrf-token") != self.token or f"session={self.token}" not in asked.headers.get(
            "cookie", ""
        ):
            return Said(b"CSRF token validation failed", status=403, headers={"x-csrf-token": "Required"})
        self.writes.append((asked.method, asked.path, asked.body, asked.headers))
        self.after_writes()
        return Said(status=204)


@pytest.fixture
def push(script, tmp_path):
    script.page = 100

    def push(text, *, rows=10, create="true", apply=True):
        source = tmp_path / "results.csv"
        source.write_text(text)
        plan = parse(PushPlan, PLAN.format(url=script.url, rows=rows, create=create), "back.yaml")
        with Caller(plan.service, Open(), TRUST, Patience(3, 10_000, lambda _s: None)) as caller:
            difference, entity, service = compare(caller, plan, Results.of_file(source))
            return write(caller, service, entity, difference) if apply else difference

    return push


def test_writes_carry_token_and_cookie(script, push):
    guarded = Guarded(script)
    push("id,title\n3,new\n99,added\n4,zirbel 4\n")
    assert [(method, path, body) for method, path, body, _ in guarded.writes] == [
        ("PATCH", "/odata/S/Items(3)", b'{"name": "new"}'),
        ("POST", "/odata/S/Items", b'{"ID": 99, "name": "added"}'),
    ]


def test_a_token_that_ended_is_fetched_again(script, push):
    guarded = Guarded(script)

    def end():
        guarded.token = f"next{len(guarded.writes)}"

    guarded.after_writes = end
    written = push("id,title\n3,a\n4,b\n5,c\n")
    assert written.changed == 3
    assert len(guarded.writes) == 3


def test_an_entity_tag_goes_along_and_a_conflict_says_how_far_it_came(script, push):
    for item in script.items:
        item["@odata.etag"] = f'W/"{item["ID"]}"'
    tags = []

    def answer(asked):
        if asked.method != "PATCH":
            return None
        tags.append(asked.headers["if-match"])
        return Said(status=412 if len(tags) == 2 else 204)

    script.before = answer
    with pytest.raises(ConflictError, match="1 of 3 rows are written"):
        push("id,title\n3,a\n4,b\n5,c\n")
    assert tags == ['W/"3"', 'W/"4"']


def test_a_write_that_may_have_arrived_is_not_repeated(script, push):
    posts = []
    script.before = lambda asked: (posts.append(1), Said(status=503))[1] if asked.method == "POST" else None
    with pytest.raises(Exception, match="0 of 1 rows are written"):
        push("id,title\n99,added\n")
    assert len(posts) == 1


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("id,name\n1,a\n", UsageError, "has no column 'title'"),
        ("id,title\n1,a\n1,b\n", UsageError, "has a key twice: ID=1"),
        ("id,title\nx,a\n", UsageError, "row 1: 'ID' is a Edm.Int32 and cannot hold 'x'"),
        ("id,title\n,a\n", UsageError, "row 1: 'ID' may not be empty"),
        ("id,title\n1,a\n2\n", UsageError, "line 3: not as many cells as there are headings"),
        ("id,title\n1,a,b\n", UsageError, "line 2: not as many cells"),
        ("id,title,title\n1,a,b\n", UsageError, "has the column 'title' 2 times"),
        ("id,title\n1,a\n2,b\n3,c\n", CapacityError, "3 rows of Items would change, and the plan allows 2"),
    ],
)
def test_results_that_do_not_fit_are_refused_before_anything_is_written(script, push, text, error, says):
    with pytest.raises(error, match=says):
        push(text, rows=2)
    assert {asked.method for asked in script.asked} == {"GET"}


def test_rows_the_service_lacks_are_added_only_if_the_plan_says_so(push):
    with pytest.raises(CapacityError, match="1 rows are not in Items"):
        push("id,title\n99,added\n", create="false")


def test_a_field_that_may_not_be_empty_is_checked_here(script, push):
    script.metadata = metadata(FIELDS.replace('"Edm.String"/>', '"Edm.String" Nullable="false"/>'))
    with pytest.raises(UsageError, match="'name' may not be empty"):
        push("id,title\n1,\n")


@pytest.fixture(params=["json", "multipart"])
def batch(request, script):
    script.batch = request.param
    return request.param


def sent(script):
    return [asked.body for asked in script.asked if asked.path.endswith("$batch")]


def test_many_rows_go_in_one_round_trip(script, push, batch):
    guarded = Guarded(script)
    written = push("id,title\n3,neu ½\n99,added\n4,zirbel 4\n5,c\n")
    assert (written.added, written.changed) == (1, 2)
    assert [(method, path, body) for method, path, body, _ in guarded.writes] == [
        ("PATCH", "/odata/S/Items(3)", '{"name": "neu ½"}'.encode())
        if batch == "multipart"
        else ("PATCH", "/odata/S/Items(3)", b'{"name": "neu \\u00bd"}'),
        ("POST", "/odata/S/Items", b'{"ID": 99, "name": "added"}'),
        ("PATCH", "/odata/S/Items(5)", b'{"name": "c"}'),
    ]
    *_, last = sent(script)
    assert (b"changeset_" if batch == "multipart" else b"atomicityGroup") in last
    singly = [asked for asked in script.asked if asked.method != "GET" and not asked.path.endswith("$batch")]
    assert singly == []


def test_a_refusal_in_a_change_set_names_the_row_and_nothing_of_it_counts(script, push, batch):
    def answer(asked):
        if asked.method != "PATCH" or "Items(5)" not in asked.path:
            return Said(status=204) if asked.method == "PATCH" else None
        return Said({"error": {"message": "locked by MUELLER"}}, status=400)

    script.before = answer
    says = "locked by MUELLER; row ID=5, so none of these 4 is written; 0 of 4 rows are written"
    with pytest.raises(UsageError, match=says):
        push("id,title\n3,a\n4,b\n5,c\n6,d\n")


def test_change_sets_hold_so_many_rows_and_what_was_written_before_is_said(script, push, batch):
    script.items = [{"ID": number, "name": f"zirbel {number}"} for number in range(120)]
    script.page = 200
    script.before = lambda asked: (
        Said(status=412 if "Items(110)" in asked.path else 204) if asked.method == "PATCH" else None
    )
    rows = "".join(f"{number},x\n" for number in range(120))
    with pytest.raises(ConflictError, match="row ID=110, so none of these 20 is written; 100 of 120 rows"):
        push(f"id,title\n{rows}", rows=200)


def test_a_service_whose_answer_to_a_batch_makes_no_sense_is_written_row_by_row(script, push):
    script.before = lambda asked: Said(status=204) if asked.method == "PATCH" else None
    pages = script.answer

    def answer(asked):
        if asked.path.endswith("$batch"):
            return Said({"responses": "none"}, headers={"content-type": "application/json"})
        return pages(asked)

    script.answer = answer
    assert push("id,title\n3,a\n4,b\n").changed == 2
    assert [asked.path for asked in script.asked if asked.method == "PATCH"] == [
        "/odata/S/Items(3)",
        "/odata/S/Items(4)",
    ]


def test_a_change_set_that_breaks_off_is_not_sent_again(script, push, batch):
    pages, cut = script.answer, []

    def answer(asked):
        said = pages(asked)
        if asked.path.endswith("$batch") and (b"changeset_" in asked.body or b"atomicityGroup" in asked.body):
            cut.append(1)
            said.cut = 5
        return said

    script.answer = answer
    script.before = lambda asked: Said(status=204) if asked.method == "PATCH" else None
    with pytest.raises(UnavailableError, match="0 of 2 rows are written"):
        push("id,title\n3,a\n4,b\n")
    assert len(cut) == 1


def test_a_server_that_dies_half_way_leaves_no_doubt_what_is_written_and_a_repeat_is_safe(script, push):
    """The second row arrives, but the line breaks before its answer does."""

    def keep(asked):
        if asked.method != "POST" or not asked.path.endswith("/Items"):
            return None
        row = json.loads(asked.body)
        script.items.append(row)
        posts.append(row["ID"])
        return Said(b"x" * 50, cut=50) if posts == [91, 92] else Said(status=204)

    posts = []
    script.before = keep
    text = "id,title\n91,a\n92,b\n93,c\n"
    with pytest.raises(UnavailableError, match="1 of 3 rows are written, and perhaps the one after them") as raised:
        push(text)
    assert "compares" in raised.value.hint
    written = push(text)
    assert (written.added, posts) == (1, [91, 92, 93])
    assert push(text, apply=False).changes == ()


def test_a_moment_beyond_the_calendar_is_a_sentence(script, push):
    script.metadata = metadata(FIELDS.replace('"name" Type="Edm.String"', '"name" Type="Edm.DateTimeOffset"'))
    script.items = [{"ID": 1, "name": "0001-01-01T00:00:00+14:00"}]
    with pytest.raises(KifabrikError, match="Items: a value of 'name' lies beyond the years 1 to 9999"):
        push("id,title\n1,2026-01-01T00:00:00Z\n", apply=False)
