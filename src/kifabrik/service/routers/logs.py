"""The tenant's transparency log as tiles (c2sp.org/tlog-tiles), with a token."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import PlainTextResponse, Response

from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service.auth import TENANT, TheFactory, allow
from kifabrik.service.bodies import Digest
from kifabrik.service.doors import Door
from kifabrik.wire.logs import News

router = APIRouter(prefix="/v1/log", tags=["log"], route_class=Door)
Reader = Annotated[Principal, allow(*TENANT)]
Quoting = Annotated[Principal, allow(*TENANT, TokenKind.ATTEMPT)]
"""A node quotes over a cosigned head that covers the newest one."""


class Binary(Response):
    """Raw bytes."""

    media_type = "application/octet-stream"


@router.get("/checkpoint", response_class=PlainTextResponse)
def checkpoint(caller: Quoting, factory: TheFactory) -> str:
    """The newest signed tree head, cosigned where the keyholder has done so."""
    return factory.log.checkpoint(caller.tenant)


@router.get("/since/{size}")
def since(
    size: Annotated[int, Path(ge=0, le=2**53, description="Number of entries the caller has.")],
    caller: Reader,
    factory: TheFactory,
    statements: Annotated[bool, Query(description="Whether to send what the entries name, too.")] = False,
) -> News:
    """The newest signed tree head and the entries beyond those the caller has; none if they are too many."""
    news = factory.log.since(caller.tenant, size, statements=statements)
    return News(checkpoint=news.checkpoint, entries=list(news.entries), statements=list(news.statements))


@router.get("/cosigned", response_class=PlainTextResponse)
def cosigned(caller: Quoting, factory: TheFactory) -> str:
    """The newest tree head the keyholder has cosigned."""
    return factory.log.cosigned(caller.tenant)


@router.get("/tile/{path:path}", response_class=Binary)
def tile(path: str, caller: Reader, factory: TheFactory) -> Binary:
    """A tile or entry bundle."""
    return Binary(factory.log.tile(caller.tenant, f"tile/{path}"))


@router.get("/details/{sha256}", response_class=Binary)
def detail(sha256: Digest, caller: Reader, factory: TheFactory) -> Binary:
    """The sealed names of an entry."""
    return Binary(factory.log.detail(caller.tenant, sha256))
