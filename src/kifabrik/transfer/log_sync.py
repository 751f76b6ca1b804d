"""Keeping a full copy of the tenant's log up to date with what the factory shows."""

from collections.abc import Sequence

from kifabrik.client.logs import Log, News
from kifabrik.ledger.checkpoint import TreeHead, verify_tree_head
from kifabrik.ledger.mirror import Mirror
from kifabrik.ledger.notes import NoteVerifier
from kifabrik.ledger.tiles import TileReader


def catch_up(log: Log, mirror: Mirror, key: NoteVerifier) -> TreeHead:
    """Take over every entry up to the newest tree head, recomputing the root.

    Args:
        log: The factory's log.
        mirror: Our copy; unchanged if anything is wrong.
        key: The log's key, pinned at sign-up.

    Raises:
        IntegrityError: The head is not the log's, or the log was rolled back, forked or is incomplete.
        UnavailableError: The factory cannot be reached.
    """
    news = log.since(mirror.size)
    head = verify_tree_head(news.checkpoint, key)
    mirror.extend(entries_of(news, log, mirror.size, head), head, checkpoint=news.checkpoint)
    return head


def entries_of(news: News, log: Log, size: int, head: TreeHead) -> Sequence[bytes]:
    """Return the entries from `size` up to a head; read as tiles where the news did not bring them.

    Raises:
        IntegrityError: A tile is malformed.
        NotFoundError: A tile is missing.
        UnavailableError: The factory cannot be reached.
    """
    if head.size <= size or size + len(news.entries) == head.size:
        return news.entries
    return TileReader(log.tile, head.size).entries(size, head.size)
