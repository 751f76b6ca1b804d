"""The full mirror of the log, in the same file as what was learnt from it."""

from collections.abc import Iterator, Sequence
from typing import Final

from kifabrik.keyholder.database import Database
from kifabrik.keyholder.settings import Setting, Settings
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.mirror_store import MirrorState

_CHUNK: Final = 4096


class MirrorRows:
    """A `kifabrik.ledger.mirror_store.MirrorStore` over the keyholder's database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._settings = Settings(db)
        head = self._settings.find(Setting.MIRROR_HEAD)
        self._state: MirrorState | None = None
        if head is not None:
            checkpoint = self._settings.get(Setting.MIRROR_CHECKPOINT)
            self._state = MirrorState(TreeHead.parse(head), checkpoint)

    @property
    def state(self) -> MirrorState | None:
        """The last saved state; None in a new store."""
        return self._state

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return entries `[start, end)`."""
        rows = self._db.rows(
            "SELECT data FROM mirror_entries WHERE number >= ? AND number < ? ORDER BY number", (start, end)
        )
        return [row["data"] for row in rows]

    def all_entries(self) -> Iterator[bytes]:
        """Yield every entry the state counts."""
        size = self._state.head.size if self._state else 0
        for start in range(0, size, _CHUNK):
            yield from self.entries(start, min(start + _CHUNK, size))

    def save(self, new_entries: Sequence[bytes], state: MirrorState) -> None:
        """Append entries and replace the state; durable when this returns."""
        first = state.head.size - len(new_entries)
        with self._db.transaction():
            self._db.insert_many("INSERT INTO mirror_entries VALUES (?, ?)", list(enumerate(new_entries, first)))
            self._settings.set(Setting.MIRROR_HEAD, state.head.to_note_text())
            self._settings.set(Setting.MIRROR_CHECKPOINT, state.checkpoint)
        self._state = state
