"""A tenant's bill of a month, as far as the factory can say it quickly; the statement to check is made offline."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kifabrik.factory.run_records import Run
from kifabrik.portal.door import PageDoor, TheMember
from kifabrik.portal.premises import Premises
from kifabrik.portal.rendering import render
from kifabrik.service.auth import TheFactory
from kifabrik.values import format_time, now_utc

router = APIRouter(route_class=PageDoor, include_in_schema=False)

_SUMMED: Final = 300
"""So many runs are added up here; of more, the command on the customer's side does."""
_SHOWN: Final = 60
_MONTH_S: Final = 30 * 86_400
_DECEMBER: Final = 12
Month = Annotated[str, Query(pattern=r"^[2-9][0-9]{3}-(0[1-9]|1[0-2])$")]


@router.get("/bill")
def bill(request: Request, member: TheMember, factory: TheFactory, month: Month | None = None) -> Response:
    """Cost of the month, its runs, and what they used."""
    present = format_time(now_utc())[:7]
    wanted = month or present
    with factory.store.read() as transaction:
        count = transaction.runs.count_ended_in(member.tenant, wanted, _SUMMED + 1)
        few = count <= _SUMMED
        ended = transaction.runs.ended_in(member.tenant, wanted, _SUMMED if few else _SHOWN)
        used = [one for one in transaction.runs.usage([member.tenant]) if one.month == wanted]
        limits = transaction.runs.limits(member.tenant)
        account = transaction.accounts.tenant(member.tenant)
    premises: Premises = request.app.state.premises
    stored = account.bytes_used if account else 0
    return render(
        request,
        "bill",
        month=wanted,
        before_month=_beside(wanted, -1),
        after_month=_beside(wanted, 1) if wanted < present else "",
        charged=used[0].month_micro_eur if used else sum(one.footprint.cost_micro_eur for one in ended),
        whole=bool(used) or few,
        limit=limits.month_micro_eur,
        stored=stored,
        storage=premises.prices.storage(stored, _MONTH_S).micro_eur,
        count=count,
        few=few,
        summed=_SUMMED,
        sums=_sums(ended) if few else None,
        runs=ended[:_SHOWN],
    )


def _beside(month: str, by: int) -> str:
    number = int(month[:4]) * _DECEMBER + int(month[5:7]) - 1 + by
    return f"{number // _DECEMBER:04d}-{number % _DECEMBER + 1:02d}"


def _sums(runs: list[Run]) -> dict[str, int]:
    """What the runs used together; of carbon and water, what the operator has stated."""
    prints = [one.footprint for one in runs]
    around = [one.surroundings for one in prints if one.surroundings is not None]
    return {
        "gpu_ms": sum(one.gpu_ms for one in prints),
        "cpu_ms": sum(one.cpu_ms for one in prints),
        "energy_mj": sum(one.energy_mj for one in prints),
        "carbon_mg": sum(one.carbon_mg or 0 for one in prints),
        "stated": len(around),
        "consumed_ml": sum(one.consumed_ml for one in around),
        "heat_mj": sum(one.heat_mj for one in around),
    }
