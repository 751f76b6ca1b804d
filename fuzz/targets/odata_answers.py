"""Answers of an OData service: pages, batches of answers in both forms, and what it says when it fails."""

from collections.abc import Iterator
from contextlib import suppress

from fuzz.target import Disagreement, Target
from kifabrik.connectors.sap.asking import Answer, fault_of
from kifabrik.connectors.sap.batch_bodies import Asking, content_id, decode
from kifabrik.connectors.sap.early import link_in
from kifabrik.connectors.sap.model import Version
from kifabrik.connectors.sap.pages import read_page
from kifabrik.errors import IntegrityError

_ASKED = [Asking("PATCH", "Parts(1)", {"if-match": "*"}, b'{"a":1}'), Asking("DELETE", "Parts(2)")]
_MULTIPART = "multipart/mixed; boundary=b"


def one(data: bytes) -> None:
    """Read the bytes as every answer there is; none but the last needs to be one."""
    with suppress(IntegrityError):
        _batch(data, _MULTIPART)
    plain = Answer(400, data, {"content-type": "application/json"}, "https://sap.example/o/Parts")
    fault_of(plain).message.encode()
    content_id(plain)
    found: list[IntegrityError] = []
    for version in Version:
        link_in(data, version)
        try:
            page = read_page(plain, version, "Parts")
        except IntegrityError as error:
            found.append(error)
        else:
            if not isinstance(page.next, str):
                raise Disagreement("a link that is no text")
    try:
        _batch(data, "application/json; charset=utf-8")
    except IntegrityError:
        if len(found) == len(Version):
            raise


def _batch(data: bytes, kind: str) -> None:
    for answered in decode(_ASKED, Answer(200, data, {"content-type": kind}, "https://sap.example/o/$batch")):
        if type(answered.answer.body) is not bytes:
            raise Disagreement("an answer without a body")
        content_id(answered.answer)
        str(fault_of(answered.answer))


def seeds() -> Iterator[bytes]:
    """Pages of both versions, batches in both forms, errors as three products write them."""
    yield b'{"value":[{"Id":1,"x":1.10},{"@removed":{"reason":"deleted"},"Id":2}],"@odata.nextLink":"Parts?x=2"}'
    yield b'{"d":{"results":[{"Id":"1","__metadata":{}}],"__next":"Parts?x=2","__count":"7","__delta":"Parts?d=1"}}'
    yield b'{"responses":[{"id":"1","status":204},{"id":"2","status":412,"headers":{"a":"b"},"body":{"error":{}}}]}'
    yield b'{"error":{"message":{"lang":"en","value":"no"},"innererror":{"errordetails":[{"ContentID":2}]}}}'
    yield b'{"error":{"message":"no","details":[{"@Core.ContentID":"1"}],"ContentID":null}}'
    yield (
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n"
        b"Content-ID: 1\r\n\r\nHTTP/1.1 204 No\r\n\r\n\r\n--c--\r\n--b\r\nContent-Type: application/http\r\n\r\n"
        b'HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\n\r\n{"error":{"message":"no"}}\r\n--b--\r\n'
    )


TARGET = Target(
    "OData answers",
    one,
    (IntegrityError,),
    seeds,
    (
        *(
            b"Infinity",
            b"NaN",
            b"-Infinity",
            b"1e999",
            b'"ContentID":',
            b'"error":"',
            b'"details":1',
            b'"innererror":"x"',
        ),
        *(
            b"--b\r\n",
            b"--b--",
            b"HTTP/1.1 ",
            b"Content-Type: application/http\r\n",
            b"base64",
            b"9" * 30,
            b"\\ud800",
        ),
    ),
    json=True,
)
