"""Keeping a full copy of the tenant's log up to date with what the factory shows."""

from kifabrik.client.logs import Log
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
    checkpoint = log.checkpoint()
    head = verify_tree_head(checkpoint, key)
    fresh = TileReader(log.tile, head.size).entries(mirror.size, head.size) if head.size > mirror.size else []
    mirror.extend(fresh, head)
    mirror.keep(checkpoint)
    return head
