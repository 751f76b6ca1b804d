"""What services do wrong on the way: nothing is lost, nothing is doubled, and a sentence says what happened."""

import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from scripted import FIELDS, V2_METADATA, House, Said, metadata

from kifabrik.connectors.sap.ahead import ahead
from kifabrik.connectors.sap.keys import Seen
from kifabrik.connectors.sap.plan import Limits
from kifabrik.errors import (
    FULL_DISK,
    CapacityError,
    ConflictError,
    IntegrityError,
    SignInError,
    UnavailableError,
    UsageError,
)

PART = (
    '<EntityType Name="Part"><Key><PropertyRef Name="no"/></Key><Property Name="no" Type="Edm.Int32"/></EntityType>'
)
CHANGES = "{entity_set: Items, rows: 1000, fields: [name], changes: true}"


def once(script, matches, said):
    """Answer the first request that matches with something else."""
    left = [said]
    script.before = lambda asked: left.pop() if left and matches(asked) else None


def at(token):
    return lambda asked: asked.query.get("$skiptoken") == token


def test_pages_arrive_whole_and_in_order(house):
    pulled = house.pull()
    assert pulled.sets[0].total == 30
    assert house.ids() == list(range(30))


def test_a_page_that_is_cut_off_is_fetched_again(house, script):
    once(script, at("10"), Said({"value": script.items[10:20]}, cut=40))
    house.pull()
    assert house.ids() == list(range(30))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_service_is_asked_again_later(house, script, status):
    once(script, at("10"), Said(status=status))
    house.pull()
    assert house.ids() == list(range(30))
    assert len([wait for wait in house.waits if wait > 0.2]) == 1


def test_retry_after_is_respected(house, script):
    once(script, at("20"), Said(status=503, headers={"retry-after": "17"}))
    house.pull()
    assert 17.0 in house.waits


def test_retry_after_may_be_a_moment(house, script):
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=400), usegmt=True)
    once(script, at("20"), Said(status=429, headers={"retry-after": moment}))
    house.pull()
    assert len([wait for wait in house.waits if 100 < wait <= 400]) == 1


def test_a_service_that_wants_to_be_left_alone_for_an_hour_ends_the_pull(house, script):
    once(script, at("20"), Said(status=429, headers={"retry-after": "3600"}))
    with pytest.raises(UnavailableError, match="60 minutes"):
        house.pull()


def test_an_interrupted_pull_asks_for_no_page_it_has(house, script):
    script.before = lambda asked: Said(status=503) if asked.query.get("$skiptoken") == "20" else None
    with pytest.raises(UnavailableError):
        house.pull()
    script.before = lambda _asked: None
    script.asked.clear()
    pulled = house.pull()
    assert pulled.resumed
    assert house.ids() == list(range(30))
    tokens = [asked.query.get("$skiptoken") for asked in script.asked if asked.path.endswith("/Items")]
    assert set(tokens) == {"20"}


def test_a_token_that_ends_mid_pull_is_renewed(house, script):
    class Renewed:
        turn = 0

        def headers(self):
            return {"authorization": f"Bearer {self.turn}"}

        def renew(self):
            self.turn += 1
            return True

    def check(asked):
        late = asked.query.get("$skiptoken") in {"10", "20"}
        return Said(status=401) if late and asked.headers["authorization"] == "Bearer 0" else None

    script.before = check
    house.pull(credentials=Renewed())
    assert house.ids() == list(range(30))


def test_a_refusal_that_renewing_does_not_help_is_said(house, script):
    script.before = lambda _asked: Said({"error": {"message": "no such user"}}, status=401)
    with pytest.raises(SignInError, match="no such user"):
        house.pull()


def test_a_next_link_that_repeats_for_ever_is_found(house, script):
    script.before = lambda asked: (
        Said({"value": [], "@odata.nextLink": "Items?$skiptoken=10"}) if at("10")(asked) else None
    )
    with pytest.raises(IntegrityError, match="same next link"):
        house.pull()


def test_a_page_that_repeats_under_new_links_is_found(house, script):
    def repeat(asked):
        token = int(asked.query.get("$skiptoken", "0"))
        if token < 10:
            return None
        return Said({"value": script.items[:10], "@odata.nextLink": f"Items?$skiptoken={token + 10}"})

    script.before = repeat
    with pytest.raises(ConflictError, match="same key came a second time, in row 11"):
        house.pull()
    assert not house.versions


def test_a_key_that_comes_twice_across_pages_stops_the_set_and_it_begins_anew(house, script):
    script.items.insert(10, script.items[9])
    with pytest.raises(ConflictError, match="Items: the same key came a second time"):
        house.pull()
    script.items.pop(10)
    assert house.pull().sets[0].total == 30
    assert house.ids() == list(range(30))


def test_fewer_rows_than_announced_are_an_error(house, script):
    once(script, at("20"), Said({"value": script.items[20:25]}))
    with pytest.raises(ConflictError, match="announced 30 rows and sent 25"):
        house.pull()


def test_more_rows_than_the_plan_allows_are_refused_before_they_are_sealed(house, script):
    with pytest.raises(CapacityError, match="has 30 rows, and the plan allows 29"):
        house.pull("{entity_set: Items, rows: 29, fields: [name]}")
    assert not house.store.objects


def test_a_service_that_says_no_count_is_still_bounded(house, script):
    pages = script.answer

    def uncounted(asked):
        said = pages(asked)
        if isinstance(said.body, dict):
            said.body.pop("@odata.count", None)
        return said

    script.answer = uncounted
    with pytest.raises(CapacityError, match="has 30 rows"):
        house.pull("{entity_set: Items, rows: 25, fields: [name]}")


def test_bytes_that_are_not_utf8_are_an_error(house, script):
    once(script, at("10"), Said(b'{"value": [{"ID": 10, "name": "M\xfcnchen"}]}'))
    with pytest.raises(IntegrityError, match="Items: the answer is not UTF-8"):
        house.pull()


def test_a_lone_surrogate_is_an_error(house, script):
    script.items[12]["name"] = "\ud800"
    with pytest.raises(IntegrityError, match=r"a value of 'name' is no Edm\.String"):
        house.pull()


def test_a_page_of_html_is_an_error(house, script):
    once(script, at("10"), Said(b"<html>Please sign in</html>", headers={"content-type": "text/html"}))
    with pytest.raises(IntegrityError, match="not JSON"):
        house.pull()


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "a/b", "a\\b", "", "a b", "..", "x" * 129])
def test_a_field_named_like_a_path_is_refused(house, script, name):
    script.metadata = metadata(f'{FIELDS}<Property Name="{name}" Type="Edm.String"/>')
    with pytest.raises(IntegrityError, match="no OData identifier"):
        house.pull()


def test_a_set_named_like_a_path_is_refused(house, script):
    script.metadata = script.metadata.replace(b'EntitySet Name="Items"', b'EntitySet Name="../Items"')
    with pytest.raises(IntegrityError, match="no OData identifier"):
        house.pull()


def test_a_next_link_out_of_the_service_is_not_followed(house, script):
    once(
        script, at("10"), Said({"value": [], "@odata.nextLink": "http://127.0.0.1:1/elsewhere/Items?$skiptoken=20"})
    )
    with pytest.raises(IntegrityError, match="leads out of it"):
        house.pull()


def test_a_next_link_with_another_host_stays_with_ours(house, script):
    next_ = "http://inner.example/odata/S/Items?$skiptoken=20"
    once(script, at("10"), Said({"value": script.items[10:20], "@odata.nextLink": next_}))
    house.pull()
    assert house.ids() == list(range(30))


def test_a_redirect_is_not_followed(house, script):
    once(script, at("10"), Said(status=302, headers={"location": "https://login.example/"}))
    with pytest.raises(UsageError, match=r"has moved to https://login\.example/"):
        house.pull()


def test_a_row_without_a_field_is_an_error(house, script):
    del script.items[7]["name"]
    with pytest.raises(IntegrityError, match="without the field 'name'"):
        house.pull()


def test_a_field_that_is_gone_is_named(house, script):
    house.pull()
    script.metadata = metadata(FIELDS.replace("name", "title"))
    with pytest.raises(UsageError, match="Items has no field 'name'"):
        house.pull()


def test_a_field_that_is_new_changes_nothing(house, script):
    script.delta = lambda _asked: Said({"value": [], "@odata.deltaLink": "Items?$deltatoken=2"})
    house.pull(CHANGES)
    script.metadata = metadata(f'{FIELDS}<Property Name="colour" Type="Edm.String"/>')
    assert house.pull(CHANGES).sets[0].changes


def test_a_field_that_got_another_type_is_pulled_whole_with_a_warning(house, script):
    script.delta = lambda _asked: Said({"value": [], "@odata.deltaLink": "Items?$deltatoken=2"})
    house.pull(CHANGES)
    script.metadata = metadata(FIELDS.replace('Name="name" Type="Edm.String"', 'Name="name" Type="Edm.Guid"'))
    pulled = house.pull(CHANGES)
    assert not pulled.sets[0].changes
    assert "name was Edm.String and is Edm.Guid), so all of it is taken" in pulled.warnings[0]


def test_a_field_that_changes_while_a_pull_is_interrupted_begins_anew(house, script):
    script.before = lambda asked: Said(status=503) if asked.query.get("$skiptoken") == "20" else None
    with pytest.raises(UnavailableError):
        house.pull()
    script.before = lambda _asked: None
    script.metadata = metadata(FIELDS.replace("Edm.Int32", "Edm.Int64"))
    pulled = house.pull()
    assert "begun anew" in pulled.warnings[0]
    assert house.ids() == list(range(30))


def test_a_link_the_service_has_forgotten_begins_anew(house, script):
    script.before = lambda asked: Said(status=503) if asked.query.get("$skiptoken") == "20" else None
    with pytest.raises(UnavailableError):
        house.pull()
    once(script, at("20"), Said(status=400))
    pulled = house.pull()
    assert "begun anew" in pulled.warnings[0]
    assert house.ids() == list(range(30))


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "before",
    [
        lambda rest: BOMB.encode() + rest,
        lambda rest: f"<!--{'x' * 10_000}-->{BOMB}".encode() + rest,
        lambda rest: b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'>" + rest,
        lambda rest: f"<!--{'x' * 10_000}--><!DOCTYPE x SYSTEM 'file:///etc/passwd'>".encode() + rest,
        lambda rest: f'<?xml version="1.0" encoding="utf-16"?>{BOMB}{rest.decode()}'.encode("utf-16"),
        lambda rest: f'<?xml version="1.0" encoding="utf-16"?>{BOMB}{rest.decode()}'.encode("utf-16-be"),
    ],
    ids=["at once", "late", "external", "late external", "utf-16", "utf-16-be"],
)
def test_metadata_with_a_document_type_is_refused(house, script, before):
    script.metadata = before(script.metadata.partition(b"?>")[2] or script.metadata)
    with pytest.raises(IntegrityError, match="document type"):
        house.pull()


@pytest.mark.parametrize("encoding", ["utf-9", "rot13", "idna", "undefined", "base64"])
def test_metadata_in_an_encoding_that_is_none_is_refused(house, script, encoding):
    script.metadata = f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + script.metadata.partition(b"?>")[2]
    with pytest.raises(IntegrityError, match="not XML"):
        house.pull()


def test_an_interrupted_wait_does_not_hold_the_command():
    held, ended = threading.Event(), []

    def slow():
        yield 1
        ended.append(held.wait(100))

    def interrupted():
        with ahead(slow()) as coming:
            next(coming)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended == []  # it still waits
    held.set()


def test_more_children_than_the_plan_allows_are_refused(house, script):
    script.metadata = metadata(
        f'{FIELDS}<NavigationProperty Name="parts" Type="Collection(S.Part)"/>',
        PART,
    )
    for item in script.items:
        item["parts"] = [{"no": 1}, {"no": 2}]
    plan = "{{entity_set: Items, rows: 30, fields: [name], expand: {{parts: {{fields: [no], rows: {}}}}}}}"
    with pytest.raises(CapacityError, match="Items/parts has more than the 59 rows"):
        house.pull(plan.format(59))
    house.pull(plan.format(60))
    assert house.table("Items_parts").num_rows == 60


def test_children_that_go_on_elsewhere_are_fetched_to_their_end(house, script):
    script.metadata = metadata(
        f'{FIELDS}<NavigationProperty Name="parts" Type="Collection(S.Part)"/>',
        PART,
    )
    script.items = [
        {"ID": 1, "name": "a", "parts": [{"no": 1}], "parts@odata.nextLink": "Items(1)/parts?$skiptoken=1"}
    ]
    script.before = lambda asked: Said({"value": [{"no": 2}, {"no": 3}]}) if "Items(1)" in asked.path else None
    house.pull("{entity_set: Items, rows: 30, fields: [name], expand: {parts: {fields: [no]}}}")
    assert house.table("Items_parts").to_pylist() == [{"Items_ID": 1, "no": number} for number in (1, 2, 3)]


def nested(script):
    """Parents with children in no order."""
    script.metadata = metadata(f'{FIELDS}<NavigationProperty Name="parts" Type="Collection(S.Part)"/>', PART)
    for item in script.items:
        item["parts"] = [{"no": number} for number in (7, 3, 5)]
    return "{entity_set: Items, rows: 99, fields: [name], expand: {parts: {fields: [no]}}}"


def test_keys_of_children_are_not_held(house, script, monkeypatch):
    held = []
    add_all = Seen.add_all
    monkeypatch.setattr(
        Seen, "add_all", lambda self, numbers: (held.append(len(self) + len(numbers)), add_all(self, numbers))[1]
    )
    house.pull(nested(script))
    assert house.table("Items_parts").num_rows == 90
    assert max(held) <= 30


def test_two_children_of_one_key_stop_the_set(house, script):
    plan = nested(script)
    script.items[14]["parts"].append({"no": 5})
    with pytest.raises(ConflictError, match="Items_parts: the same key came a second time"):
        house.pull(plan)


def test_a_set_without_a_row_is_a_table_without_a_row(house, script):
    script.items = []
    pulled = house.pull(nested(script))
    assert (pulled.sets[0].total, pulled.sets[0].rows) == (0, {"Items": 0, "Items_parts": 0})
    assert house.table().column_names == ["ID", "name"]
    assert house.table("Items_parts").column_names == ["Items_ID", "no"]


def test_children_that_only_some_parts_have_are_in_those(house, script):
    plan = nested(script)
    for item in script.items[10:20]:
        item["parts"] = []
    house.pull(plan)
    found = house.table("Items_parts").column("Items_ID").to_pylist()
    assert sorted(set(found)) == [*range(10), *range(20, 30)]
    assert (house.table().num_rows, len(found)) == (30, 60)


MANY = ", ".join(
    f"{{entity_set: {name}, rows: 100, fields: [name], page_rows: 10}}" for name in ("Items", "A", "B")
)


@pytest.fixture(params=["json", "multipart"])
def several(request, script):
    """Three sets, and a service that takes several requests at once."""
    more = '<EntitySet Name="A" EntityType="S.Item"/><EntitySet Name="B" EntityType="S.Item"/></EntityContainer>'
    script.metadata = script.metadata.replace(b"</EntityContainer>", more.encode())
    script.batch = request.param
    return script


def paths(script):
    return [asked.path.rpartition("/")[2] for asked in script.asked if "skiptoken" not in str(asked.query)]


def test_first_pages_of_several_sets_come_in_one_round_trip(house, several):
    assert [one.total for one in house.pull(MANY).sets] == [30, 30, 30]
    tries = 1 if several.batch == "json" else 2  # JSON is tried first
    assert paths(several) == ["$metadata", *["$batch"] * tries]
    for name in ("Items", "A", "B"):
        assert house.table(name).to_pylist() == several.items


def test_a_set_that_fails_in_a_batch_is_asked_for_by_itself(house, several):
    failing = [Said(status=503)]
    several.before = lambda asked: failing.pop() if failing and asked.path.endswith("/A") else None
    assert [one.total for one in house.pull(MANY).sets] == [30, 30, 30]
    assert paths(several)[-1] == "A"


def test_a_service_that_takes_no_batch_is_asked_set_by_set(house, several):
    several.batch = ""
    assert [one.total for one in house.pull(MANY).sets] == [30, 30, 30]
    assert paths(several) == ["$metadata", "$batch", "$batch", "Items", "A", "B"]


def test_a_next_link_that_leads_elsewhere_inside_a_batch_is_not_believed(house, several):
    pages = several.answer

    def answer(asked):
        said = pages(asked)
        inside = "user-agent" not in asked.headers
        if inside and isinstance(said.body, dict) and "@odata.nextLink" in said.body:
            said.body["@odata.nextLink"] = said.body["@odata.nextLink"][1:]
        return said

    several.answer = answer
    assert [one.total for one in house.pull(MANY).sets] == [30, 30, 30]
    assert paths(several)[-3:] == ["Items", "A", "B"]


def test_a_plan_may_forbid_several_requests_at_once(house, several):
    plan = house.plan(MANY).model_copy(update={"limits": Limits(batch=False)})
    house.plan = lambda _pull: plan
    house.pull()
    assert "$batch" not in paths(several)


def test_a_v2_service_that_pages_only_when_asked_is_taken_up_where_it_stopped(house, script):
    script.metadata = V2_METADATA

    def window(asked):
        if not asked.path.endswith("/Items"):
            return None
        start, size = int(asked.query.get("$skip", "0")), int(asked.query["$top"])
        if start == 20 and broken:
            return Said(status=503)
        return Said({"d": {"__count": "30", "results": script.items[start : start + size]}})

    broken = [True]
    script.before = window
    with pytest.raises(UnavailableError):
        house.pull()
    broken.clear()
    script.asked.clear()
    pulled = house.pull()
    assert pulled.resumed
    assert house.ids() == list(range(30))
    assert {asked.query["$skip"] for asked in script.asked if asked.path.endswith("/Items")} == {"20"}


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own with little room; its size may be changed."""

    def mount(options):
        words = ["mount", "-t", "tmpfs", "-o", options, "kifabrik-test", str(folder)]
        return subprocess.run(words, capture_output=True, check=False).returncode

    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or mount("size=48k"):
        pytest.skip("only who may mount can have a small disk")
    yield folder, lambda size: mount(f"remount,size={size}")
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=True)


def test_a_full_disk_is_a_sentence_and_with_room_the_pull_goes_on(script, small_disk):
    folder, resize = small_disk
    script.items = [{"ID": number, "name": f"zirbel {number}"} for number in range(3000)]
    script.page = 100
    house = House(script, folder)
    plan = "{entity_set: Items, rows: 5000, fields: [name]}"
    with pytest.raises((CapacityError, OSError)) as raised:
        house.pull(plan, part_rows=100)
    if isinstance(raised.value, OSError):  # where uploads lag behind, the spool fills before the progress does
        assert raised.value.errno in FULL_DISK
        assert raised.value.filename.startswith(str(folder))  # the command line makes a sentence of it
    else:
        assert f"the disk of {folder}" in raised.value.message
        assert "is full" in raised.value.message
        assert "goes on where it stopped" in raised.value.hint
    assert not house.versions
    assert resize("16m") == 0
    script.asked.clear()
    pulled = house.pull(plan, part_rows=100)
    assert pulled.resumed
    assert 0 < len([asked for asked in script.asked if asked.path.endswith("/Items")]) < 30
    assert house.ids() == list(range(3000))
