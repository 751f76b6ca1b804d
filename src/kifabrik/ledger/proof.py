"""An offline proof that an entry stands in a log: c2sp.org/tlog-proof.

Invariants:
- a proof is believed under a policy only, never under keys it brings along;
- the extra data is not authenticated; it may help to find things and decides nothing.
"""

import base64
import re
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import IntegrityError
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.merkle import (
    HASH_BYTES,
    MOST_ENTRIES,
    HashReader,
    inclusion_proof,
    leaf_hash,
    verify_inclusion,
)
from kifabrik.ledger.notes import MOST_NOTE_BYTES, Note, decode_base64
from kifabrik.ledger.policy import AcceptedHead, Policy

HEADER: Final = "c2sp.org/tlog-proof@v1"
_MOST_HASHES: Final = 63
_EXTRA: Final = "extra "
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class Proof:
    """A proof as it stands in a `.tlog-proof` file; nothing in it is verified.

    Args:
        index: Position of the entry.
        hashes: Audit path, leaf's sibling first.
        checkpoint: The tree head with its signatures, verbatim.
        extra: Opaque bytes; None if there are none.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def to_text(self) -> str:
        """Write the file."""
        extra = [] if self.extra is None else [_EXTRA + base64.b64encode(self.extra).decode()]
        path = [base64.b64encode(value).decode() for value in self.hashes]
        return "\n".join([HEADER, *extra, f"index {self.index}", *path, "", self.checkpoint])

    @classmethod
    def parse(cls, text: str) -> "Proof":
        """Read a file.

        Raises:
            IntegrityError: The text is not a proof.
        """
        if len(text) > 2 * MOST_NOTE_BYTES:
            raise IntegrityError(f"a proof of {len(text)} characters is too large")
        body, _, checkpoint = text.partition("\n\n")
        header, *lines = body.split("\n")
        extra = None
        if lines and lines[0].startswith(_EXTRA):
            extra = decode_base64(lines.pop(0).removeprefix(_EXTRA))
            if extra is None:
                raise IntegrityError("not a log proof: its extra data is not base64")
        index = _INDEX.fullmatch(lines[0]) if lines else None
        if header != HEADER or index is None or int(index[1]) > MOST_ENTRIES:
            raise IntegrityError("not a log proof: its first lines are not header, extra data and index")
        hashes = tuple(decode_base64(line) or b"" for line in lines[1:])
        if len(hashes) > _MOST_HASHES or any(len(value) != HASH_BYTES for value in hashes):
            raise IntegrityError("not a log proof: its path is not of up to 63 SHA-256 hashes")
        return cls(int(index[1]), hashes, checkpoint, extra)


def make_proof(index: int, read: HashReader, checkpoint: str, extra: bytes | None = None) -> Proof:
    """Return the proof of entry `index` under the tree head of a checkpoint.

    Args:
        index: Position of the entry.
        read: Reads the hashes of that tree, such as `TileReader.hash`.
        checkpoint: The tree head with the signatures and cosignatures to hand on.
        extra: Opaque bytes to hand on.

    Raises:
        IntegrityError: The checkpoint is malformed.
        UsageError: The tree does not have such an entry.
    """
    size = TreeHead.parse(Note.parse(checkpoint).text).size
    return Proof(index, inclusion_proof(size, index, read), checkpoint, extra)


def verify_proof(proof: Proof, entry: bytes, policy: Policy) -> AcceptedHead:
    """Check that `entry` stands at `proof.index` of the log that the policy trusts.

    Returns:
        The accepted head the entry is proven under.

    Raises:
        IntegrityError: The policy does not accept the checkpoint, or the path does not lead to its root.
    """
    accepted = policy.accept(proof.checkpoint)
    verify_inclusion(proof.index, accepted.head.size, leaf_hash(entry), proof.hashes, accepted.head.root)
    return accepted
