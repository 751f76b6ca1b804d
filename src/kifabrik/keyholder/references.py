"""Reading the references of log entries (docs/formats/ledger.md lists them by kind)."""

from kifabrik.datasets.manifest import is_digest
from kifabrik.errors import IntegrityError
from kifabrik.ledger.entry import Entry


def digest_in(entry: Entry, *names: str) -> str:
    """Return the first of these references that is a digest.

    Raises:
        IntegrityError: None of them is.
    """
    for digest in digests_in(entry, *names):
        return digest
    raise IntegrityError(f"the entry names no {names[0]}")


def digests_in(entry: Entry, *names: str) -> list[str]:
    """Return those of these references that are digests."""
    values = (entry.refs.get(name) for name in names)
    return [value for value in values if isinstance(value, str) and is_digest(value)]


def text_in(entry: Entry, name: str) -> str:
    """Return a reference that is one text; empty if it is missing or something else."""
    value = entry.refs.get(name, "")
    return value if isinstance(value, str) else ""


def texts_in(entry: Entry, name: str) -> tuple[str, ...]:
    """Return a reference that is a list of texts, or one text; empty if it is missing or something else."""
    value = entry.refs.get(name, ())
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, tuple) else ()


def mentions(entry: Entry, digest: str) -> bool:
    """Whether any reference of an entry is this digest."""
    return any(digest == value or (isinstance(value, tuple) and digest in value) for value in entry.refs.values())
