"""Made-up work of a mix of tenants: what nobody has traced yet.

A tenant orders jobs as a Poisson process whose rate follows the hour of the day and the day of the week; durations
are log-normal (assumed: those of traces have such long tails); sizes are drawn from a table.
"""

import math
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.plant.load import Floats
from kifabrik.plant.workload.trace import NEVER, Trace, make_trace

_DAY: Final = 86400.0
_HOUR: Final = 3600.0
_P95: Final = 1.6448536269514722
"""Of the standard normal distribution."""


class Tenant(BaseModel):
    """What one tenant orders.

    Attributes:
        name: Its name.
        jobs_per_day: On a working day, on average.
        weekend: Share of that on Saturdays and Sundays.
        working_hours: Share of a day's jobs that are ordered from 8 to 18 o'clock.
        median_hours: Of a job's duration.
        p95_hours: 95 of 100 jobs take at most this.
        gpus: How many of them ask for so many GPUs, as weights.
        estimate: How many times its duration a job says it takes at most.
        deferrable: Share of jobs that may be put off.
        defer_hours: By how much their end may be put off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    jobs_per_day: Annotated[float, Field(gt=0)]
    weekend: Annotated[float, Field(ge=0)] = 0.4
    working_hours: Annotated[float, Field(ge=0, le=1)] = 0.7
    median_hours: Annotated[float, Field(gt=0)]
    p95_hours: Annotated[float, Field(gt=0)]
    gpus: Annotated[dict[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0)]], Field(min_length=1)]
    estimate: Annotated[float, Field(ge=1)] = 1.5
    deferrable: Annotated[float, Field(ge=0, le=1)] = 0.0
    defer_hours: Annotated[float, Field(ge=0)] = 24.0


class Mix(BaseModel):
    """Tenants of a site."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenants: Annotated[list[Tenant], Field(min_length=1)]


def read_mix(path: Path) -> Mix:
    """Read a mix of tenants from YAML.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no mix; the message names the field.
    """
    if not path.is_file():
        raise NotFoundError(f"There is no mix of tenants {path}.", hint="Name a YAML file with the key tenants.")
    try:
        return Mix.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {error}", hint="See docs/plant-workload.md") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"]) or "the file"
        raise UsageError(f"{path}, {field}: {first['msg']}.", hint="See docs/plant-workload.md") from None


def synthesise(mix: Mix, span: float, *, seed: int = 1) -> Trace:
    """Draw what a mix of tenants orders in a span that begins on a Monday at midnight.

    Args:
        mix: Tenants.
        span: Seconds.
        seed: Of the draw.
    """
    drawn = [_orders_of(tenant, span, np.random.default_rng([seed, at])) for at, tenant in enumerate(mix.tenants)]
    columns = [np.concatenate([one[at] for one in drawn]) for at in range(5)]
    return make_trace(
        "synthetic",
        columns[0],
        columns[1],
        columns[2],
        estimate=columns[3],
        until=columns[4],
        tenant=np.repeat(np.arange(len(drawn)), [len(one[0]) for one in drawn]),
        tenants=tuple(tenant.name for tenant in mix.tenants),
    )


def _orders_of(tenant: Tenant, span: float, luck: np.random.Generator) -> tuple[Any, ...]:
    submit = _arrivals(tenant, span, luck)
    count = len(submit)
    spread = math.log(max(tenant.p95_hours / tenant.median_hours, 1.0)) / _P95
    seconds = np.maximum(np.ceil(tenant.median_hours * _HOUR * np.exp(spread * luck.standard_normal(count))), 1.0)
    weights = np.array(list(tenant.gpus.values()))
    gpus = luck.choice(list(tenant.gpus), size=count, p=weights / weights.sum())
    estimate = np.ceil(seconds * tenant.estimate)
    put_off = luck.random(count) < tenant.deferrable
    until = np.where(put_off, submit + estimate + tenant.defer_hours * _HOUR, NEVER)
    return submit, seconds, gpus, estimate, until


def _arrivals(tenant: Tenant, span: float, luck: np.random.Generator) -> Floats:
    """A Poisson process by thinning one at its highest rate (Lewis and Shedler, 1979)."""
    day, night = tenant.working_hours / 10, (1 - tenant.working_hours) / 14
    highest = tenant.jobs_per_day / _DAY * 24 * max(day, night) * max(1.0, tenant.weekend)
    candidates = np.sort(luck.uniform(0, span, luck.poisson(highest * span)))
    hour = candidates / _HOUR % 24
    rate = tenant.jobs_per_day / _DAY * 24 * np.where((hour >= 8) & (hour < 18), day, night)  # noqa: PLR2004
    rate = rate * np.where(candidates // _DAY % 7 >= 5, tenant.weekend, 1.0)  # noqa: PLR2004
    kept = luck.random(len(candidates)) * highest < rate
    return np.asarray(np.floor(candidates[kept]))
