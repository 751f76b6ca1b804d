"""Large pages become columns at once, with the very values that reading row by row gives, or not at all."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import metadata

from kifabrik.connectors.sap import columnar
from kifabrik.connectors.sap.asking import Answer
from kifabrik.connectors.sap.columnar import PageReader
from kifabrik.connectors.sap.columns import Column
from kifabrik.connectors.sap.model import Field, Version
from kifabrik.connectors.sap.pages import listed
from kifabrik.connectors.sap.plan import Wanted
from kifabrik.connectors.sap.selection import Selection, Table
from kifabrik.errors import IntegrityError

FIELDS = {
    "ID": Field("ID", "Edm.Int64", nullable=False),
    "name": Field("name", "Edm.String"),
    "price": Field("price", "Edm.Decimal", precision=15, scale=3),
    "weight": Field("weight", "Edm.Double"),
    "on": Field("on", "Edm.Date"),
    "at": Field("at", "Edm.DateTimeOffset"),
    "opens": Field("opens", "Edm.TimeOfDay"),
    "active": Field("active", "Edm.Boolean"),
    "lots": Field("lots", "Edm.Int32"),
}
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
ROW = st.fixed_dictionaries(
    {
        "name": st.none() | TEXT,
        "price": st.none() | st.integers(-(10**14), 10**14).map(lambda n: f"{n // 1000}.{abs(n) % 1000:03d}"),
        "weight": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "on": st.none() | st.dates().map(str),
        "at": st.none() | st.datetimes().map(lambda one: f"{one.isoformat(timespec='microseconds')}Z"),
        "opens": st.none() | st.times().map(lambda one: one.isoformat(timespec="seconds")),
        "active": st.none() | st.booleans(),
        "lots": st.none() | st.integers(-(2**31), 2**31 - 1),
    }
)


@pytest.fixture(autouse=True)
def every_page(monkeypatch):
    monkeypatch.setattr(columnar, "_LEAST_BYTES", 0)


def selection(version=Version.V4, fields=FIELDS):
    columns = tuple(Column(field, version) for field in fields.values())
    wanted = Wanted(entity_set="Items", fields=tuple(fields), rows=10)
    return Selection(wanted, version, Table("Items", columns, ("ID",)), {})


def page(rows, version=Version.V4, **more):
    body = {"value": rows, **more} if version is Version.V4 else {"d": {"results": rows, **more}}
    return Answer(200, json.dumps(body, ensure_ascii=False).encode(), {}, "Items")


def made(chosen, rows):
    values = rows.field if isinstance(rows, pa.StructArray) else lambda name: [row[name] for row in rows]
    return [column.make(values(column.name), "here") for column in chosen.table.columns]


@given(st.lists(ROW, min_size=1, max_size=8), st.lists(ROW, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_both_ways_give_the_same_columns(first, second):
    for number, row in enumerate([*first, *second]):
        row["ID"] = str(number)
    chosen = selection()
    reader = PageReader(chosen)
    reader(page(first))
    fast = reader(page(second, **{"@odata.nextLink": "Items?x=1"}))
    slow = PageReader(chosen)(page(second))
    assert fast.next == "Items?x=1"
    assert made(chosen, fast.rows) == made(chosen, slow.rows)


def test_a_v4_page_is_read_at_once():
    row = {"ID": "7", "name": "½", "price": "1.250", "weight": 11.57, "on": "2026-01-02", "active": True, "lots": 3}
    row |= {"at": "2026-01-02T03:04:05.000006Z", "opens": "06:30:00"}
    reader = PageReader(selection())
    reader(page([row]))
    assert isinstance(reader(page([row, {**row, "name": None, "weight": None}])).rows, pa.StructArray)


ORDINARY = [{"ID": str(number), "name": f"n{number}", "on": f"/Date({number * 86400000})/"} for number in range(9)]
V2_FIELDS = {
    "ID": Field("ID", "Edm.Int64", nullable=False),
    "name": Field("name", "Edm.String"),
    "on": Field("on", "Edm.DateTime", date_only=True),
}


def both(rows, first=ORDINARY):
    reader = PageReader(selection(Version.V2, V2_FIELDS))
    reader(page(first, Version.V2))
    return reader(page(rows, Version.V2))


def test_a_v2_page_with_what_it_says_of_entities_is_read_at_once():
    rows = [{"__metadata": {"uri": "x", "type": "S.Item"}, "more": {"__deferred": {}}, **row} for row in ORDINARY]
    found = both(rows)
    assert isinstance(found.rows, pa.StructArray)
    assert listed(found.rows) == ORDINARY


@pytest.mark.parametrize(
    "change",
    [
        {"name": 5},
        {"name": None, "more": {"name": "not its own"}},
        {"name": {"a": 1}},
        {"@removed": {}},
        {"on": ["x"]},
    ],
)
def test_a_page_that_leaves_a_doubt_is_read_row_by_row(change):
    found = both([*ORDINARY, {**ORDINARY[0], **change}])
    assert isinstance(found.rows, list)


def test_a_field_that_is_missing_is_not_taken_for_null():
    rows = [dict(row) for row in ORDINARY]
    del rows[4]["name"]
    assert isinstance(both(rows).rows, list)
    rows[4]["name"] = None
    assert isinstance(both(rows).rows, pa.StructArray)


def test_a_field_named_like_what_v2_says_of_entities_is_never_taken_for_null():
    fields = {**V2_FIELDS, "type": Field("type", "Edm.String")}
    rows = [{"__metadata": {"type": "S.Item"}, **row, "type": "x"} for row in ORDINARY]
    reader = PageReader(selection(Version.V2, fields))
    reader(page(rows, Version.V2))
    assert isinstance(reader(page(rows, Version.V2)).rows, pa.StructArray)
    for row in rows:
        del row["type"]
    assert isinstance(reader(page(rows, Version.V2)).rows, list)


def test_after_a_few_pages_that_had_to_go_back_none_is_tried():
    reader = PageReader(selection(Version.V2, V2_FIELDS))
    odd = [{**row, "name": number} if number else row for number, row in enumerate(ORDINARY)]
    for _ in range(5):
        reader(page(odd, Version.V2))
    assert isinstance(reader(page(ORDINARY, Version.V2)).rows, list)


@pytest.mark.parametrize(
    "body", [b'{"d": {"results": [{"ID": "1", "name": "M\xfc"}]}}', b"<html>", b'{"d": {"results"']
)
def test_what_is_no_page_is_still_said(body):
    reader = PageReader(selection(Version.V2, V2_FIELDS))
    reader(page(ORDINARY, Version.V2))
    with pytest.raises(IntegrityError, match=r"not UTF-8|not JSON"):
        reader(Answer(200, body, {}, "Items"))


def test_a_pull_of_large_pages_ends_with_every_row(house, script):
    script.metadata = metadata()
    script.items = [{"ID": number, "name": f"größe {number}" if number % 3 else None} for number in range(95)]
    assert house.pull().sets[0].total == 95
    assert house.table().to_pylist() == script.items


def test_a_key_that_comes_twice_in_columns_names_its_row(house, script):
    script.items.insert(25, script.items[3])
    with pytest.raises(Exception, match="Items: the same key came a second time, in row 26"):
        house.pull(part_rows=1000)
