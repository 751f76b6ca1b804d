"""Nodes of a cluster, known by what they sign."""

from fastapi import APIRouter, Request

from kifabrik.factory.claims import Claimed
from kifabrik.service.auth import TheFactory, counted
from kifabrik.service.bodies import envelope
from kifabrik.wire.nodes import ClaimAnswer
from kifabrik.wire.tenants import Signed

router = APIRouter(prefix="/v1/nodes", tags=["nodes"])


@router.post("/claims")
def claim(body: Signed, request: Request, factory: TheFactory) -> ClaimAnswer:
    """Give a node the token of the attempt the cluster has given it."""
    claimed: Claimed = counted(request, lambda: factory.runs.claims.claim(envelope(body)))
    return ClaimAnswer(tenant=claimed.tenant, token=claimed.token)
