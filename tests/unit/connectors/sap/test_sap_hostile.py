"""Services that are odd or mean: credentials stay with ours, nothing goes round for ever, no traceback is shown."""

import json
from contextlib import suppress

import pytest
from scripted import FIELDS, V2_METADATA, Said, Script, metadata

from kifabrik.connectors.sap.asking import Answer, fault_of
from kifabrik.connectors.sap.batch_bodies import Asking, content_id, decode
from kifabrik.connectors.sap.model import Version
from kifabrik.connectors.sap.pages import read_page
from kifabrik.connectors.sap.plan import Plan, parse
from kifabrik.errors import IntegrityError, KifabrikError, UsageError


def token(asked):
    return asked.query.get("$skiptoken")


class Bearer:
    def headers(self):
        return {"authorization": "Bearer secret"}

    def renew(self):
        return False


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 01 Nov 2026 08:00:00 GMT",
        "0",
        "",
        "-5",
        "1e3",
        "²",
        "soon",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Fri, 31 Dec 2027 23:59:59 +99999999999999999999",
        "Fri, 31 Dec 2027 23:59:59 -9959",
    ],
)
def test_a_retry_after_that_is_past_or_makes_no_sense_is_a_usual_pause(house, script, text):
    left = [Said(status=503, headers={"retry-after": text})]
    script.before = lambda asked: left.pop() if left and token(asked) == "10" else None
    house.pull()
    assert len([wait for wait in house.waits if 0.2 < wait < 2]) == 1
    assert house.ids() == list(range(30))


@pytest.mark.parametrize("link", ["{there}/Items?$skiptoken=20", "//{host}/odata/S/Items?$skiptoken=20"])
def test_credentials_never_go_to_another_host(house, script, link):
    with Script().running() as other:
        there = link.format(there=other.url, host=other.url.split("/")[2])
        script.before = lambda asked: (
            Said({"value": script.items[10:20], "@odata.nextLink": there}) if token(asked) == "10" else None
        )
        house.pull(credentials=Bearer())
        assert not other.asked
    assert house.ids() == list(range(30))


@pytest.mark.parametrize(
    "link",
    [
        "../../admin?$skiptoken=20",
        "/odata/S/../../admin",
        "/odata/S/%2e%2e/%2E%2e/admin",
        "/odata/S/..%2fadmin",
        "/odata/S/..\\admin",
        "/odata/S/..%5cadmin",
        "/odata/Sesame",
        "http://[",
    ],
)
def test_a_link_that_climbs_out_of_the_service_is_not_followed(house, script, link):
    script.before = lambda asked: (
        Said({"value": script.items[10:20], "@odata.nextLink": link}) if token(asked) == "10" else None
    )
    with pytest.raises(IntegrityError, match=r"leads out of it|a link that is none"):
        house.pull()
    assert {asked.path for asked in script.asked} <= {"/odata/S/$metadata", "/odata/S/Items", "/odata/S/$batch"}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("version", [2, 4])
def test_links_that_go_round_in_a_circle_of_two_are_found(house, script, version, large):
    def circle(asked):
        if not asked.path.endswith("/Items"):
            return None
        onward = f"{script.url}/Items?$skiptoken={'b' if token(asked) == 'a' else 'a'}"
        start = turn[0] = turn[0] + 1
        rows = [{"ID": start * 100 + number, "name": "x" * (1000 if large else 1)} for number in range(50)]
        if version == 2:
            return Said({"d": {"results": rows, "__next": onward}})
        return Said({"value": rows, "@odata.nextLink": onward})

    turn = [0]
    script.metadata = V2_METADATA if version == 2 else script.metadata
    script.before = circle
    with pytest.raises(IntegrityError, match="same next link a second time"):
        house.pull()
    assert turn[0] < 6


@pytest.mark.parametrize("name", ["__proto__", "constructor", "_", "größe", "x" * 128, "mеnge"])
def test_a_field_with_an_odd_name_is_a_column(house, script, name):
    script.metadata = metadata(f'{FIELDS}<Property Name="{name}" Type="Edm.String"/>')
    for item in script.items:
        item[name] = f"v{item['ID']}"
    house.pull(f"{{entity_set: Items, rows: 99, fields: [name, {name}]}}")
    assert house.table().column(name).to_pylist() == [f"v{number}" for number in range(30)]


@pytest.mark.parametrize(
    "name", ["x" * 300, "me\u200bnge", "gro\u0308\u00dfe", "menge\u202e", "a.b", "1a", "a\u0000b"]
)
def test_a_field_whose_name_is_no_identifier_is_refused(house, script, name):
    script.metadata = metadata(f'{FIELDS}<Property Name="{name}" Type="Edm.String"/>')
    with pytest.raises(IntegrityError):
        house.pull()


def test_names_that_look_alike_are_told_apart(house, script):
    script.metadata = metadata(
        f'{FIELDS}<Property Name="menge" Type="Edm.String"/><Property Name="mеnge" Type="Edm.String"/>'
    )
    for item in script.items:
        item |= {"menge": "latin", "mеnge": "cyrillic"}
    house.pull("{entity_set: Items, rows: 99, fields: [menge, mеnge]}")
    assert house.table().select(["menge", "mеnge"]).to_pylist()[0] == {"menge": "latin", "mеnge": "cyrillic"}


@pytest.mark.parametrize("other", ["Items_parts", "items_PARTS"])
def test_two_tables_of_one_name_are_refused(other):
    with pytest.raises(UsageError, match="would both become a table"):
        parse(
            Plan,
            f"""
service: https://s4.example/odata
dataset: items
purpose: testing
confirmed: {{by: Anna Huber, on: 2026-11-20, because: "a test"}}
pull:
- {{entity_set: Items, rows: 9, fields: [name], expand: {{parts: {{fields: [no]}}}}}}
- {{entity_set: {other}, rows: 9, fields: [no]}}
""",
            "plan.yaml",
        )


def test_a_field_that_gets_another_type_between_pages_ends_the_set(house, script):
    def change(asked):
        if token(asked) == "20":
            script.metadata = metadata(FIELDS.replace('"name" Type="Edm.String"', '"name" Type="Edm.Int32"'))
            for item in script.items[20:]:
                item["name"] = item["ID"]

    script.before = change
    with pytest.raises(IntegrityError, match="a value of 'name'"):
        house.pull()
    assert not house.versions


def test_keys_twice_in_a_row_of_json_and_a_body_of_nothing_are_said(house, script):
    body = b'{"value": [{"ID": 10, "ID": 10, "name": "a"}]}'
    left = [Said(body)]
    script.before = lambda asked: left.pop() if left and token(asked) == "20" else None
    with pytest.raises(KifabrikError):
        house.pull()
    left.append(Said(b""))
    with pytest.raises(IntegrityError, match="not JSON"):
        house.pull()


@pytest.mark.parametrize(
    "onward", [7, True, {"a": 1}, ["x"], "\x00", "Items?$skiptoken=\ud800", f"Items?{'x' * 70000}"]
)
def test_a_next_link_that_is_none_is_a_sentence(house, script, onward):
    script.before = lambda asked: (
        Said(json.dumps({"value": script.items[10:20], "@odata.nextLink": onward}).encode())
        if token(asked) == "10"
        else None
    )
    with pytest.raises(KifabrikError):
        house.pull()


MEAN = {
    "an endless number": b'{"responses":[{"id":Infinity,"status":200}]}',
    "brackets": b"[" * 100_000,
    "an error that is a text": b'{"error":"ContentID"}',
    "an id of thousands of digits": b'{"error":{"ContentID":"' + b"9" * 5000 + b'"}}',
    "a count of thousands of digits": b'{"d":{"results":[],"__count":"' + b"9" * 5000 + b'"}}',
    "details that are a number": b'{"error":{"details":5,"ContentID":1}}',
    "an error no terminal can show": b'{"error":{"message":"\\ud800"}}',
    "a part with an id of thousands of digits": b"--b\r\nContent-Type: application/http\r\nContent-ID: "
    + b"9" * 5000
    + b"\r\n\r\nHTTP/1.1 204 x\r\n\r\n\r\n--b--\r\n",
    "a status of thousands of digits": b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 "
    + b"9" * 5000
    + b" x\r\n\r\n\r\n--b--\r\n",
    "parts in parts": b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (depth, depth + 1)
        for depth in range(3000)
    ),
}


@pytest.mark.parametrize("body", MEAN.values(), ids=MEAN)
def test_whatever_comes_as_an_answer_is_said_in_a_sentence(body):
    asked = [Asking("PATCH", "Parts(1)"), Asking("DELETE", "Parts(2)")]
    for kind in ("application/json", "multipart/mixed; boundary=b", "multipart/mixed; boundary=b0"):
        answer = Answer(400, body, {"content-type": kind}, "https://sap.example/o/Parts")
        fault_of(answer).message.encode()
        assert -1 <= content_id(answer) < 10
        for read in (lambda one: read_page(one, Version.V2, "Parts"), lambda one: decode(asked, one)):
            with suppress(IntegrityError):
                read(answer)
