"""in-toto Statement v1 (github.com/in-toto/attestation, spec/v1/statement.md), one predicate class a kind.

A predicate class is a frozen dataclass decorated with `predicate(name)`; the name becomes its
predicate type. Statements are written in canonical JSON, so equal statements have equal digests.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.signatures.canonical import from_canonical, to_canonical
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.values import parse_time

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_ROOT: Final = "https://kifabrik.org/"

_FIELDS: Final = frozenset({"_type", "subject", "predicateType", "predicate"})
_SUBJECT_FIELDS: Final = frozenset({"name", "digest"})
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

P = TypeVar("P")


def predicate(name: str) -> Callable[[type[P]], type[P]]:
    """Mark a frozen dataclass as the predicate `https://kifabrik.org/<name>`, or of a full URI."""

    def mark(cls: type[P]) -> type[P]:
        cls.__predicate_type__ = name if "://" in name else PREDICATE_ROOT + name  # type: ignore[attr-defined]
        cls.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
        return cls

    return mark


_adapters: dict[type, TypeAdapter[Any]] = {}


def _adapter(cls: type) -> TypeAdapter[Any]:
    if cls not in _adapters:
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def prepare_kinds(kinds: Iterable[type]) -> None:
    """Make the parsers of predicate classes now, which else happens at the first statement of each kind."""
    for cls in kinds:
        _adapter(cls)


@dataclass(frozen=True)
class Statement(Generic[P]):
    """A verified statement: what was said, who said it, and the digest others name it by."""

    predicate: P
    subjects: Mapping[str, str]
    signer: VerifyKey
    digest: str


def sign_statement(said: Any, subjects: Mapping[str, str], *keys: SigningKey) -> Envelope:
    """Sign a predicate about `subjects`, a mapping of name to SHA-256 hex digest."""
    body = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())],
        "predicateType": said.__predicate_type__,
        "predicate": _adapter(type(said)).dump_python(said, mode="json", by_alias=True),
    }
    return Envelope.sign(to_canonical(body), *keys)


def verify_statement(envelope: Envelope, cls: type[P], trusted: Iterable[VerifyKey]) -> Statement[P]:
    """Verify an envelope and parse its predicate.

    Raises:
        IntegrityError: Not signed by a trusted key, of another kind, or not well formed.
    """
    signer = envelope.verify(trusted)
    said, subjects = read_unverified(envelope, cls)
    return Statement(said, subjects, signer, envelope.digest)


def read_unverified(envelope: Envelope, cls: type[P]) -> tuple[P, Mapping[str, str]]:
    """Parse without looking at signatures: for routing and display, never for a decision.

    Raises:
        IntegrityError: Of another kind, or not well formed.
    """
    body = from_canonical(envelope.payload)
    kind: str = cls.__predicate_type__  # type: ignore[attr-defined]
    try:
        if body["_type"] != STATEMENT_TYPE or body["predicateType"] != kind:
            raise IntegrityError(f"not a statement of kind {kind}")
        if set(body) != _FIELDS:
            raise IntegrityError(f"a statement of kind {kind} has a field that is not known")
        return _adapter(cls).validate_json(to_canonical(body["predicate"]), strict=True), _subjects(body)
    except (KeyError, TypeError, AttributeError, ValidationError, UsageError):
        raise IntegrityError(f"malformed statement of kind {kind}") from None


def key_named(text: str) -> VerifyKey:
    """Return a key that a statement names.

    Raises:
        IntegrityError: The statement names something else than a key.
    """
    try:
        return VerifyKey.from_hex(text)
    except UsageError as error:
        raise IntegrityError(f"a statement names what is {error.message}") from None


def time_named(text: str) -> datetime:
    """Return a time that a statement names.

    Raises:
        IntegrityError: The statement names something else than a time.
    """
    try:
        return parse_time(text)
    except UsageError as error:
        raise IntegrityError(f"a statement names what is {error.message}") from None


def _subjects(body: Any) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for subject in body["subject"]:
        name, digest = subject["name"], subject["digest"]["sha256"]
        if set(subject) != _SUBJECT_FIELDS or set(subject["digest"]) != {"sha256"}:
            raise IntegrityError("a subject of a statement has a field that is not known")
        if not isinstance(name, str) or name in found or _SHA256.fullmatch(digest) is None:
            raise IntegrityError("a subject of a statement is malformed or stands twice")
        found[name] = digest
    return found
