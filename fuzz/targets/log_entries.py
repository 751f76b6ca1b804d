"""Entries of the transparency log, and the rules about what may follow what."""

from collections.abc import Iterator

from fuzz.material import DIGEST, TIME
from fuzz.target import Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.rules import History
from kifabrik.signatures.canonical import from_canonical


def one(data: bytes) -> None:
    """Read an entry; it has one form, which is canonical JSON, and the rules know what to say."""
    entry = Entry.from_bytes(data)
    agree(entry.to_bytes(), data, "an entry read and written")
    agree(set(from_canonical(data)), {"kind", "time", "id", "refs", "detail"}, "fields")
    history = History()
    for other in _BEFORE:
        history.violation(other)
    history.violation(entry)


def _entry(kind: str, **refs: str | int | tuple[str, ...]) -> Entry:
    return Entry(kind, TIME, f"{len(kind):032x}", refs, DIGEST)


_BEFORE = tuple(
    _entry(kind, request=DIGEST, dataset="d-a", grant="g-a", run="r-a", datasets=("d-a",), member="m-a")
    for kind in EntryKind
)


def seeds() -> Iterator[bytes]:
    """One of each kind."""
    return (entry.to_bytes() for entry in _BEFORE)


TARGET = Target("log entries", one, (IntegrityError,), seeds, tuple(kind.encode() for kind in EntryKind), json=True)
