"""Ciphertext objects: missing ones, uploads piece by piece, downloads from any offset."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse

from kifabrik.errors import UsageError
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.factory.ways import Way
from kifabrik.service.auth import TENANT, WRITERS, TheFactory, allow
from kifabrik.service.bodies import Digest
from kifabrik.service.doors import Door, takes
from kifabrik.service.limits import MIB
from kifabrik.service.streams import RawBody, TakenSeconds, TheSendingRoom, in_room
from kifabrik.wire.datasets import MOST_DIGESTS, PIECE, Digests, SmallObjects, WayView

router = APIRouter(prefix="/v1", tags=["objects"], route_class=Door)
Reader = Annotated[Principal, allow(*TENANT, TokenKind.ATTEMPT)]
Writer = Annotated[Principal, allow(*WRITERS, TokenKind.ATTEMPT)]
MOST_OBJECT_BYTES: Final = 2**40
_AT_ONCE: Final = 2**20
_PIECE: Final = 4 * 2**20
"""What an object store hands out at a time."""
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")


@router.post("/objects/missing")
@takes(MIB, parts=MOST_DIGESTS)
def missing(body: Digests, caller: Reader, factory: TheFactory) -> Digests:
    """Which of these the tenant has not stored."""
    return Digests(digests=factory.objects.missing(caller.tenant, body.digests))


@router.post("/objects")
@takes(8 * MIB)
def take(body: SmallObjects, caller: Writer, factory: TheFactory, took_s: TakenSeconds) -> Digests:
    """Take small objects whole; the answer names those that are being uploaded in pieces and were not taken."""
    return Digests(digests=factory.objects.take(caller.tenant, body.objects, took_s=took_s))


@router.head("/uploads/{digest}", response_class=Response)
def offset(digest: Digest, caller: Writer, factory: TheFactory) -> Response:
    """Where an upload stands; its size once it is complete."""
    return _stands_at(factory.objects.offset(caller.tenant, digest))


@router.patch("/uploads/{digest}", status_code=204, response_class=Response)
@takes(PIECE)
def receive(
    digest: Digest,
    caller: Writer,
    factory: TheFactory,
    body: RawBody,
    took_s: TakenSeconds,
    size: Annotated[int, Query(ge=0, le=MOST_OBJECT_BYTES)],
    upload_offset: Annotated[int, Header(ge=0)],
) -> Response:
    """Take a piece; the answer's `Upload-Offset` says where to go on."""
    return _stands_at(factory.objects.receive(caller.tenant, digest, size, upload_offset, body, took_s=took_s))


@router.post("/uploads/{digest}/way")
def way_in(
    digest: Digest, caller: Writer, factory: TheFactory, size: Annotated[int, Query(ge=0, le=MOST_OBJECT_BYTES)]
) -> WayView:
    """How an object can be sent to the object store itself; room is reserved for it."""
    node = _is_node(caller)
    return _shown(
        factory.ways.way_in(caller.tenant, digest, size, node=node), direct=factory.ways.offered(node=node)
    )


@router.post("/uploads/{digest}/arrived", status_code=204, response_class=Response)
def arrived(digest: Digest, caller: Writer, factory: TheFactory) -> Response:
    """An object was sent to the object store: look, and enter it."""
    return _stands_at(factory.ways.arrived(caller.tenant, digest))


@router.post("/objects/{digest}/way")
def way_out(digest: Digest, caller: Reader, factory: TheFactory) -> WayView:
    """Where an object can be fetched from the object store itself."""
    node = _is_node(caller)
    return _shown(factory.ways.way_out(caller.tenant, digest, node=node), direct=factory.ways.offered(node=node))


@router.get("/objects/{digest}", response_class=StreamingResponse)
def read(
    digest: Digest,
    caller: Reader,
    factory: TheFactory,
    sending: TheSendingRoom,
    byte_range: Annotated[str, Header(alias="range")] = "",
) -> Response:
    """An object, or the part of it that a `Range: bytes=N-` or `bytes=N-M` names."""
    match = _RANGE.fullmatch(byte_range)
    if byte_range and match is None:
        raise UsageError("only ranges of the form bytes=N- and bytes=N-M are served")
    start = int(match[1]) if match else 0
    wanted = int(match[2]) + 1 if match and match[2] else None
    size, end, pieces = factory.objects.read(caller.tenant, digest, start, wanted)
    headers = {"content-length": str(end - start), "accept-ranges": "bytes"}
    if match:
        headers["content-range"] = f"bytes {start}-{max(end - 1, 0)}/{size}"
    status, media = 206 if match else 200, "application/octet-stream"
    if end - start <= _AT_ONCE:  # each piece of a stream is fetched in a thread of its own
        return Response(b"".join(pieces), status, headers, media)
    return StreamingResponse(in_room(sending, caller.tenant, pieces, _PIECE), status, headers, media)


def _shown(way: Way | None, *, direct: bool) -> WayView:
    if way is None:
        return WayView(direct=direct)
    return WayView(direct=direct, url=way.url, headers=dict(way.headers), lasts_s=way.lasts_s)


def _is_node(caller: Principal) -> bool:
    return caller.kind is TokenKind.ATTEMPT


def _stands_at(offset: int) -> Response:
    return Response(status_code=204, headers={"upload-offset": str(offset)})
