"""Pulls from SAP's own server into a dataset sealed in a real factory, opened again and compared."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from kifabrik.connectors.sap.asking import Caller
from kifabrik.errors import CapacityError, UnavailableError, UsageError

PRODUCTS = (
    "{entity_set: Products, rows: 5000, "
    "fields: [description, value, price, weight, introduced, changedAt, active, batchSize]}"
)
ORDERS = (
    "{entity_set: Orders, rows: 5000, fields: [supplier, orderedOn, createdAt, note], "
    "expand: {items: {fields: [plant, product, quantity, netPrice, deliveryDate]}}}"
)
PLANTS = "{entity_set: Plants, rows: 10, fields: [name, country, longitude, latitude, opens]}"


def everything(house, path):
    """All rows of a set, read page by page by somebody else: numbers and texts as JSON has them."""
    rows, link = [], f"{house.peer.service('supply')}/{path}"
    while link:
        body = json.loads(house.ask("GET", link).text, parse_float=Decimal)
        rows += body["value"]
        link = body.get("@odata.nextLink")
        link = link and f"{house.peer.service('supply')}/{link}"
    return rows


def test_what_is_sealed_is_what_the_service_has(house):
    pulled = house.pull(PRODUCTS, PLANTS)
    tables = house.tables()
    assert [one.total for one in pulled.sets] == [2000, 4]
    theirs = everything(house, "Products")
    ours = tables["Products"].to_pylist()
    assert len(ours) == len(theirs) == 2000
    for row, wanted in zip(ours, sorted(theirs, key=lambda one: one["ID"]), strict=True):
        assert row["ID"] == wanted["ID"]
        assert row["description"] == wanted["description"]
        assert row["active"] == wanted["active"]
        for name in ("value", "price", "weight"):
            assert row[name] == (None if wanted[name] is None else Decimal(wanted[name])), name
        assert row["batchSize"] == int(wanted["batchSize"])
        assert row["introduced"] == (wanted["introduced"] and date.fromisoformat(wanted["introduced"]))
        moment = wanted["changedAt"] and datetime.fromisoformat(wanted["changedAt"])
        assert row["changedAt"] == moment
    assert tables["Plants"].column("opens").to_pylist() == [time(6, 30)] * 4


def test_columns_have_the_types_of_the_metadata(house):
    house.pull(PRODUCTS)
    schema = house.table("Products").schema
    assert schema.field("value").type == pa.decimal128(15, 2)
    assert schema.field("weight").type == pa.decimal128(13, 3)
    assert schema.field("introduced").type == pa.date32()
    assert schema.field("changedAt").type == pa.timestamp("us", "UTC")
    assert schema.field("batchSize").type == pa.int64()
    assert not schema.field("ID").nullable


def test_values_that_are_easily_lost_are_kept(house):
    house.pull(PRODUCTS)
    rows = {row["ID"]: row for row in house.table("Products").to_pylist()}
    assert rows["M-000000"]["value"] == Decimal("9999999999999.99")
    assert rows["M-000000"]["batchSize"] == 9007199254740993
    assert rows["M-000000"]["weight"] == Decimal("-0.001")
    assert rows["M-000001"]["value"] is None
    assert rows["M-000002"]["introduced"] == date(1, 1, 1)
    assert rows["M-000002"]["description"] == "../../etc/passwd, \"quoted\", 'single' \n second line 🙂"
    assert rows["M-000003"]["introduced"] == date(9999, 12, 31)
    assert rows["M-000003"]["description"] == ""


def test_children_become_a_table_with_the_keys_of_their_parents(house):
    house.pull(
        ORDERS, "{entity_set: OrderItems, rows: 9000, fields: [plant, product, quantity, netPrice, deliveryDate]}"
    )
    tables = house.tables()
    items = tables["Orders_items"]
    assert tables["Orders"].num_rows == 3000
    assert items.column("Orders_ID").to_pylist() == items.column("parent_ID").to_pylist()
    columns = ["parent_ID", "position", "plant", "product", "quantity", "netPrice", "deliveryDate"]
    by_key = [("parent_ID", "ascending"), ("position", "ascending")]
    assert items.select(columns).sort_by(by_key).to_pylist() == (
        tables["OrderItems"].select(columns).sort_by(by_key).to_pylist()
    )


@pytest.mark.parametrize("plan", [PRODUCTS, ORDERS, PLANTS], ids=["products", "orders", "plants"])
def test_v2_gives_the_same_as_v4(house, plan):
    house.pull(plan)
    modern = house.tables()
    house.pull(plan, version=2)
    old = house.tables()
    assert modern.keys() == old.keys()
    for name, table in modern.items():
        assert old[name].schema.equals(table.schema, check_metadata=False)
        assert old[name].equals(table)


def test_a_filter_and_a_limit_hold(house):
    house.pull("{entity_set: Products, rows: 5, fields: [value], filter: \"ID lt 'M-000005'\"}")
    assert house.table("Products").num_rows == 5
    with pytest.raises(CapacityError, match="Products has 2,000 rows, and the plan allows 1,999"):
        house.pull("{entity_set: Products, rows: 1999, fields: [value]}")


def test_a_field_the_service_lacks_is_named(house):
    with pytest.raises(UsageError, match="Products has no field 'valu'") as raised:
        house.pull("{entity_set: Products, rows: 1999, fields: [valu]}")
    assert "value" in raised.value.hint


def test_a_server_that_dies_is_taken_up_where_it_stopped(house):
    def die(_name, rows, _count):
        if rows >= 1000 and not died:
            died.append(rows)
            house.peer.kill_odata()

    died = []
    with pytest.raises(UnavailableError):
        house.pull(PRODUCTS, PLANTS, on_rows=die, part_rows=200, tries=1)
    house.peer.start_odata()
    first = []
    pulled = house.pull(PRODUCTS, PLANTS, part_rows=200, on_rows=lambda name, rows, _: first.append((name, rows)))
    assert pulled.resumed
    assert pulled.sealed.reused >= 4
    assert first[0][1] > 800
    rows = house.table("Products").column("ID").to_pylist()
    assert rows == [f"M-{number:06d}" for number in range(2000)]


def test_only_changes_are_taken_where_the_service_tracks_them(house):
    plan = "{entity_set: Products, rows: 5000, fields: [description, price, changedAt], changes: true}"
    url = f"{house.peer.service('changing')}/Products"
    before = house.pull(plan, service="changing")
    assert not before.warnings
    house.ask("PATCH", f"{url}('M-000003')", json={"price": "1234.50"}).raise_for_status()
    house.ask("DELETE", f"{url}('M-000004')").raise_for_status()
    house.ask("POST", url, json={"ID": "M-900000", "description": "neu", "price": "1.00"}).raise_for_status()
    after = house.pull(plan, service="changing")
    assert (after.sets[0].changes, after.sets[0].rows, after.sets[0].removed) == (True, {"Products": 2}, 1)
    assert after.sets[0].total == before.sets[0].total
    assert after.sealed.reused == 1
    rows = {row["ID"]: row for row in house.table("Products").to_pylist()}
    assert len(rows) == before.sets[0].total
    assert rows["M-000003"]["price"] == Decimal("1234.50")
    assert "M-000004" not in rows
    assert rows["M-900000"]["changedAt"] is None
    again = house.pull(plan, service="changing")
    assert (again.sets[0].rows, again.sets[0].removed) == ({"Products": 0}, 0)
    assert house.table("Products").num_rows == before.sets[0].total
    house.ask("DELETE", f"{url}('M-900000')").raise_for_status()


def test_v2_changes_are_taken_too(house):
    plan = "{entity_set: Products, rows: 5000, fields: [description, price], changes: true}"
    url = f"{house.peer.service('changing')}/Products"
    house.pull(plan, service="changing", version=2)
    house.ask("PATCH", f"{url}('M-000007')", json={"price": "77.77"}).raise_for_status()
    after = house.pull(plan, service="changing", version=2)
    assert after.sets[0].changes
    rows = {row["ID"]: row["price"] for row in house.table("Products").to_pylist()}
    assert rows["M-000007"] == Decimal("77.77")


def test_a_service_that_ignores_change_tracking_is_pulled_whole_with_a_warning(house):
    plan = "{entity_set: Plants, rows: 50, fields: [name], changes: true}"
    assert "does not track changes" in house.pull(plan).warnings[0]
    again = house.pull(plan)
    assert not again.sets[0].changes
    assert house.table("Plants").num_rows == 4


def test_a_token_that_ends_on_the_way_is_renewed(house):
    pulled = house.pull("{entity_set: Products, rows: 5000, fields: [value]}", client="brief", rate=12)
    assert pulled.sets[0].total == 2000


def test_times_are_in_utc(house):
    house.pull("{entity_set: Sales, rows: 50000, fields: [shipped], filter: 'ID eq 1'}")
    assert house.table("Sales").column("shipped").to_pylist() == [datetime(2024, 1, 1, 14, 0, tzinfo=UTC)]


@pytest.mark.parametrize("version", [4, 2])
def test_several_sets_begin_in_one_round_trip(house, version, monkeypatch):
    links = []
    send = Caller.send
    monkeypatch.setattr(
        Caller, "send", lambda self, *words, **more: (links.append(words[:2]), send(self, *words, **more))[1]
    )
    stock = "{entity_set: Stock, rows: 9000, fields: [quantity], filter: \"product lt 'M-000010'\"}"
    house.pull(
        PLANTS, stock, ORDERS.replace("rows: 5000", "filter: \"ID lt '4500000040'\", rows: 5000"), version=version
    )
    assert links == [("GET", "$metadata"), *[("POST", "$batch")] * 1]
    tables = house.tables()
    assert {name: table.num_rows for name, table in tables.items()} == {
        "Plants": 4,
        "Stock": 40,
        "Orders": 40,
        "Orders_items": 60,
    }
    assert tables["Plants"].column("opens").to_pylist() == [time(6, 30)] * 4
