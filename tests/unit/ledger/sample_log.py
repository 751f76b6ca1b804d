"""A whole log in memory, signed and cosigned, for tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kifabrik.errors import NotFoundError
from kifabrik.ledger.checkpoint import (
    TreeHead,
    cosign,
    log_origin,
    log_verifier,
    sign_tree_head,
    witness_name,
    witness_verifier,
)
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.merkle import CompactTree, leaf_hash
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.tiles import TileReader, tiles_to_write
from kifabrik.signatures.keys import SigningKey

LOG_KEY = SigningKey(bytes(range(32)))
WITNESS_KEY = SigningKey(bytes(range(32, 64)))
TENANT = "t-aaaabbbbccccddddeeeeffff22223333"
ORIGIN = log_origin(TENANT)
COSIGNED_AT = 1_790_000_000


def an_entry(number: int, kind: str = EntryKind.MEMBER_ENROLLED, **refs: str | int | tuple[str, ...]) -> Entry:
    return Entry(kind, "2026-11-23T08:00:00Z", f"{number:032x}", refs or {"member": f"m-{number}"})


def some_entries(count: int) -> list[bytes]:
    first = [an_entry(0, EntryKind.TENANT_CREATED, tenant=TENANT)]
    return [entry.to_bytes() for entry in [*first, *map(an_entry, range(1, count))][:count]]


def head_of(entries: Sequence[bytes], origin: str = ORIGIN) -> TreeHead:
    tree = CompactTree()
    tree.extend(map(leaf_hash, entries))
    return TreeHead(origin, tree.size, tree.root())


def checkpoint_of(head: TreeHead) -> str:
    signed = sign_tree_head(head, head.origin, LOG_KEY)
    return cosign(signed, witness_name(TENANT), WITNESS_KEY, COSIGNED_AT)


@dataclass
class SampleLog:
    """Tiles and bundles by path, as an appender leaves them."""

    entries: list[bytes] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    tree: CompactTree = field(default_factory=CompactTree)

    @classmethod
    def of(cls, entries: Sequence[bytes]) -> "SampleLog":
        log = cls()
        log.append(entries)
        return log

    def append(self, entries: Sequence[bytes]) -> None:
        self.files |= tiles_to_write(self.tree, entries, self.read)
        self.tree.extend(map(leaf_hash, entries))
        self.entries += entries

    def read(self, path: str) -> bytes:
        try:
            return self.files[path]
        except KeyError:
            raise NotFoundError(f"{path} is missing") from None

    @property
    def reader(self) -> TileReader:
        return TileReader(self.read, self.tree.size)

    @property
    def head(self) -> TreeHead:
        return TreeHead(ORIGIN, self.tree.size, self.tree.root())

    @property
    def checkpoint(self) -> str:
        return checkpoint_of(self.head)


def the_policy() -> Policy:
    return Policy.of(log_verifier(TENANT, LOG_KEY.public), witness_verifier(TENANT, WITNESS_KEY.public))
