"""`kifabrik ps`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import ago, remark, show_json, show_table
from kifabrik.customer.session import Session, open_session
from kifabrik.customer.sweeps import task_views
from kifabrik.jobs.matrix import show_value
from kifabrik.runs.states import RunState
from kifabrik.values import Money, format_duration
from kifabrik.wire.runs import RunView


@click.command(
    epilog="""\b
    Examples:
      kifabrik ps --limit 10
      kifabrik ps press-search      the tasks of a sweep
    """
)
@click.argument("sweep", required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="How many runs at most.")
@home_option
@json_option
def ps(sweep: str | None, limit: int, home: Path, as_json: bool) -> None:
    """List runs, newest first, each sweep as one; or all tasks of SWEEP.

    Job names come from your ledger; the factory does not know them.
    """
    with open_session(home) as session:
        if sweep:
            _list_tasks(session, sweep, as_json=as_json)
            return
        views = session.runs.all(limit=limit)
        names = session.catalogue().job_names([view.run for view in views]) if views else {}
    if as_json:
        show_json([{"name": names.get(view.run, ""), **view.model_dump(mode="json")} for view in views])
        return
    if not views:
        remark("No runs yet. Order one with: kifabrik apply job.yaml")
        return
    show_table(
        ["RUN", "JOB", "STATE", "TASKS", "TIME", "COST", "ORDERED"],
        [(view.run, names.get(view.run, "?"), *_standing(view), ago(view.created)) for view in views],
        right=(3, 4, 5),
    )


def _standing(view: RunView) -> tuple[str, str, str, str]:
    """State, tasks done of all, time and cost."""
    tasks = f"{view.tasks.get(RunState.SUCCEEDED, 0)}/{sum(view.tasks.values())}" if view.tasks else ""
    failed = view.tasks.get(RunState.FAILED, 0) + view.tasks.get(RunState.REFUSED, 0)
    time = format_duration(view.footprint.wall_s) if view.footprint.wall_s else ""
    cost = str(Money(view.footprint.cost_micro_eur)) if view.finished or view.tasks else ""
    return view.state.value, f"{tasks}, {failed} failed" if failed else tasks, time, cost


def _list_tasks(session: Session, name: str, *, as_json: bool) -> None:
    sweep = session.catalogue().sweep(name)
    views = dict(sorted(task_views(session, sweep).items()))
    points = dict(enumerate(sweep.matrix.points(), 1))
    if as_json:
        found = [
            {"task": n, "parameters": dict(points[n]), **one.model_dump(mode="json")} for n, one in views.items()
        ]
        show_json(found)
        return
    show_table(
        ["TASK", *sweep.matrix.names, "RUN", "STATE", "TIME", "COST"],
        [
            (number, *map(show_value, points[number].values()), one.run, *(_standing(one)[at] for at in (0, 2, 3)))
            for number, one in views.items()
        ],
        right=(0,),
    )
