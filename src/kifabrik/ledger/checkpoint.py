"""Tree heads, written and signed as c2sp.org/tlog-checkpoint, cosigned after c2sp.org/tlog-cosignature.

Invariants:
- a head has three lines and nothing else: extension lines, which nobody could audit, are refused;
- a head is believed only under the key that is named after its origin;
- whoever cosigns has checked that this head extends every head it has cosigned before.
"""

import base64
import re
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.merkle import EMPTY_ROOT, HASH_BYTES, MOST_ENTRIES
from kifabrik.ledger.notes import Note, NoteVerifier, SignatureType, decode_base64
from kifabrik.signatures.keys import SigningKey, VerifyKey

_LINES: Final = 3
_ORIGIN: Final = re.compile(r"[^\x00-\x1f\ud800-\udfff]{1,255}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class TreeHead:
    """The state of a log: everything before it is fixed by it.

    Args:
        origin: Name of the log.
        size: Number of entries.
        root: 32-byte root hash over them.

    Raises:
        IntegrityError: The fields cannot be a tree head.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if _ORIGIN.fullmatch(self.origin) is None:
            raise IntegrityError(f"not the origin of a log: {self.origin[:100]!r}")
        if not 0 <= self.size <= MOST_ENTRIES or len(self.root) != HASH_BYTES:
            raise IntegrityError(f"not a tree head: {self.size} entries, root of {len(self.root)} bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise IntegrityError("the head of an empty log has another root than the empty one")

    def to_note_text(self) -> str:
        """Write the three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "TreeHead":
        """Read the text of a note, without its signatures.

        Raises:
            IntegrityError: The text is not a tree head.
        """
        lines = text.split("\n")
        if len(lines) != _LINES + 1 or lines.pop():
            raise IntegrityError("not a tree head: it does not have three lines")
        root = decode_base64(lines[2])
        if _SIZE.fullmatch(lines[1]) is None or root is None:
            raise IntegrityError(f"not a tree head: size {lines[1][:40]!r}, root {lines[2][:80]!r}")
        return cls(lines[0], int(lines[1]), root)


def log_origin(tenant_id: str) -> str:
    """Return the origin, and the name of the log key, of a tenant's log."""
    return f"kifabrik.org/log/{tenant_id}"


def witness_name(tenant_id: str) -> str:
    """Return the key name under which a tenant's keyholder cosigns."""
    return f"kifabrik.org/witness/{tenant_id}"


def log_verifier(tenant_id: str, key: VerifyKey) -> NoteVerifier:
    """Return the verifier of a tenant's log."""
    return NoteVerifier(log_origin(tenant_id), key)


def witness_verifier(tenant_id: str, key: VerifyKey) -> NoteVerifier:
    """Return the verifier of a tenant's witness."""
    return NoteVerifier(witness_name(tenant_id), key, SignatureType.COSIGNATURE_V1)


def sign_tree_head(head: TreeHead, name: str, key: SigningKey) -> str:
    """Return the checkpoint (a signed note) of a head.

    Args:
        head: The head.
        name: Key name; must be the origin, or nobody will believe it.
        key: The log key.

    Raises:
        UsageError: The name is not the origin.
    """
    if name != head.origin:
        raise UsageError(f"the log key of {head.origin} cannot be called {name}")
    return Note(head.to_note_text()).signed(name, key).to_text()


def verify_tree_head(checkpoint: str, log: NoteVerifier) -> TreeHead:
    """Return the head of a checkpoint that this log has signed.

    Raises:
        IntegrityError: Not a checkpoint, not signed by the log, or of another origin.
    """
    note = Note.parse(checkpoint)
    note.verify((log,))
    head = TreeHead.parse(note.text)
    if head.origin != log.name:
        raise IntegrityError(f"the tree head is of {head.origin}, not of {log.name}")
    return head


def cosign(checkpoint: str, name: str, key: SigningKey, timestamp: int) -> str:
    """Return the checkpoint with a cosignature; an earlier one by the same key is replaced.

    The caller states with it that the head extends all it has cosigned before: check that first.

    Args:
        checkpoint: A checkpoint whose log signature has been verified.
        name: Key name of the witness.
        key: The witness key.
        timestamp: POSIX time in seconds.

    Raises:
        IntegrityError: Not a checkpoint.
        UsageError: The name or the time is not allowed.
    """
    note = Note.parse(checkpoint)
    TreeHead.parse(note.text)
    return note.signed(name, key, timestamp).to_text()


def verify_cosignature(checkpoint: str, witness: NoteVerifier) -> int:
    """Return the POSIX time at which this witness cosigned the checkpoint.

    Raises:
        IntegrityError: Not a checkpoint, or not cosigned by the witness.
        UsageError: The verifier is not one of cosignatures.
    """
    if witness.type is not SignatureType.COSIGNATURE_V1:
        raise UsageError(f"{witness.name} is not a witness key")
    note = Note.parse(checkpoint)
    TreeHead.parse(note.text)
    timestamp = note.verify((witness,))[witness]
    assert timestamp is not None  # noqa: S101 - cosignatures always carry one
    return timestamp
