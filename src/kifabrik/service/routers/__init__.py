"""One router per noun; a route is authentication, one call and the answer."""

from typing import Final

from fastapi import APIRouter

from kifabrik.service.routers import (
    attempts,
    datasets,
    erasures,
    grants,
    keyholders,
    leases,
    logs,
    mail,
    models,
    nodes,
    objects,
    plans,
    runs,
    sign_ins,
    statements,
    tenants,
)

ALL: Final[tuple[APIRouter, ...]] = (
    tenants.router,
    keyholders.router,
    mail.router,
    statements.router,
    logs.router,
    objects.router,
    datasets.router,
    grants.router,
    erasures.router,
    leases.router,
    models.router,
    plans.router,
    runs.router,
    attempts.router,
    nodes.router,
    sign_ins.router,
)
