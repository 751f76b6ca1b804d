"""A factory within the test's own process: real log, real statements, real ciphertext; and it can lie.

It answers the calls the keyholder makes (the classes of `kifabrik.client`) with a real transparency log
under a real log key. What an honest factory checks at its door it leaves out: whoever controls the
factory would too. Attacks are done to its attributes: `entries`, `statements`, `objects`, `release_refs`, and
the hooks `accept_statement` and `append_decision`.
"""

import base64
import json
import secrets
from collections.abc import Callable

from kifabrik.client.logs import News
from kifabrik.errors import ConflictError, NotFoundError, UnavailableError
from kifabrik.keyholder.connecting import Factory
from kifabrik.ledger.checkpoint import TreeHead, log_origin, log_verifier, sign_tree_head
from kifabrik.ledger.entry import Entry, EntryKind, new_entry_id
from kifabrik.ledger.merkle import leaf_hash, root_of
from kifabrik.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, encode_bundle, encode_tile
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.values import format_time, now_utc
from kifabrik.wire.leases import Mail, MailKind
from kifabrik.wire.runs import StreamView
from kifabrik.wire.tenants import Logged, TenantCreated
from memory_objects import MemoryObjects


class SimulatedFactory(MemoryObjects):
    """One tenant's factory."""

    def __init__(self, tenant: str) -> None:
        super().__init__()
        self.tenant = tenant
        self.log_key = SigningKey.generate()
        self.entries: list[bytes] = []
        self.statements: dict[str, Envelope] = {}
        self.indexes: dict[str, int] = {}
        self.decisions: dict[str, Envelope] = {}
        self.headers: dict[str, dict[str, bytes]] = {}
        self.log_headers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cosigned: list[str] = []
        self.letters: list[Mail] = []
        self.calls: list[str] = []
        self.away = False
        self.keyholder_statement: Envelope | None = None
        self.recipient_list: Envelope | None = None
        self.certificates: list[Envelope] = []
        self.time: Callable[[], str] = lambda: format_time(now_utc())
        self.release_refs: dict[str, object] = {}
        """What entries about leases say otherwise than the leases do: a lie."""
        self.accept_statement: Callable[[EntryKind, Envelope], bool] = lambda _kind, _envelope: True
        self.append_decision: Callable[[Envelope], bool] = lambda _decision: True

    @property
    def vkey(self) -> str:
        """The key of the log."""
        return log_verifier(self.tenant, self.log_key.public).vkey

    def clients(self) -> Factory:
        """What a keyholder connects to."""
        return Factory(self, self, self, self, self, self, self)  # type: ignore[arg-type]

    def create(self, _code: str, _tenant_key: str, keyholder: Envelope) -> TenantCreated:
        self.append(EntryKind.TENANT_CREATED, tenant=self.tenant)
        self.keyholder_statement = keyholder
        self.put(EntryKind.KEYHOLDER_ENROLLED, keyholder, statement=keyholder.digest, sequence=1)
        return TenantCreated(tenant=self.tenant, log_vkey=self.vkey, token="kfk_simulated")

    def append(self, kind: EntryKind | str, **refs) -> int:
        """Append an entry and return its index."""
        entry = Entry(kind, self.time(), new_entry_id(), {k: v for k, v in refs.items() if v != ""})
        self.entries.append(entry.to_bytes())
        return len(self.entries) - 1

    def put(self, kind: EntryKind, envelope: Envelope, **refs) -> Logged:
        """Keep a statement and append its entry; known ones change nothing."""
        if envelope.digest not in self.indexes:
            if not self.accept_statement(kind, envelope):
                return Logged(digest=envelope.digest, log_index=len(self.entries))  # a lie
            self.statements[envelope.digest] = envelope
            self.indexes[envelope.digest] = self.append(kind, **refs)
        return Logged(digest=envelope.digest, log_index=self.indexes[envelope.digest])

    def kinds(self) -> list[str]:
        """What stands in the log."""
        return [str(Entry.from_bytes(data).kind) for data in self.entries]

    def call(self, name: str) -> None:
        self.calls.append(name)
        if self.away:
            raise UnavailableError("the factory is away")

    def close(self) -> None:
        pass

    # Mailbox

    def mail(self, *, after: int, wait_s: float) -> list[Mail]:
        self.call("mail")
        return [letter for letter in self.letters if letter.number > after]

    def write(self, kind: MailKind, digest: str) -> None:
        self.letters.append(Mail(number=len(self.letters) + 1, kind=kind, digest=digest))

    def decide(self, statement: Envelope, headers: dict[str, bytes], detail) -> Logged:
        self.call("decide")
        said = json.loads(statement.payload)
        request = said["predicate"]["request"]
        before = self.decisions.get(request)
        if before is not None and before.digest != statement.digest:
            raise ConflictError("this request was answered before")
        self.decisions[request] = statement
        if headers:
            self.headers[request] = dict(headers)
        if not self.append_decision(statement):
            return Logged(digest=statement.digest, log_index=len(self.entries))  # a lie
        return self.enter_decision(statement)

    def enter_decision(self, statement: Envelope) -> Logged:
        said = json.loads(statement.payload)
        request = said["predicate"]["request"]
        lease = said["predicateType"].endswith("lease/v1")
        refs = {"request": request, "statement": statement.digest}
        if not lease:
            return self.put(EntryKind.LEASE_REFUSED, statement, **refs)
        opened = [json.loads(self.statements[one["item"]].payload) for one in said["predicate"]["items"]]
        owners = {one["predicate"].get("owner", "") for one in opened}
        refs |= {"grants": tuple(said["predicate"]["grants"])}
        refs |= {"datasets": tuple(sorted(owner for owner in owners if owner.startswith("d-")))}
        return self.put(EntryKind.LEASE_RELEASED, statement, **(refs | self.release_refs))

    def asking(self, request: str) -> None:
        self.call("asking")
        self.asked.append(request)

    def cosign(self, note: str) -> None:
        self.call("cosign")
        self.cosigned.append(note)

    def certify(self, certificate: Envelope) -> Logged:
        self.call("certify")
        self.certificates.append(certificate)
        said = json.loads(certificate.payload)["predicate"]
        refs = {"dataset": said["dataset"], "erasure": said["erasure"], "certificate": certificate.digest}
        return self.put(EntryKind.DATASET_ERASED, certificate, **refs)

    # Log

    def checkpoint(self) -> str:
        self.call("checkpoint")
        return self.head()

    def since(self, size: int, *, statements: bool = False) -> News:
        self.call("since")
        few = size < len(self.entries) <= size + TILE_WIDTH
        fresh = self.entries[size:] if few else []
        named = [
            self.statements[digest] for digest in self.statements if any(digest.encode() in one for one in fresh)
        ]
        return News(self.head(), fresh, [one.to_json() for one in named] if statements else [])

    def head(self) -> str:
        head = TreeHead(log_origin(self.tenant), len(self.entries), self.root())
        return sign_tree_head(head, head.origin, self.log_key)

    def root(self) -> bytes:
        return root_of(leaf_hash(data) for data in self.entries)

    def tile(self, path: str) -> bytes:
        self.call("tile")
        tile = Tile.from_path(path)
        start = tile.index * TILE_WIDTH
        if tile.level < 0:
            found = self.entries[start : start + tile.width]
            if len(found) < tile.width:
                raise NotFoundError(f"no tile {path}")
            return encode_bundle(found)
        step = 1 << TILE_HEIGHT * tile.level
        leaves = [leaf_hash(data) for data in self.entries]
        nodes = [root_of(leaves[at : at + step]) for at in range(0, len(leaves) - step + 1, step)]
        return encode_tile(nodes[start : start + tile.width])

    # Objects

    def fetch(self, digest: str, limit: int) -> bytes:
        self.call("fetch")
        if digest not in self.objects:
            raise NotFoundError("there is no such object")
        return super().fetch(digest, limit)

    # Runs

    def log(self, attempt: str, *, after: int, rank: int = 0) -> StreamView:
        self.call("log")
        assert after > 0, "segments are of no use to a keyholder"
        if attempt not in self.log_headers:
            raise NotFoundError("there is no such attempt")
        return StreamView(stream="", header=self.log_headers[attempt], segments=[], ended=False)

    # Datasets and tenants

    def statement(self, digest: str) -> Envelope:
        self.call("statement")
        if digest not in self.statements:
            raise NotFoundError(f"there is no statement {digest}")
        return self.statements[digest]

    def grant(self, envelope: Envelope, _detail) -> Logged:
        self.call("grant")
        said = json.loads(envelope.payload)["predicate"]
        refs = {"grant": said["grant"], "dataset": said["dataset"], "statement": envelope.digest}
        return self.put(EntryKind.GRANT_GIVEN, envelope, **refs)

    def revoke(self, envelope: Envelope) -> Logged:
        self.call("revoke")
        said = json.loads(envelope.payload)["predicate"]
        return self.put(EntryKind.GRANT_REVOKED, envelope, grant=said["grant"], statement=envelope.digest)

    def erase(self, envelope: Envelope) -> Logged:
        self.call("erase")
        said = json.loads(envelope.payload)["predicate"]
        return self.put(EntryKind.ERASURE_DECIDED, envelope, dataset=said["dataset"], statement=envelope.digest)

    def remove(self, envelope: Envelope) -> Logged:
        self.call("remove")
        said = json.loads(envelope.payload)["predicate"]
        return self.put(EntryKind.MEMBER_REMOVED, envelope, member=said["member"], statement=envelope.digest)

    def publish_recipients(self, envelope: Envelope) -> Logged:
        self.call("publish_recipients")
        self.recipient_list = envelope
        sequence = json.loads(envelope.payload)["predicate"]["sequence"]
        return self.put(EntryKind.RECIPIENTS_PUBLISHED, envelope, statement=envelope.digest, sequence=sequence)

    def set_attestation(self, envelope: Envelope) -> Logged:
        self.call("set_attestation")
        sequence = json.loads(envelope.payload)["predicate"]["sequence"]
        return self.put(EntryKind.ATTESTATION_SET, envelope, statement=envelope.digest, sequence=sequence)

    def recipients(self) -> Envelope:
        self.call("recipients")
        if self.recipient_list is None:
            raise NotFoundError("no list")
        return self.recipient_list

    def keyholder(self) -> Envelope:
        self.call("keyholder")
        assert self.keyholder_statement is not None
        return self.keyholder_statement

    def replace_keyholder(self, envelope: Envelope) -> Logged:
        self.call("replace_keyholder")
        self.keyholder_statement = envelope
        return self.put(EntryKind.KEYHOLDER_RESTORED, envelope, statement=envelope.digest)

    # Lies

    def forge(self, index: int, **refs) -> None:
        """Exchange an entry for another one."""
        entry = Entry.from_bytes(self.entries[index])
        self.entries[index] = Entry(entry.kind, entry.time, new_entry_id(), {**entry.refs, **refs}).to_bytes()

    def corrupt_signature(self, digest: str) -> None:
        """Hand out a statement with the right payload and a wrong signature."""
        body = json.loads(self.statements[digest].to_json())
        for signature in body["signatures"]:
            signature["sig"] = base64.b64encode(secrets.token_bytes(64)).decode()
        self.statements[digest] = Envelope.from_json(json.dumps(body))
