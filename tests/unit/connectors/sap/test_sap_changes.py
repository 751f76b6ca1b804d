"""Changes: what the service tells is taken, what it does not tell is found."""

import pytest
from scripted import V2_METADATA, Said

from kifabrik.connectors.sap.changes import removed_key
from kifabrik.connectors.sap.columns import Column
from kifabrik.connectors.sap.model import Field, Version
from kifabrik.connectors.sap.selection import Table
from kifabrik.errors import IntegrityError

CHANGES = "{entity_set: Items, rows: 1000, fields: [name], changes: true}"


def tell(script, *rows, then="2"):
    """Answer the next question for changes."""
    script.delta = lambda _asked: Said({"value": list(rows), "@odata.deltaLink": f"Items?$deltatoken={then}"})


def test_a_version_of_changes_reads_as_the_whole(house, script):
    tell(script)
    house.pull(CHANGES)
    script.items[3]["name"] = "new name"
    gone = script.items.pop(5)
    script.items.append({"ID": 99, "name": "added"})
    tell(script, script.items[3], {"@removed": {"reason": "deleted"}, "ID": gone["ID"]}, script.items[-1])
    pulled = house.pull(CHANGES)
    assert pulled.sets[0].changes
    assert pulled.sealed.reused == 3
    table = house.table().sort_by("ID").to_pylist()
    assert table == script.items


def test_a_key_that_goes_and_comes_back_is_there(house, script):
    tell(script)
    house.pull(CHANGES)
    gone = script.items.pop(5)
    tell(script, {"@removed": {"reason": "deleted"}, "@id": "Items(5)"})
    house.pull(CHANGES)
    assert 5 not in house.ids()
    script.items.append(gone)
    tell(script, gone)
    house.pull(CHANGES)
    assert sorted(house.ids()) == list(range(30))


def test_a_deletion_the_service_does_not_tell_is_found_by_counting(house, script):
    tell(script)
    house.pull(CHANGES)
    script.items.pop(5)
    pulled = house.pull(CHANGES)
    assert not pulled.sets[0].changes
    assert "there would be 30 rows, and the service has 29; all of it is taken" in pulled.warnings[0]
    assert 5 not in house.ids()


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_delta_link_that_has_expired_is_answered_by_a_full_pull(house, script, status):
    tell(script)
    house.pull(CHANGES)
    script.before = lambda asked: Said(status=status) if "$deltatoken" in asked.query else None
    pulled = house.pull(CHANGES)
    assert "has forgotten what changed" in pulled.warnings[0]
    assert house.ids() == list(range(30))


def test_a_change_with_only_some_fields_is_answered_by_a_full_pull(house, script):
    tell(script)
    house.pull(CHANGES)
    tell(script, {"ID": 3})
    script.delta = lambda _asked: Said(
        {"value": [{"ID": 3, "colour": "red"}], "@odata.deltaLink": "Items?$deltatoken=3"}
    )
    pulled = house.pull(CHANGES)
    assert "without the field 'name'" in pulled.warnings[0]
    assert house.ids() == list(range(30))


def test_another_question_is_answered_by_a_full_pull(house, script):
    tell(script)
    house.pull(CHANGES)
    pulled = house.pull(CHANGES.replace("changes:", "filter: 'ID ge 0', changes:"))
    assert "asks for something else" in pulled.warnings[0]


def test_a_pull_of_changes_that_is_interrupted_loses_none(house, script):
    tell(script)
    house.pull(CHANGES)
    script.items[3]["name"] = "new name"
    tell(script, script.items[3])
    full = house.store.upload_small
    house.store.upload_small = lambda _bodies: (_ for _ in ()).throw(OSError("power"))
    with pytest.raises(OSError, match="power"):
        house.pull(CHANGES)
    house.store.upload_small = full
    house.pull(CHANGES)
    assert house.table().sort_by("ID").to_pylist() == script.items


@pytest.mark.parametrize(
    ("row", "keys", "wanted"),
    [
        ({"@removed": {}, "ID": 5}, ("ID",), {"ID": 5}),
        ({"id": "Items(5)"}, ("ID",), {"ID": "5"}),
        ({"id": "https://x/S/Items(guid'0a1b')"}, ("ID",), {"ID": "0a1b"}),
        ({"@id": "http://x/S/Items('O''Brien')"}, ("ID",), {"ID": "O'Brien"}),
        (
            {"@odata.id": "Stock(plant='DE01',product='a%2Cb')"},
            ("plant", "product"),
            {"plant": "DE01", "product": "a,b"},
        ),
    ],
)
def test_the_key_of_what_is_gone_is_found(row, keys, wanted):
    assert removed_key(row, Table("Items", (), keys)) == wanted


def test_what_does_not_say_what_is_gone_is_an_error():
    with pytest.raises(IntegrityError, match="which entity is gone"):
        removed_key({"@removed": {}}, Table("Items", (), ("ID",)))


FEED = (
    '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0">{}'
    '<link rel="delta" href="Items?!deltatoken=2"/></feed>'
)


@pytest.fixture
def old(script):
    """A V2 service as SAP Gateway is: changes as JSON without deletions, as Atom with them."""
    script.metadata = V2_METADATA
    script.gone, script.changed, script.counts = [], [], True

    def answer(asked):
        if asked.path.endswith("$count"):
            return None if script.counts else Said(status=400)
        if not asked.path.endswith("/Items"):
            return None
        if "!deltatoken" not in asked.query:
            return Said(
                {"d": {"results": script.items, "__count": "30", "__delta": f"{script.url}/Items?!deltatoken=1"}}
            )
        if "atom" in asked.headers["accept"] and "$format" not in asked.query:
            inner = "".join(f'<at:deleted-entry ref="{script.url}/Items({one})"/>' for one in script.gone)
            return Said(FEED.format(inner).encode(), headers={"content-type": "application/atom+xml"})
        return Said({"d": {"results": script.changed, "__delta": "Items?!deltatoken=2&$format=json"}})

    script.before = answer
    return script


def feeds(script):
    return [asked for asked in script.asked if "atom" in asked.headers.get("accept", "")]


@pytest.mark.parametrize("counts", [True, False])
def test_v2_deletions_are_read_from_atom(house, old, counts):
    house.pull(CHANGES)
    old.counts = counts
    old.gone = [5, 7]
    old.items[3]["name"] = "new name"
    old.changed = [old.items[3]]
    old.items[:] = [item for item in old.items if item["ID"] not in old.gone]
    pulled = house.pull(CHANGES)
    assert (pulled.sets[0].changes, pulled.sets[0].removed, pulled.warnings) == (True, 2, ())
    assert house.table().sort_by("ID").to_pylist() == old.items
    assert house.pull(CHANGES).sets[0].changes


def test_v2_changes_without_deletions_need_no_feed(house, old):
    house.pull(CHANGES)
    old.items[3]["name"] = "new name"
    old.changed = [old.items[3]]
    assert house.pull(CHANGES).sets[0].changes
    assert not feeds(old)


def test_v2_deletions_nobody_tells_are_answered_by_a_full_pull(house, old):
    house.pull(CHANGES)
    old.items.pop(5)
    pulled = house.pull(CHANGES)
    assert not pulled.sets[0].changes
    assert "there would be 30 rows, and the service has 29" in pulled.warnings[0]
    assert len(house.ids()) == 29


def test_a_v2_service_that_speaks_no_atom_and_does_not_count_is_pulled_whole(house, old):
    house.pull(CHANGES)
    old.counts = False
    pages = old.before
    old.before = lambda asked: Said(status=415) if "atom" in asked.headers.get("accept", "") else pages(asked)
    pulled = house.pull(CHANGES)
    assert not pulled.sets[0].changes
    assert pulled.warnings
    assert len(house.ids()) == 30


@pytest.mark.parametrize(
    ("kind", "literal", "said"),
    [
        ("Edm.Int64", "5L", "5"),
        ("Edm.DateTime", "datetime'2026-01-01T00:00:00'", "/Date(1767225600000)/"),
        ("Edm.String", "'5L'", "5L"),
    ],
)
def test_a_key_in_an_address_is_what_json_has(kind, literal, said):
    table = Table("Items", (Column(Field("ID", kind), Version.V2),), ("ID",))
    assert removed_key({"id": f"https://x/S/Items({literal})"}, table) == {"ID": said}
