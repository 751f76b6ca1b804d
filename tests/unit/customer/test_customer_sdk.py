"""Who orders many runs alike asks once whether they can run."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kifabrik.customer import sdk
from kifabrik.customer.sdk import Factory
from kifabrik.values import Place, Resources
from kifabrik.wire.runs import Plan, PlanRequest

_SMALL = PlanRequest(resources=Resources(cpus=1), place=Place("DE"), max_duration_s=60)
_LARGE = PlanRequest(resources=Resources(cpus=64), place=Place("DE"), max_duration_s=60)


def _factory(asked: list[PlanRequest], *, feasible: bool = True) -> Factory:
    def plan(request: PlanRequest) -> Plan:
        asked.append(request)
        return Plan(
            feasible=feasible,
            reason="",
            rate_micro_eur_per_hour=0,
            cap_s=60,
            most_micro_eur=0,
            place=Place("DE"),
            nodes=1,
            queued_before=len(asked),
            price_list="",
        )

    return Factory(cast("Any", SimpleNamespace(runs=SimpleNamespace(plan=plan))))


def test_a_plan_for_the_same_is_asked_for_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[PlanRequest] = []
    factory = _factory(asked)
    assert [factory._plan(one).queued_before for one in (_SMALL, _SMALL, _LARGE, _LARGE, _SMALL)] == [1, 1, 2, 2, 3]
    monkeypatch.setattr(sdk, "_PLAN_LASTS_S", 0.0)
    factory._plan(_SMALL)
    assert asked == [_SMALL, _LARGE, _SMALL, _SMALL]


def test_what_could_not_run_is_asked_again() -> None:
    asked: list[PlanRequest] = []
    factory = _factory(asked, feasible=False)
    assert not any(factory._plan(_SMALL).feasible for _ in range(3))
    assert len(asked) == 3
