"""Several requests in one body, and several answers out of one: OData's `$batch`, as JSON and as multipart.

Sources: OData JSON Format 4.01, section 19; OData Protocol 4.01 Part 1, section 11.7.7 (multipart); OData 2.0
"Batch Processing". The multipart of answers is read by the standard library's parser of e-mail (RFC 2046).

Invariants:
- what is asked for as one change set is marked so that the service does all of it or nothing;
- an answer is given for each request, in order, or for a change set as a whole the one that says why it failed.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from enum import StrEnum
from typing import Any, Final

from kifabrik.connectors.sap.asking import Answer
from kifabrik.errors import IntegrityError

_GROUP: Final = "changes"
_LINE: Final = "\r\n"
_JSON: Final = "application/json"
_ID: Final = re.compile(r"[1-9][0-9]{0,8}")
"""Of a request: as we numbered them."""
_STATUS: Final = re.compile(rb"[1-5][0-9]{2}")
_EMPTY_LINE: Final = re.compile(rb"\r?\n\r?\n")


class BatchFormat(StrEnum):
    """How a service takes several requests at once."""

    JSON = "json"
    MULTIPART = "multipart"
    NONE = "no"


@dataclass(frozen=True)
class Asking:
    """One of several requests.

    Args:
        method: Of HTTP.
        link: Relative to the service, quoted as in an address.
        headers: Its own.
        body: JSON to send; empty for none.
    """

    method: str
    link: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answered:
    """The answer to one of several requests.

    Args:
        number: Of the request, from 0; -1 if the service does not say which.
        answer: What it said.
    """

    number: int
    answer: Answer


def encode(kind: BatchFormat, asked: Sequence[Asking], *, together: bool) -> tuple[str, bytes]:
    """Return content type and body of a batch.

    Args:
        kind: JSON or multipart.
        asked: Requests; their numbers from 1 are their ids.
        together: Whether they are one change set, done whole or not at all.
    """
    return _ENCODERS[kind](asked, together)


def decode(asked: Sequence[Asking], answer: Answer) -> list[Answered]:
    """Return the answers in a batch's answer, by its own content type.

    Raises:
        IntegrityError: It is none to these requests.
    """
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    reader = {_JSON: _from_json, "multipart/mixed": _from_multipart}.get(kind)
    if reader is None:
        raise IntegrityError(f"the answer to a batch is {kind[:60] or 'of no type'}, which is none")
    found = list(reader(asked, answer))
    if not found:
        raise IntegrityError("the answer to a batch holds no answers")
    return found


def _to_json(asked: Sequence[Asking], together: bool) -> tuple[str, bytes]:
    requests = []
    for number, one in enumerate(asked, 1):
        request: dict[str, Any] = {"id": str(number), "method": one.method, "url": one.link}
        if together:
            request["atomicityGroup"] = _GROUP
        if one.headers:
            request["headers"] = dict(one.headers)
        if one.body:
            request["body"] = json.loads(one.body)
        requests.append(request)
    return _JSON, json.dumps({"requests": requests}, ensure_ascii=False).encode()


def _to_multipart(asked: Sequence[Asking], together: bool) -> tuple[str, bytes]:
    outer, inner = (f"{name}_{secrets.token_hex(12)}" for name in ("batch", "changeset"))
    parts = [_part(one, number if together else 0) for number, one in enumerate(asked, 1)]
    if together:
        head = f"Content-Type: multipart/mixed; boundary={inner}{_LINE}{_LINE}".encode()
        parts = [head + _joined(inner, parts)]
    return f"multipart/mixed; boundary={outer}", _joined(outer, parts)


def _joined(boundary: str, parts: Sequence[bytes]) -> bytes:
    between = f"--{boundary}{_LINE}".encode()
    return b"".join(between + part + _LINE.encode() for part in parts) + f"--{boundary}--{_LINE}".encode()


def _part(one: Asking, number: int) -> bytes:
    head = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if number:
        head.append(f"Content-ID: {number}")
    headers = {**one.headers, **({"content-length": str(len(one.body))} if one.body else {})}
    lines = [*head, "", f"{one.method} {one.link} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return _LINE.join([*lines, "", ""]).encode() + one.body


_ENCODERS: Final[Mapping[BatchFormat, Callable[[Sequence[Asking], bool], tuple[str, bytes]]]] = {
    BatchFormat.JSON: _to_json,
    BatchFormat.MULTIPART: _to_multipart,
}


def _from_json(asked: Sequence[Asking], answer: Answer) -> Iterator[Answered]:
    try:
        said = json.loads(answer.body, parse_float=str)["responses"]
        for one in said:
            number = int(one["id"]) - 1
            headers = {str(name).lower(): str(text) for name, text in (one.get("headers") or {}).items()}
            body = one.get("body")
            data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
            yield Answered(number, Answer(int(one["status"]), data, headers, _address(asked, number)))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise IntegrityError("the answer to a batch is not what OData's JSON has for it") from None


def _from_multipart(asked: Sequence[Asking], answer: Answer) -> Iterator[Answered]:
    head = f"Content-Type: {answer.headers['content-type']}{_LINE}{_LINE}".encode()
    try:
        whole = message_from_bytes(head + answer.body)
        parts = [part for part in whole.walk() if part.get_content_type() == "application/http"]
    except RecursionError:
        raise IntegrityError("the answer to a batch has parts in parts without end") from None
    for place, part in enumerate(parts):
        inner = _http(part)
        said = _said_number(part, inner)
        # Answers stand in the order of requests; only a change set that failed has one for all.
        number = said if said >= 0 else place if len(parts) == len(asked) else -1
        yield Answered(number, Answer(inner.status, inner.body, inner.headers, _address(asked, number)))


def _http(part: Message) -> Answer:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        raise IntegrityError("the answer to a batch has a part that holds no answer")
    first, _, rest = data.lstrip().partition(b"\n")
    words = first.split(None, 2)
    if len(words) < 2 or _STATUS.fullmatch(words[1]) is None:  # noqa: PLR2004 - HTTP/1.1 200
        raise IntegrityError("the answer to a batch has a part that is no answer of HTTP")
    inner = message_from_bytes(rest)
    headers = {name.lower(): str(text) for name, text in inner.items()}
    # Whatever type it says: the body is the bytes behind the first empty line.
    body = _EMPTY_LINE.split(rest, 1)[-1] if inner.keys() else rest
    return Answer(int(words[1]), body.strip(), headers, "")


def _said_number(part: Message, inner: Answer) -> int:
    for text in (part.get("content-id"), inner.headers.get("content-id"), *_content_ids(inner.body)):
        if text is not None and _ID.fullmatch(str(text).strip("<> ")):
            return int(str(text).strip("<> ")) - 1
    return -1


def content_id(answer: Answer) -> int:
    """Return the number of the request, from 0, an error of a change set is about; -1 if it does not say."""
    return next((int(text) - 1 for text in _content_ids(answer.body) if _ID.fullmatch(text)), -1)


def _content_ids(body: bytes) -> Iterator[str]:
    """What an error says of the request it is about: as CAP, the V2 adapter and SAP Gateway say it."""
    if b"ContentID" not in body:
        return
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    inner = _object(_object(error).get("innererror"))
    details = _object(error).get("details") or inner.get("errordetails")
    for one in (error, inner, *(details if isinstance(details, list) else ())):
        for name in ("@Core.ContentID", "ContentID"):
            if _object(one).get(name):
                yield str(one[name])


def _object(value: Any) -> dict[str, Any]:
    """What a service sends in place of an object says nothing."""
    return value if isinstance(value, dict) else {}


def _address(asked: Sequence[Asking], number: int) -> str:
    return asked[number].link.partition("?")[0] if 0 <= number < len(asked) else "$batch"
