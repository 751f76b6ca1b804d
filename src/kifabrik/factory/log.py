"""Every tenant's transparency log: entries, heads and cosigned heads, served as tiles.

An entry, the grown tree and its signed head are written in the transaction of the change they record:
there is no moment at which one exists without the other, and nothing to publish afterwards. Tiles are
a view of the entries (docs/adr/0007-factory-storage.md).

Invariants:
- an entry's index is the number of entries before it, and no index is ever used twice;
- the log key signs a head only over entries that the same commit makes durable;
- a head is kept as cosigned only if both the log and the tenant's present witness have signed it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from kifabrik.factory.hints import Hints
from kifabrik.factory.ports import Clock, LogKeys, Store, Transaction
from kifabrik.factory.records import LogState, SealedDetail
from kifabrik.ledger.checkpoint import (
    TreeHead,
    log_origin,
    log_verifier,
    sign_tree_head,
    verify_cosignature,
    verify_tree_head,
    witness_verifier,
)
from kifabrik.ledger.entry import Entry, EntryKind, RefValue, new_entry_id
from kifabrik.ledger.merkle import CompactTree, leaf_hash, root_of
from kifabrik.ledger.notes import NoteVerifier
from kifabrik.ledger.tiles import ENTRIES, TILE_HEIGHT, TILE_WIDTH, Tile, encode_bundle, encode_tile
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import read_unverified
from kifabrik.tenants.statements import KeyholderStatement
from kifabrik.values import format_time

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOST_DETAIL_BYTES: Final = 256 * 1024


@dataclass(frozen=True)
class News:
    """What a log has beyond what somebody knows.

    Args:
        checkpoint: Its newest signed head.
        entries: The entries up to it; none if they are too many.
        statements: What they name, as DSSE JSON.
    """

    checkpoint: str
    entries: tuple[bytes, ...]
    statements: tuple[str, ...]


class Log:
    """Appends to, signs and serves the logs.

    Args:
        store: Opens transactions.
        keys: The logs' signing keys.
        hints: Wakes whoever waits for what was appended.
        clock: Time of entries.
    """

    def __init__(self, store: Store, keys: LogKeys, hints: Hints, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self.hints = hints
        self.clock = clock

    def now(self) -> str:
        """The present moment as rows and entries hold it."""
        return format_time(self.clock())

    def create(self, transaction: Transaction, tenant: str) -> str:
        """Open the log of a new tenant and return its verifier key (vkey)."""
        key = self._keys.create(tenant)
        vkey = log_verifier(tenant, key.public).vkey
        tree = CompactTree()
        transaction.logs.create(LogState(tenant, vkey, tree, self._sign(tenant, tree)))
        return vkey

    def append(
        self,
        transaction: Transaction,
        tenant: str,
        kind: EntryKind,
        refs: Mapping[str, RefValue],
        detail: SealedDetail | None = None,
    ) -> int:
        """Append one entry within `transaction` and return its index.

        Raises:
            NotFoundError: There is no such tenant.
            UsageError: The references or the detail are not allowed in a log.
        """
        state = _state(transaction, tenant)
        if detail is not None:
            _check_detail(detail)
            transaction.logs.add_detail(tenant, detail.sha256, detail.sealed)
        entry = Entry(kind, self.now(), new_entry_id(), refs, detail.sha256 if detail else "")
        data = entry.to_bytes()
        index, tree = state.tree.size, state.tree.copy()
        leaf = leaf_hash(data)
        tree.append(leaf)
        transaction.logs.add_entry(tenant, index, str(kind), data, leaf)
        _complete_tiles(transaction, tenant, tree.size)
        grown = LogState(tenant, state.vkey, tree, self._sign(tenant, tree))
        if not transaction.logs.advance(index, grown):
            raise ConflictError("somebody else has just written to this log", hint="Try again.")
        return index

    def checkpoint(self, tenant: str) -> str:
        """Return the newest signed head, with its cosignature where there is one.

        Raises:
            NotFoundError: There is no such tenant.
        """
        with self._store.read() as transaction:
            return _head_of(_state(transaction, tenant))

    def since(self, tenant: str, size: int, *, statements: bool) -> News:
        """Return the newest signed head and the entries from `size` on, if they are no more than a bundle.

        Args:
            tenant: Tenant id.
            size: Number of entries the caller has.
            statements: Whether to return the statements these entries name, too.

        Raises:
            NotFoundError: There is no such tenant.
        """
        with self._store.read() as transaction:
            state = _state(transaction, tenant)
            few = size < state.tree.size <= size + TILE_WIDTH
            entries = transaction.logs.entries(tenant, size, state.tree.size) if few else []
            named = transaction.statements.texts(tenant, _digests(entries)) if statements else []
        return News(_head_of(state), tuple(entries), tuple(named))

    def cosigned(self, tenant: str) -> str:
        """Return the newest head the keyholder has cosigned.

        Raises:
            NotFoundError: There is none yet.
        """
        with self._store.read() as transaction:
            state = _state(transaction, tenant)
        if not state.cosigned:
            raise NotFoundError("the keyholder has not cosigned this log yet", hint="Is it running?")
        return state.cosigned

    def vkey(self, tenant: str) -> str:
        """Return the log's verifier key.

        Raises:
            NotFoundError: There is no such tenant.
        """
        with self._store.read() as transaction:
            return _state(transaction, tenant).vkey

    def tile(self, tenant: str, path: str) -> bytes:
        """Return a tile or entry bundle by its tlog-tiles path.

        Raises:
            NotFoundError: The log has no such tile, or not yet that wide.
        """
        try:
            tile = Tile.from_path(path)
        except UsageError as error:
            raise NotFoundError(error.message) from None
        start = tile.index * TILE_WIDTH
        with self._store.read() as transaction:
            if tile.level == ENTRIES:
                found = transaction.logs.entries(tenant, start, start + tile.width)
            elif tile.level == 0:
                found = transaction.logs.leaves(tenant, start, start + tile.width)
            else:
                found = transaction.logs.nodes(tenant, tile.level, start, start + tile.width)
        if len(found) < tile.width:
            raise NotFoundError(f"the log has no tile {tile.path}")
        return encode_bundle(found) if tile.level == ENTRIES else encode_tile(found)

    def detail(self, tenant: str, sha256: str) -> bytes:
        """Return the sealed names of an entry.

        Raises:
            NotFoundError: There are none, or they were deleted.
        """
        with self._store.read() as transaction:
            sealed = transaction.logs.detail(tenant, sha256)
        if sealed is None:
            raise NotFoundError("there is no such detail, or it was deleted")
        return sealed

    def cosign(self, tenant: str, note: str) -> None:
        """Keep a head that the tenant's witness has cosigned; an older one than is kept changes nothing.

        Raises:
            IntegrityError: Not a head of this log, or not cosigned by the present witness.
        """
        with self._store.write(tenant) as transaction:
            state = _state(transaction, tenant)
            head = verify_tree_head(note, NoteVerifier.from_vkey(state.vkey))
            if head.size > state.tree.size:
                raise IntegrityError(f"the log has {state.tree.size} entries, not {head.size}")
            verify_cosignature(note, witness_verifier(tenant, _witness(transaction, tenant)))
            transaction.logs.set_cosigned(tenant, head.size, note)

    def _sign(self, tenant: str, tree: CompactTree) -> str:
        head = TreeHead(log_origin(tenant), tree.size, tree.root())
        return sign_tree_head(head, log_origin(tenant), self._keys.get(tenant))


def _state(transaction: Transaction, tenant: str) -> LogState:
    state = transaction.logs.state(tenant)
    if state is None:
        raise NotFoundError("there is no such tenant")
    return state


def _witness(transaction: Transaction, tenant: str) -> VerifyKey:
    account = transaction.accounts.tenant(tenant)
    statement = transaction.statements.get(tenant, account.keyholder) if account else None
    if statement is None:
        raise NotFoundError("there is no such tenant")
    return VerifyKey.from_hex(read_unverified(statement, KeyholderStatement)[0].witness_key)


def _check_detail(detail: SealedDetail) -> None:
    if len(detail.sealed) > _MOST_DETAIL_BYTES:
        raise UsageError(f"the names of a log entry take {len(detail.sealed)} bytes, at most {_MOST_DETAIL_BYTES}")


def _complete_tiles(transaction: Transaction, tenant: str, size: int) -> None:
    """Keep the root of each tile that the entry before `size` has filled: one node of the tile level above."""
    level, count = 0, size
    while count % TILE_WIDTH == 0 and count:
        start = count - TILE_WIDTH
        logs = transaction.logs
        row = logs.nodes(tenant, level, start, count) if level else logs.leaves(tenant, start, count)
        level, count = level + 1, count >> TILE_HEIGHT
        transaction.logs.add_node(tenant, level, count - 1, root_of(row))


def _head_of(state: LogState) -> str:
    """The newest signed head, with its cosignature where there is one."""
    return state.cosigned if state.cosigned_size == state.tree.size else state.head


def _digests(entries: Iterable[bytes]) -> set[str]:
    """Whatever in the references of entries may be the digest of a statement."""
    values = [value for data in entries for value in Entry.from_bytes(data).refs.values()]
    texts = [text for value in values for text in (value if isinstance(value, tuple) else (value,))]
    return {text for text in texts if isinstance(text, str) and _DIGEST.fullmatch(text)}
