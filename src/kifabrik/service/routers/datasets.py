"""Versions of datasets."""

from typing import Annotated

from fastapi import APIRouter

from kifabrik.factory.records import Principal
from kifabrik.service.auth import TENANT, WRITERS, TheFactory, allow
from kifabrik.service.bodies import detail, envelope, logged, version_view
from kifabrik.service.doors import SIGNED, Door, takes
from kifabrik.wire.datasets import VersionView
from kifabrik.wire.tenants import Logged, Signed

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], route_class=Door)


@router.post("/versions")
@takes(SIGNED)
def register(body: Signed, caller: Annotated[Principal, allow(*WRITERS)], factory: TheFactory) -> Logged:
    """Register a version whose objects are all uploaded."""
    return logged(factory.datasets.register(caller.tenant, caller.member, envelope(body), detail(body.detail)))


@router.get("/versions")
def list_versions(caller: Annotated[Principal, allow(*TENANT)], factory: TheFactory) -> list[VersionView]:
    """All versions of all datasets."""
    return [version_view(one) for one in factory.versions.of_datasets(caller.tenant)]
