"""Stages that go side by side: the service is asked while a page is read, and what waits is bounded."""

import json
import threading

import pytest
from scripted import Said

from kifabrik.connectors.sap.ahead import ahead
from kifabrik.connectors.sap.asking import Answer
from kifabrik.connectors.sap.early import EarlyPages, link_in
from kifabrik.connectors.sap.model import Version
from kifabrik.errors import UnavailableError

V2, V4 = Version.V2, Version.V4


def body(link, version=V4, size=40_000, **row):
    rows = [{"ID": 1, **row}, {"filler": "x" * size}]
    said = {"d": {"results": rows, "__next": link}} if version is V2 else {"value": rows, "@odata.nextLink": link}
    return json.dumps(said).encode()


class Service:
    """Pages by link; remembers what it was asked for."""

    def __init__(self, pages):
        self.pages, self.asked = pages, []
        self.came = threading.Event()

    def get(self, link):
        self.asked.append(link)
        if len(self.asked) > 1:
            self.came.set()
        found = self.pages[link]
        if isinstance(found, Exception):
            raise found
        return Answer(200, found, {}, link)


@pytest.mark.parametrize("version", [V2, V4])
def test_the_next_page_is_asked_for_before_this_one_is_read(version):
    service = Service({"a": body("b", version), "b": b"{}"})
    fetch = EarlyPages(service.get, version)
    fetch("a")
    assert service.came.wait(60)
    assert fetch("b").body == b"{}"
    assert service.asked == ["a", "b"]


def test_small_pages_are_not_guessed_at():
    service = Service({"a": body("b", size=1), "b": b"{}"})
    fetch = EarlyPages(service.get, V4)
    fetch("a")
    fetch("b")
    assert service.asked == ["a", "b"]
    assert threading.active_count() < 20


def test_a_guess_that_was_wrong_is_the_last_one():
    service = Service({"a": body("x"), "x": b"{}", "b": body("c"), "c": b"{}"})
    fetch = EarlyPages(service.get, V4)
    for link in "abc":
        assert fetch(link).body == service.pages[link]
    assert sorted(service.asked) == ["a", "b", "c", "x"]


def test_what_goes_wrong_with_a_page_is_said_when_its_turn_comes():
    fetch = EarlyPages(Service({"a": body("b"), "b": UnavailableError("gone")}).get, V4)
    fetch("a")
    with pytest.raises(UnavailableError, match="gone"):
        fetch("b")


def test_the_window_behind_a_page_is_asked_for_where_the_page_names_none():
    service = Service({"a": b'{"value": []' + b" " * 40_000 + b"}", "w": b"{}"})
    fetch = EarlyPages(service.get, V4, lambda: "w")
    fetch("a")
    assert service.came.wait(60)
    assert service.asked == ["a", "w"]


@pytest.mark.parametrize(
    ("text", "version", "link"),
    [
        (b'{"@odata.nextLink":"I?x=\\u00e4\\"1","value":[]}', V4, 'I?x=ä"1'),
        (b'{"value":[],"@nextLink" : "I?x=1"}', V4, "I?x=1"),
        (b'{"value":[{"parts@odata.nextLink":"I(1)/parts"}]}', V4, ""),
        (b'{"value":[{"text":"\\"@odata.nextLink\\":\\"x\\""}]}', V4, ""),
        (b'{"d":{"results":[{"p":{"__next":"inner"}}],"__next":"outer"}}', V2, "outer"),
        (b'{"@odata.nextLink":7}', V4, ""),
    ],
)
def test_a_link_is_found_in_the_bytes(text, version, link):
    assert link_in(text, version) == link


def test_items_wait_as_long_as_they_are_light():
    taken = []
    reached = threading.Event()

    def source():
        for number in range(100):
            taken.append(number)
            if number == 12:
                reached.set()
            yield number

    with ahead(source(), weigh=lambda _item: 1, most=12) as coming:
        assert reached.wait(60)
        assert next(coming) == 0
        assert len(taken) < 20
    with ahead(source(), weigh=lambda _item: 1000, most=12) as coming:
        assert list(coming) == list(range(100))


def test_the_source_is_closed_when_nobody_reads_on():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    with ahead(source()) as coming:
        next(coming)
    assert closed.wait(60)


@pytest.mark.parametrize("broken", [{"cut": 40}, {"status": 503}, {"status": 401}])
def test_large_pages_that_break_are_fetched_again_and_each_other_one_once(house, script, broken):
    class Renewed:
        def headers(self):
            return {}

        def renew(self):
            return True

    script.items = [{"ID": number, "name": f"{number}{'x' * 1000}"} for number in range(400)]
    script.page = 50
    left = [Said({"value": script.items[200:250]}, **broken)]
    script.before = lambda asked: left.pop() if left and asked.query.get("$skiptoken") == "200" else None
    house.pull("{entity_set: Items, rows: 1000, fields: [name]}", part_rows=100, credentials=Renewed())
    assert house.table().to_pylist() == script.items
    tokens = [asked.query.get("$skiptoken", "0") for asked in script.asked if asked.path.endswith("/Items")]
    assert sorted(tokens, key=int) == ["0", "50", "100", "150", "200", "200", "250", "300", "350"]


def test_an_error_far_ahead_leaves_what_was_sealed_before_it(house, script):
    script.items = [{"ID": number, "name": f"{number}{'x' * 1000}"} for number in range(400)]
    script.page = 50
    script.before = lambda asked: Said(status=503) if asked.query.get("$skiptoken") == "350" else None
    plan = "{entity_set: Items, rows: 1000, fields: [name]}"
    with pytest.raises(UnavailableError):
        house.pull(plan, part_rows=100)
    script.before = lambda _asked: None
    script.asked.clear()
    assert house.pull(plan, part_rows=100).resumed
    assert house.table().to_pylist() == script.items
    assert {asked.query.get("$skiptoken") for asked in script.asked if asked.path.endswith("/Items")} == {
        "300",
        "350",
    }
