"""The full mirror of the tenant's log, kept by the keyholder as its witness.

Invariants:
- a head counts only with the log's own signature, under the key pinned at sign-up;
- the root is recomputed from every entry; a rollback, a fork or a missing entry raises an alarm and is
  never cosigned;
- a head is cosigned only after all its entries are durable here.
"""

from typing import Final

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.keyholder.alarms import alarm
from kifabrik.keyholder.connecting import Factory
from kifabrik.keyholder.events import OnEvent
from kifabrik.keyholder.library import Library
from kifabrik.keyholder.mirror_rows import MirrorRows
from kifabrik.keyholder.outbox import Waiting
from kifabrik.keyholder.references import digest_in
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import State
from kifabrik.ledger.checkpoint import TreeHead, cosign, log_origin, verify_tree_head, witness_name
from kifabrik.ledger.entry import Entry
from kifabrik.ledger.mirror import Mirror
from kifabrik.transfer.log_sync import entries_of

RENEW_S: Final = 180.0
"""A quote counts for ten minutes from the cosignature it is made over (`attestation.verify.FRESH`)."""


class LogWatch:
    """Follows the log.

    Args:
        state: Where the mirror lies.
        factory: Whose log it is.
        library: Gets the statements that come along with new entries.
        say: Told about alarms.
    """

    def __init__(self, state: State, factory: Factory, library: Library, say: OnEvent) -> None:
        self._state = state
        self._factory = factory
        self._library = library
        self._say = say
        self._mirror = Mirror(log_origin(state.tenant), MirrorRows(state.db))
        self._checkpoint = ""
        self._cosigned_size = -1
        self._cosigned_at = 0
        self._synced = ""

    @property
    def head(self) -> TreeHead | None:
        """The newest head the mirror agrees with."""
        return self._mirror.head

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._mirror.size

    @property
    def checkpoint(self) -> str:
        """The signed head that `follow` has taken over last; empty before."""
        return self._checkpoint

    def records(self, one: Waiting) -> bool:
        """Whether the log shows a statement where the factory says it stands."""
        index = one.log_index
        if index is None or not 0 <= index < self.size:
            return False
        try:
            return one.recorded_by(self.entry(index))
        except IntegrityError:
            return False

    def done_with(self, one: Waiting) -> bool:
        """Whether the log shows a statement anywhere, or another of ours that leaves it nothing to say."""
        for data in self._mirror.holding(f'"{one.entry_kind}"'.encode()):
            try:
                entry = Entry.from_bytes(data)
            except IntegrityError:
                continue
            if one.recorded_by(entry) or (entry.kind is one.entry_kind and self._says(entry, one)):
                return True
        return False

    def _says(self, entry: Entry, one: Waiting) -> bool:
        """Whether the statement an entry names is of the tenant key or ours, and says what a waiting one would."""
        keys = (self._state.tenant_key, self._state.keyholder_key.public)
        try:
            envelope = self._library.statement(digest_in(entry, one.reference))
            envelope.verify(keys)
        except (IntegrityError, NotFoundError):
            return False
        return one.said_by(envelope)

    def entries_from(self, start: int) -> list[bytes]:
        """Return the bytes of all entries from `start` on."""
        return self._mirror.entries(min(start, self.size), self.size)

    def entries_between(self, start: int, end: int) -> list[bytes]:
        """Return the bytes of the entries from `start` on, before `end`."""
        return self._mirror.entries(start, end)

    def entry(self, index: int) -> Entry:
        """Return one entry.

        Raises:
            IntegrityError: It is malformed.
        """
        return Entry.from_bytes(self._mirror.entries(index, index + 1)[0])

    def follow(self) -> TreeHead:
        """Take over every new entry, durably.

        Raises:
            IntegrityError: The head is not the log's; or, with an alarm, the log was rolled back or
                forked, or entries are missing.
            UnavailableError: The factory cannot be reached.
        """
        news = self._factory.log.since(self.size, statements=True)
        checkpoint = news.checkpoint
        head = verify_tree_head(checkpoint, self._state.log_key)
        self._checkpoint = checkpoint
        if head == self._mirror.head:
            return head
        try:
            self._mirror.extend(entries_of(news, self._factory.log, self.size, head), head)
        except (IntegrityError, NotFoundError) as error:
            reason = f"the log cannot be trusted: {error.message}"
            raise alarm(self._state, reason, checkpoint.encode(), self._say) from error
        self._library.bring(news.statements)
        return head

    def cosign(self, *, fresh: bool = False) -> None:
        """Cosign the head that `follow` has just taken over and deliver it, unless that was done before.

        Args:
            fresh: Whether to cosign it anew once the last cosignature is some minutes old, because quotes are
                made over it.

        Raises:
            UnavailableError: The factory cannot be reached.
        """
        timestamp = int(self._state.clock.now().timestamp())
        old = fresh and timestamp - self._cosigned_at >= RENEW_S
        if self._mirror.head is None or (self._mirror.size == self._cosigned_size and not old):
            return
        assert self._checkpoint  # noqa: S101 - `follow` has set it together with the head
        name = witness_name(self._state.tenant)
        note = cosign(self._checkpoint, name, self._state.witness_key, timestamp)
        self._mirror.keep(note)
        self._factory.mailbox.cosign(note)
        self._cosigned_size, self._cosigned_at = self._mirror.size, timestamp
        now = self._state.clock.text()
        if now != self._synced:  # to the second, so that many rounds within one do not all wait for the disk
            with self._state.db.transaction():
                self._state.settings.set(Setting.SYNCED, now)
                self._state.clock.keep()
            self._synced = now
