"""A tenant's datasets, as the factory knows them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from kifabrik.factory.holdings import ORDERS_COUNTED
from kifabrik.portal.door import PageDoor, TheMember
from kifabrik.portal.rendering import render
from kifabrik.service.auth import TheFactory

router = APIRouter(route_class=PageDoor, include_in_schema=False)


@router.get("/datasets")
def listed(request: Request, member: TheMember, factory: TheFactory) -> Response:
    """All datasets with their sizes, versions, uses and grants."""
    return render(request, "datasets", holdings=factory.holdings.all(member.tenant), counted=ORDERS_COUNTED)


@router.get("/datasets/{dataset}")
def one(
    request: Request, dataset: Annotated[str, Path(max_length=64)], member: TheMember, factory: TheFactory
) -> Response:
    """One dataset with its versions and grants."""
    return render(request, "dataset", one=factory.holdings.one(member.tenant, dataset), counted=ORDERS_COUNTED)
