"""One run, or a sweep: its way from order to end, its entries in the log, what it used."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from kifabrik.factory.run_records import Event
from kifabrik.factory.show import RunPicture, SweepPicture
from kifabrik.portal.charts import Segment, way
from kifabrik.portal.door import PageDoor, TheMember
from kifabrik.portal.figures import Figures
from kifabrik.portal.rendering import Visit, render
from kifabrik.portal.rows import cost_so_far, rows
from kifabrik.portal.states import LOOKS
from kifabrik.runs.states import RunState, is_end
from kifabrik.service.auth import TheFactory
from kifabrik.values import now_utc, parse_time, task_number

router = APIRouter(route_class=PageDoor, include_in_schema=False)

_TASKS: Final = 50
_KINDS: Final = {"waits": "waits", "goes": "made"}
TheRun = Annotated[str, Path(max_length=64)]


@dataclass(frozen=True)
class Step:
    """A step of a run's way.

    Args:
        event: As it was noted.
        lasted_s: Until the next one, or until now; None for the last of a run that has ended.
    """

    event: Event
    lasted_s: float | None

    @property
    def look(self) -> str:
        """Its state's kind."""
        return LOOKS[self.event.state]

    @property
    def state(self) -> RunState:
        """Its state."""
        return self.event.state


@router.get("/runs/{run}")
def one_run(
    request: Request,
    run: TheRun,
    member: TheMember,
    factory: TheFactory,
    live: Annotated[str, Query(max_length=1)] = "",
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """A run, a task of a sweep, or a sweep."""
    now, tenant, shows = now_utc(), member.tenant, factory.runs.shows
    picture = shows.one(tenant, run)
    trail = factory.trails.of_run(tenant, shows.evidence(tenant, run))
    visit = Visit.of(request)
    steps = list(_steps(shows.history(tenant, run), now)) if isinstance(picture, RunPicture) else []
    tasks = rows(shows.tasks(tenant, run, after, _TASKS), now) if isinstance(picture, SweepPicture) else []
    one = picture.run if isinstance(picture, RunPicture) else picture.one
    return render(
        request,
        "run",
        live=bool(live),
        run=run,
        one=one,
        row=rows([picture], now)[0],
        picture=picture if isinstance(picture, RunPicture) else None,
        so_far=cost_so_far(picture, now) if isinstance(picture, RunPicture) else None,
        counts=picture.tasks if isinstance(picture, SweepPicture) else {},
        steps=steps,
        chart=_drawn(steps, visit),
        reasons=shows.history(tenant, run) if isinstance(picture, SweepPicture) else [],
        tasks=tasks,
        next_task=tasks[-1].run if len(tasks) == _TASKS else "",
        task_number=task_number,
        trail=trail,
        looks=LOOKS,
    )


def _steps(events: Sequence[Event], now: datetime) -> Iterator[Step]:
    for event, after in zip(events, [*events[1:], None], strict=True):
        begun = parse_time(event.at)
        if after is not None:
            yield Step(event, (parse_time(after.at) - begun).total_seconds())
        else:
            yield Step(event, None if is_end(event.state) else (now - begun).total_seconds())


def _drawn(steps: Sequence[Step], visit: Visit) -> Markup:
    figures = Figures(visit.language)
    segments = [
        Segment(
            f"{visit.say(f'state_{step.state}')}: {figures.duration(step.lasted_s)}",
            "goes" if step.state is RunState.RUNNING else _KINDS.get(step.look, "made"),
            step.lasted_s,
        )
        for step in steps
        if step.lasted_s is not None
    ]
    return way(segments, visit.say("run_way"))
