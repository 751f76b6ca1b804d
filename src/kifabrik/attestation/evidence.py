"""The envelope all kinds of evidence come in, and the one-method interface of whoever checks one kind.

    {"head": "<cosigned tree head>", "items": [{"type": "tpm2-quote/v1", …}, …]}

in canonical JSON. All items of one node are made over the same binding.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from kifabrik.attestation.policy import AttestationPolicy
from kifabrik.errors import IntegrityError
from kifabrik.signatures.canonical import from_canonical, to_canonical

MOST_EVIDENCE: Final = 64 * 1024
"""Characters; a TPM quote with all registers has about 3,000, an SEV-SNP report with its chain about 12,000."""
_MOST_ITEMS: Final = 16


class Doubt(StrEnum):
    """Why evidence is not believed; the values are reason words of refusals."""

    NOT_ATTESTED = "not-attested"
    STALE = "stale-quote"
    FOREIGN = "foreign-quote"
    WRONG_STATE = "wrong-pcrs"


class EvidenceError(IntegrityError):
    """Evidence is not believed.

    Args:
        doubt: Why, in a word.
        message: Why, in a sentence without names.
    """

    def __init__(self, doubt: Doubt, message: str) -> None:
        super().__init__(message)
        self.doubt = doubt


@dataclass(frozen=True)
class Expected:
    """What evidence must be about.

    Args:
        node_key: Of the node, in hex.
        binding: 32 bytes the hardware must have signed.
        policy: What the tenant accepts.
        when: When it was made, for the validity of certificates.
    """

    node_key: str
    binding: bytes
    policy: AttestationPolicy
    when: datetime


@dataclass(frozen=True)
class Facts:
    """What one item of evidence has proven.

    Args:
        type: Kind of evidence.
        key: What identifies the hardware: the name of the TPM's attestation key, the id of the chip; hex.
        state: The policy's name of what was measured.
    """

    type: str
    key: str
    state: str


class Verifier(Protocol):
    """Checks one kind of evidence."""

    def verify(self, evidence: Mapping[str, Any], expected: Expected) -> Facts:
        """Return what the evidence proves.

        Args:
            evidence: One item; all its values are foreign.
            expected: What it must be about.

        Raises:
            IntegrityError: It proves nothing; an `EvidenceError` says why in a word.
        """
        ...


@dataclass(frozen=True)
class Evidence:
    """What a node shows.

    Args:
        head: The cosigned tree head it was made over, as note text.
        items: One mapping for each kind, with its `type`.
    """

    head: str
    items: tuple[Mapping[str, Any], ...]

    def to_text(self) -> str:
        """Write it in canonical JSON."""
        return to_canonical({"head": self.head, "items": [dict(item) for item in self.items]}).decode()

    @classmethod
    def from_text(cls, text: str) -> "Evidence":
        """Read it.

        Raises:
            EvidenceError: There is none, or it does not have this form.
        """
        if not text:
            raise EvidenceError(Doubt.NOT_ATTESTED, "The node shows no evidence of its hardware.")
        try:
            body = from_canonical(text.encode()) if len(text) <= MOST_EVIDENCE else None
        except (IntegrityError, UnicodeEncodeError):
            body = None
        if not isinstance(body, dict) or body.keys() != {"head", "items"} or not isinstance(body["head"], str):
            raise EvidenceError(Doubt.NOT_ATTESTED, "The node's evidence does not have the form of evidence.")
        items = body["items"]
        if not isinstance(items, list) or not 1 <= len(items) <= _MOST_ITEMS or not all(map(_is_item, items)):
            raise EvidenceError(Doubt.NOT_ATTESTED, "The node's evidence does not have the form of evidence.")
        return cls(body["head"], tuple(items))


def _is_item(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("type"), str)


def bytes_in(item: Mapping[str, Any], key: str) -> bytes:
    """Return bytes an item holds in base64.

    Raises:
        IntegrityError: There are none.
    """
    return _decoded(item.get(key), key)


def bytes_list_in(item: Mapping[str, Any], key: str, count: int) -> list[bytes]:
    """Return `count` byte strings an item holds in base64.

    Raises:
        IntegrityError: There are others.
    """
    found = item.get(key)
    if not isinstance(found, list) or len(found) != count:
        raise IntegrityError(f"the evidence does not have {count} parts of {key}")
    return [_decoded(text, key) for text in found]


def _decoded(text: object, key: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True) if isinstance(text, str) else b""
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    if not raw:
        raise IntegrityError(f"the evidence has no {key}")
    return raw


def check_fields(item: Mapping[str, Any], fields: frozenset[str]) -> None:
    """Check that an item has these fields and no other.

    Raises:
        IntegrityError: It has not.
    """
    if item.keys() != fields:
        raise IntegrityError("the evidence does not have the fields of its kind")
