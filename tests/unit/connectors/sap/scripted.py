"""A small OData server whose every answer a test may script, and a house that seals what is pulled from it.

The server speaks HTTP on loopback like any other; the sealing, the index and the progress files are the real ones,
over an object store in memory.
"""

import json
import secrets
import ssl
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from kifabrik.connectors.sap.asking import Caller, Patience
from kifabrik.connectors.sap.plan import Plan, parse
from kifabrik.connectors.sap.pull import Puller
from kifabrik.connectors.sap.reading import put_together
from kifabrik.connectors.sap.sign_in import Open
from kifabrik.customer.seal import Earlier, SealedDataset
from kifabrik.datasets.index import Index, IndexWriter
from kifabrik.seals.identities import Identity
from kifabrik.transfer.opening import open_contents, unpack
from kifabrik.transfer.sealing import Sealer, VersionHead
from memory_objects import MemoryObjects

TRUST = ssl.create_default_context()
TENANT, DATASET = "t-" + "a" * 32, "d-" + "b" * 16
FIELDS = '<Property Name="ID" Type="Edm.Int32" Nullable="false"/><Property Name="name" Type="Edm.String"/>'


def metadata(fields: str = FIELDS, more: str = "") -> bytes:
    return f"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="S" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Item"><Key><PropertyRef Name="ID"/></Key>{fields}</EntityType>{more}
<EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.Item"/></EntityContainer></Schema>
</edmx:DataServices></edmx:Edmx>""".encode()


V2_METADATA = b"""<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"><edmx:DataServices>
<Schema Namespace="S" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
<EntityType Name="Item"><Key><PropertyRef Name="ID"/></Key><Property Name="ID" Type="Edm.Int32" Nullable="false"/>
<Property Name="name" Type="Edm.String"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.Item"/></EntityContainer></Schema>
</edmx:DataServices></edmx:Edmx>"""


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Said:
    """One answer; `cut` bytes of it are not sent before the line is closed."""

    body: bytes | dict | list = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0

    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Script:
    """The server. A test replaces `answer`, or leaves the usual pages of `rows`."""

    def __init__(self, rows: int = 30, page: int = 10) -> None:
        self.items = [{"ID": number, "name": f"zirbel {number}"} for number in range(rows)]
        self.page = page
        self.metadata = metadata()
        self.asked: list[Asked] = []
        self.delta: Callable[[Asked], Said] | None = None
        self.before: Callable[[Asked], Said | None] = lambda _asked: None
        self.batch = ""
        """How `$batch` is spoken: `json`, `multipart`, or not at all."""

    def answer(self, asked: Asked) -> Said:
        if asked.path.endswith("/$batch"):
            return answer_batch(self, asked)
        said = self.before(asked)
        if said is not None:
            return said
        if asked.path.endswith("/$metadata"):
            return Said(self.metadata, headers={"content-type": "application/xml"})
        if asked.path.endswith("/$count"):
            return Said(str(len(self.items)).encode())
        if "$deltatoken" in asked.query and self.delta is not None:
            return self.delta(asked)
        name = asked.path.rpartition("/")[2]
        start = int(asked.query.get("$skiptoken", "0"))
        body: dict = {"value": self.items[start : start + self.page]}
        if asked.query.get("$count") == "true":
            body["@odata.count"] = len(self.items)
        if start + self.page < len(self.items):
            body["@odata.nextLink"] = f"{name}?$skiptoken={start + self.page}"
        elif self.delta is not None:
            body["@odata.deltaLink"] = "Items?$deltatoken=1"
        return Said(body)

    @contextmanager
    def running(self):
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                parts = urlsplit(self.path)
                asked = Asked(
                    self.command,
                    parts.path,
                    {name: values[0] for name, values in parse_qs(parts.query).items()},
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(int(self.headers.get("content-length", 0))),
                )
                script.asked.append(asked)
                said = script.answer(asked)
                data = said.data()
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) - said.cut])
                if said.cut:
                    self.close_connection = True

            def log_message(self, *_words):
                pass

        for method in ("POST", "PATCH", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.do_GET)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/odata/S"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def answer_batch(script: Script, asked: Asked) -> Said:
    """Answer several requests at once; a change set with a failure is answered by that failure alone."""
    kind = asked.headers.get("content-type", "")
    if not script.batch or not kind.startswith(
        {"json": "application/json", "multipart": "multipart/"}[script.batch]
    ):
        return Said({"error": {"message": "no such batch"}}, status=415)
    if script.batch == "json":
        requests = json.loads(asked.body)["requests"]
        answers = []
        for one in requests:
            head = {name.lower(): text for name, text in one.get("headers", {}).items()}
            said = script.answer(
                _inner(asked, one["method"], one["url"], head, json.dumps(one.get("body")).encode())
            )
            body = {"body": json.loads(said.data())} if said.body != b"" else {}
            answers.append({"id": one["id"], "status": said.status, **body})
        if any("atomicityGroup" in one for one in requests) and any(one["status"] >= 400 for one in answers):
            answers = [one if one["status"] >= 400 else {"id": one["id"], "status": 424} for one in answers]
        return Said({"responses": answers}, headers={"content-type": "application/json"})
    return _answer_multipart(script, asked)


def _answer_multipart(script: Script, asked: Asked) -> Said:
    whole = message_from_bytes(f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode() + asked.body)
    parts = []
    for part in whole.walk():
        if part.get_content_type() == "application/http":
            first, _, rest = part.get_payload(decode=True).partition(b"\r\n")
            head, _, body = rest.partition(b"\r\n\r\n")
            method, link, _ = first.decode().split()
            headers = {name.lower(): text for name, text in message_from_bytes(head).items()}
            parts.append((script.answer(_inner(asked, method, link, headers, body)), part.get("content-id")))
    changes = b"changeset" in asked.body
    bad = [one for one in parts if one[0].status >= 400]
    parts = bad[:1] if changes and bad else parts
    inner = b"".join(b"--i\r\n" + _part(said, number) for said, number in parts) + b"--i--\r\n"
    if changes and not bad:
        inner = b"--o\r\ncontent-type: multipart/mixed; boundary=i\r\n\r\n" + inner + b"--o--\r\n"
    outer = "o" if changes and not bad else "i"
    return Said(inner, status=202, headers={"content-type": f"multipart/mixed; boundary={outer}"})


def _part(said: Said, number: str | None) -> bytes:
    head = b"content-type: application/http\r\ncontent-transfer-encoding: binary\r\n"
    head += b"" if number is None else f"content-id: {number}\r\n".encode()
    data = said.data()
    inner = f"HTTP/1.1 {said.status} So\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    return head + b"\r\n" + inner.encode() + data + b"\r\n"


def _inner(asked: Asked, method: str, link: str, headers: dict[str, str], body: bytes) -> Asked:
    parts = urlsplit(link)
    path = asked.path.removesuffix("$batch") + parts.path.lstrip("/")
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    shared = {name: asked.headers[name] for name in ("x-csrf-token", "cookie") if name in asked.headers}
    return Asked(method, path, options, {**shared, **headers}, body)


class House:
    """Seals version after version of one dataset from a scripted service, as `kifabrik.customer.seal` does."""

    def __init__(self, script, folder):
        self.script, self.folder = script, folder
        self.store = MemoryObjects()
        self.identity, self.device = Identity.generate(), Identity.generate()
        self.own = folder / "dataset"
        self.own.mkdir()
        self.versions = []
        self.waits = []

    def plan(self, pull):
        return parse(
            Plan,
            f"""
service: {self.script.url}
dataset: items
purpose: testing
confirmed: {{by: Anna Huber, on: 2026-11-20, because: "a server of our own"}}
limits: {{requests_per_second: 1000}}
pull: [{pull}]""",
            "plan.yaml",
        )

    def pull(
        self,
        pull="{entity_set: Items, rows: 1000000, fields: [name], page_rows: 10}",
        *,
        part_rows=10,
        tries=3,
        credentials=None,
        on_rows=None,
        again=False,
    ):
        plan = self.plan(pull)
        patience = Patience(tries, 10_000, self.waits.append)
        with Caller(plan.service, credentials or Open(), TRUST, patience) as caller:
            puller = Puller(plan, caller, self.device, part_rows=part_rows, on_rows=on_rows, again=again)
            return puller.pulled(self._seal(puller))

    def _seal(self, puller):
        version = len(self.versions) + 1
        previous = self.versions[-1][2] if self.versions else ""
        paths = [self.own / f"{version - 1}.index", *sorted(self.own.glob("*.unfinished"))]
        indexes = [Index.load(path) for path in paths if path.exists()]
        last = next((one for one in indexes if one.manifest and one.manifest == previous), None)
        earlier = Earlier(DATASET, version, self.own, tuple(indexes), last, self.store.missing)
        head = VersionHead(TENANT, DATASET, version, previous, self.identity.recipient)
        unfinished = self.own / f"{secrets.token_hex(4)}.unfinished"
        with (
            puller.packing(earlier) as plan,
            IndexWriter(unfinished, owner=DATASET, recipient=self.identity.recipient.text) as index,
        ):
            sealed = Sealer(head, self.store, self.own / "spool").seal(plan, index)
            digest = secrets.token_hex(32)
            index.finish(digest)
            reused = len(plan.reused)
        unfinished.replace(self.own / f"{version}.index")
        for left in self.own.glob("*.unfinished"):
            left.unlink()
        self.versions.append((sealed.manifest, sealed.contents, digest))
        contents = sealed.contents
        counts = (contents.file_count, contents.files_size, len(contents.shards), reused)
        return SealedDataset("items", DATASET, version, digest, *counts, version)

    def table(self, name="Items"):
        """The table as a reader of the newest version finds it."""
        import pyarrow.parquet as pq

        manifest, _, _ = self.versions[-1]
        headers = self.store.fetch(manifest.headers, manifest.headers_size)
        opened = open_contents(manifest, headers, [self.identity], self.store)
        target = self.folder / f"opened-{secrets.token_hex(4)}"
        target.mkdir()
        unpack(opened, target, self.store, verify=True)
        paths = sorted((target / name).glob("*.parquet"))
        return put_together([(path.name, pq.read_table(path)) for path in paths])

    def ids(self):
        return self.table().column("ID").to_pylist()
