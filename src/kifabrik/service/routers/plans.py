"""What an order would cost."""

from typing import Annotated

from fastapi import APIRouter

from kifabrik.factory.capacity import Demand
from kifabrik.factory.records import Principal
from kifabrik.service import run_bodies
from kifabrik.service.auth import MEMBERS, TheFactory, allow
from kifabrik.service.doors import Door
from kifabrik.values import Money
from kifabrik.wire.runs import Plan, PlanRequest

router = APIRouter(prefix="/v1/plans", tags=["plans"], route_class=Door)


@router.post("")
def plan(body: PlanRequest, caller: Annotated[Principal, allow(*MEMBERS)], factory: TheFactory) -> Plan:
    """Say what an order would cost and where it could run."""
    demand = Demand(body.resources, body.place, body.python)
    budget = Money(body.budget_micro_eur)
    planner = factory.runs.planner
    found = planner.plan(caller.tenant, demand, body.inputs, body.max_duration_s, budget, body.tasks)
    return run_bodies.plan(found)
