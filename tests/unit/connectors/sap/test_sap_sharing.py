"""Shared tables, against a server that speaks the protocol as its own client library understands it."""

import json
import os

import delta_sharing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scripted import Said

from kifabrik.connectors.sap.file_plan import SharedTable, SharePlan
from kifabrik.connectors.sap.plan import parse
from kifabrik.connectors.sap.sharing import open_share, read_shared
from kifabrik.errors import (
    CapacityError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    SignInError,
    UnavailableError,
    UsageError,
)

PLAN = """
dataset: shared
purpose: testing
confirmed: {by: Anna Huber, on: 2026-11-20, because: "a share of our own"}
profile: {env: KIFABRIK_TEST_SHARE}
tables: {Items: {table: s.d.items, columns: [id, name], rows: 9}}
"""
SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in (("id", "long"), ("name", "string"), ("more", "long"))
    ],
}
META = {
    "id": "1",
    "format": {"provider": "parquet", "options": {}},
    "schemaString": json.dumps(SCHEMA),
    "partitionColumns": [],
}


class Share:
    """A share of one table in two files; links may end, and the format is either."""

    def __init__(self, script):
        self.script, self.format, self.version, self.links = script, "parquet", 7, 0
        self.expired, self.status, self.partitions, self.add = set(), 200, {}, {}
        self.configuration, self.more = {}, []
        self.files = []
        for start in (0, 3):
            sink = pa.BufferOutputStream()
            pq.write_table(pa.table({"id": [start, start + 1], "name": ["a", "ß"], "more": [1, 2]}), sink)
            self.files.append(sink.getvalue().to_pybytes())
        script.before = self.answer

    def answer(self, asked):
        if "/files/" in asked.path:
            number, _, link = asked.path.rpartition("/files/")[2].partition("-")
            return Said(status=403) if int(link) in self.expired else Said(self.files[int(number)])
        if not asked.path.endswith(("/query", "/metadata")):
            return Said(status=404)
        assert asked.headers["authorization"] == "Bearer of-the-share"
        if self.format == "delta" and "delta" not in asked.headers.get("delta-sharing-capabilities", ""):
            return Said({"errorCode": "UNSUPPORTED"}, status=400)
        self.links += 1
        lines = self.lines(with_files=asked.path.endswith("/query"))
        head = {
            "delta-table-version": str(self.version),
            "delta-sharing-capabilities": f"responseformat={self.format}",
        }
        return Said("\n".join(json.dumps(line) for line in lines).encode(), status=self.status, headers=head)

    def lines(self, *, with_files):
        delta = self.format == "delta"
        if delta:
            yield {"protocol": {"deltaProtocol": {"minReaderVersion": 1, "minWriterVersion": 2}}}
            yield {
                "metaData": {
                    "version": self.version,
                    "deltaMetadata": {**META, "configuration": self.configuration},
                }
            }
        else:
            yield {"protocol": {"minReaderVersion": 1}}
            yield {"metaData": META}
        for number, data in enumerate(self.files if with_files else ()):
            url = f"{self.script.url}/files/{number}-{self.links}?X-Amz-Signature=0"
            file = {"id": str(number), "partitionValues": self.partitions, "size": len(data)}
            if delta:
                add = {**file, "path": url, "modificationTime": 0, "dataChange": True, **self.add}
                yield {"file": {"id": str(number), "size": len(data), "deltaSingleAction": {"add": add}}}
            else:
                yield {"file": {"url": url, **file}}
        yield from self.more if with_files else ()


@pytest.fixture
def share(script, monkeypatch):
    profile = {"shareCredentialsVersion": 1, "endpoint": script.url, "bearerToken": "of-the-share"}
    monkeypatch.setenv("KIFABRIK_TEST_SHARE", json.dumps(profile))
    return Share(script)


def read(wanted=None):
    plan = parse(SharePlan, PLAN, "share.yaml")
    batches = read_shared(open_share(plan), "Items", wanted or plan.tables["Items"])
    return pa.Table.from_batches(batches).to_pydict()


ROWS = {"id": [0, 1, 3, 4], "name": ["a", "ß", "a", "ß"]}


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_a_shared_table_is_read_file_by_file(share, kind):
    share.format = kind
    assert read() == ROWS


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_the_protocols_own_client_reads_the_same_from_this_server(share, tmp_path, kind):
    share.format = kind
    profile = tmp_path / "profile.share"
    profile.write_text(os.environ["KIFABRIK_TEST_SHARE"])
    theirs = delta_sharing.load_as_pandas(f"{profile}#s.d.items")
    assert theirs[["id", "name"]].to_dict("list") == ROWS


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_a_link_that_has_ended_is_asked_for_again(share, kind):
    share.format, share.expired = kind, {1, 2}  # those of the metadata and of the first list
    assert read() == ROWS
    assert share.links == 4  # and each file once more


def test_a_link_that_ends_again_and_again_ends_the_pull(share):
    share.expired = set(range(20))
    with pytest.raises(UnavailableError, match="answers 403"):
        read()


def test_a_table_that_changes_while_its_links_are_renewed_is_not_mixed(share):
    share.expired = {2}
    pages = share.answer

    def moving(asked):
        said = pages(asked)
        share.version += asked.path.endswith("/query")
        return said

    share.script.before = moving
    with pytest.raises(ConflictError, match="changed while it was read"):
        read()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"add": {"deletionVector": {"storageType": "u"}}}, "deletion vectors"),
        ({"configuration": {"delta.columnMapping.mode": "name"}}, "column mapping"),
    ],
)
def test_what_files_alone_do_not_say_is_refused(share, change, says):
    share.format = "delta"
    vars(share).update(change)
    with pytest.raises(UsageError, match=says):
        read()


def test_a_list_of_files_that_goes_on_elsewhere_is_not_taken_for_all(share):
    share.format, share.more = "delta", [{"endStreamAction": {"nextPageToken": "x"}}]
    with pytest.raises(IntegrityError, match="only some of the table's files"):
        read()


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_a_list_that_makes_no_sense_is_a_sentence(share, kind):
    share.format, share.more = kind, [{"file": {"id": 3}}]
    with pytest.raises(IntegrityError, match="makes no sense"):
        read()


def test_a_column_that_parts_the_table_is_named(share):
    share.partitions = {"plant": "DE01"}
    with pytest.raises(UsageError, match="is parted by 'plant'"):
        read(SharedTable(table="s.d.items", columns=("id", "plant"), rows=9))


def test_a_share_that_refuses_says_so_and_shows_no_token(share):
    share.status = 403
    with pytest.raises(SignInError, match=r"does not let us in \(403\)") as raised:
        read()
    assert "of-the-share" not in raised.value.message


def test_a_table_the_share_lacks_is_said(share, script):
    script.before = lambda _asked: Said(status=404)
    with pytest.raises(NotFoundError, match="has no such table"):
        read()


def test_a_column_the_share_lacks_is_named(share):
    with pytest.raises(UsageError, match=r"s\.d\.items has no column 'colour'"):
        read(SharedTable(table="s.d.items", columns=("colour",), rows=9))


def test_a_file_that_is_not_as_long_as_said_or_too_long_is_refused(share, monkeypatch):
    whole = share.files[1]
    share.script.before = lambda asked: Said(whole[:-9]) if "/files/1" in asked.path else share.answer(asked)
    with pytest.raises(IntegrityError, match="and was to have"):
        read()
    monkeypatch.setattr("kifabrik.connectors.sap.sharing.LARGEST_FILE", 10)
    with pytest.raises(CapacityError, match="1 GiB is held"):
        read()


def test_a_profile_that_is_none_is_refused(share, monkeypatch):
    monkeypatch.setenv("KIFABRIK_TEST_SHARE", "{}")
    with pytest.raises(UsageError, match="the profile of the share"):
        read()
