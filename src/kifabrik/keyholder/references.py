"""Reading the references of log entries (docs/formats/ledger.md lists them by kind)."""

from kifabrik.datasets.manifest import is_digest
from kifabrik.errors import IntegrityError
from kifabrik.ledger.entry import Entry


def digest_in(entry: Entry, name: str) -> str:
    """Return a reference that is a digest.

    Raises:
        IntegrityError: It is missing or something else.
    """
    digest = find_digest(entry, name)
    if not digest:
        raise IntegrityError(f"the entry names no {name}")
    return digest


def find_digest(entry: Entry, name: str) -> str:
    """Return a reference that is a digest; empty if it is missing or something else."""
    value = text_in(entry, name)
    return value if is_digest(value) else ""


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
