"""Requests for keys, their answers, and the keyholder's mailbox."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from kifabrik.wire.body import Binary, Body, Detail, NodesText, Number, Sha256, Text


class RequestState(StrEnum):
    """Where a request for keys stands."""

    PENDING = "pending"
    ASKED = "asked"
    """A person at the keyholder must decide."""
    RELEASED = "released"
    REFUSED = "refused"


class KeysWanted(Body):
    """A signed request for keys; one of an attempt carries the signature of every node."""

    statement: NodesText


class LeaseView(Body):
    """The answer to a request for keys, as far as there is one."""

    request: Sha256
    state: RequestState
    keyholder_seen: str = ""
    """When the keyholder last called, or empty."""
    decision: str = ""
    headers: dict[Sha256, Binary] = Field(default_factory=dict)


class MailKind(StrEnum):
    """What the keyholder is told. Mail only wakes it: what counts is what stands in the log."""

    REQUEST = "request"
    ERASURE = "erasure"
    STATEMENT = "statement"


class Mail(Body):
    """One message; `digest` names the statement it is about."""

    number: Number
    kind: MailKind
    digest: Sha256


class Decision(Body):
    """The keyholder's signed answer: a lease with its new headers, or a refusal."""

    statement: Text
    headers: dict[Sha256, Binary] = Field(default_factory=dict)
    detail: Detail | None = None


class Cosignature(Body):
    """A tree head cosigned by the keyholder's witness key (signed-note text)."""

    note: Annotated[str, Field(max_length=10_000)]


class Asking(Body):
    """The keyholder says that a person must decide."""

    request: Sha256
