"""Nodes of a cluster, known by what they sign."""

from fastapi import APIRouter

from kifabrik.factory.claims import Claimed
from kifabrik.service.auth import TheFactory
from kifabrik.service.bodies import envelope
from kifabrik.service.doors import Door
from kifabrik.wire.nodes import ClaimAnswer
from kifabrik.wire.tenants import Signed

router = APIRouter(prefix="/v1/nodes", tags=["nodes"], route_class=Door)


@router.post("/claims")
def claim(body: Signed, factory: TheFactory) -> ClaimAnswer:
    """Give a node the token of the attempt the cluster has given it."""
    claimed: Claimed = factory.runs.claims.claim(envelope(body))
    return ClaimAnswer(tenant=claimed.tenant, token=claimed.token)
