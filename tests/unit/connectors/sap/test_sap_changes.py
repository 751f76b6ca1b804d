"""Changes: what the service tells is taken, what it does not tell is found."""

import pytest
from scripted import Said

from kifabrik.connectors.sap.changes import removed_key
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
