"""`kifabrik ps`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import ago, remark, show_json, show_table
from kifabrik.client.runs import RunLine
from kifabrik.customer.session import Session, open_session
from kifabrik.meters.footprint import format_energy
from kifabrik.runs.states import RunState, is_end
from kifabrik.values import Money, format_duration
from kifabrik.wire.runs import FootprintView, RunView

_LIMIT: Final = 20
_AMOUNTS: Final = ("ENERGY", "HEAT", "WATER", "CARBON", "±")
_UNFINISHED = tuple(state for state in RunState if not is_end(state))


@click.command(
    epilog="""\b
    Examples:
      kifabrik ps --limit 10
      kifabrik ps --unfinished
      kifabrik ps --state failed --state refused
      kifabrik ps --footprint       energy, heat, water and carbon of each
      kifabrik ps press-search      the tasks of a sweep
      kifabrik ps press-search --state failed --limit 5
    """
)
@click.argument("sweep", required=False)
@click.option(
    "--limit",
    type=click.IntRange(1, 500),
    show_default=f"{_LIMIT} runs and sweeps; all tasks of SWEEP",
    help="How many at most.",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in RunState]),
    metavar="STATE",
    help="Only runs and tasks of this state, and sweeps with such a task; may be given several times. One of "
    f"{', '.join(state.value for state in RunState)}.",
)
@click.option("--unfinished", is_flag=True, help="Only what has not ended.")
@click.option("--footprint", is_flag=True, help="Show energy, heat handed on, water consumed and carbon instead.")
@home_option
@json_option
def ps(
    sweep: str | None,
    limit: int | None,
    states: Sequence[str],
    *,
    unfinished: bool,
    footprint: bool,
    home: Path,
    as_json: bool,
) -> None:
    """List runs, newest first, each sweep as one; or all tasks of SWEEP.

    Job names come from your ledger; the factory does not know them.
    """
    wanted = tuple(map(RunState, states)) + (_UNFINISHED if unfinished else ())
    with open_session(home) as session:
        if sweep:
            _list_tasks(session, sweep, wanted, limit, footprint=footprint, as_json=as_json)
            return
        limit = limit or _LIMIT
        if as_json:
            views = session.runs.all(limit=limit, states=wanted)
            if footprint:
                views = [_with_tasks(session, view) for view in views]
            names = _names(session, [view.run for view in views])
            show_json([{"name": names.get(view.run, ""), **view.model_dump(mode="json")} for view in views])
            return
        lines = session.runs.lines(limit=limit, states=wanted)
        names = _names(session, [line.run for line in lines])
        if lines and footprint:
            _list_footprints([(line.run, names.get(line.run, "?"), _used(session, line)) for line in lines])
            return
    if not lines:
        remark("There are none of these." if wanted else "No runs yet. Order one with: kifabrik apply job.yaml")
        return
    sweeps = any(line.tasks for line in lines)
    show_table(
        ["RUN", "JOB", "STATE", *(["TASKS"] if sweeps else []), "TIME", "COST", "ORDERED"],
        [_cells(line, names.get(line.run, "?"), sweeps=sweeps) for line in lines],
        right=(3, 4, 5) if sweeps else (3, 4),
    )


def _names(session: Session, runs: Sequence[str]) -> dict[str, str]:
    return session.catalogue().job_names(runs) if runs else {}


def _cells(line: RunLine, name: str, *, sweeps: bool) -> tuple[str, ...]:
    time = format_duration(line.wall_s) if line.wall_s else ""
    cost = str(Money(line.cost_micro_eur)) if line.finished or line.tasks else ""
    tasks = (_done(line),) if sweeps else ()
    return (line.run, name, line.state.value, *tasks, time, cost, ago(line.created))


def _used(session: Session, line: RunLine) -> FootprintView:
    """What a run used, or all tasks of a sweep together."""
    from kifabrik.customer.sweep_footprint import sweep_footprint  # noqa: PLC0415 - only needed for footprints

    return sweep_footprint(session.runs, line.run) if line.tasks else FootprintView.model_validate(line.used)


def _with_tasks(session: Session, view: RunView) -> RunView:
    """A view of a sweep with what all its tasks used; one of a run as it is."""
    from kifabrik.customer.sweep_footprint import sweep_footprint  # noqa: PLC0415 - only needed for footprints

    return view.model_copy(update={"footprint": sweep_footprint(session.runs, view.run)}) if view.tasks else view


def _list_footprints(lines: Sequence[tuple[str, str, FootprintView]]) -> None:
    """What each used; blank where nobody knows it (yet)."""
    rows = [(run, name, *_amounts(used)) for run, name, used in lines]
    show_table(["RUN", "JOB", *_AMOUNTS], rows, right=tuple(range(2, 2 + len(_AMOUNTS))))
    remark(
        "Energy of the machines; water consumed; carbon with the building, by location. A sweep's line sums"
        " its tasks up. What it rests on: kifabrik footprint RUN"
    )


def _amounts(used: FootprintView) -> tuple[str, ...]:
    energy = format_energy(round(1000 * sum(part.joules for part in used.energy))) if used.energy else ""
    around = used.surroundings
    carbon = "" if used.carbon_g is None else f"{used.carbon_g:.3g} g"
    if around is None:
        return (energy, "", "", carbon, "")
    heat, water = format_energy(round(1000 * around.heat_j)), f"{around.water_consumed_l:.3g} l"
    return (energy, heat, water, carbon, f"{around.uncertain_percent} %")


def _done(line: RunLine) -> str:
    """How many tasks of all have succeeded, and how many have not."""
    if not line.tasks:
        return ""
    done = f"{line.tasks.get(RunState.SUCCEEDED, 0)}/{sum(line.tasks.values())}"
    failed = line.tasks.get(RunState.FAILED, 0) + line.tasks.get(RunState.REFUSED, 0)
    return f"{done}, {failed} failed" if failed else done


def _list_tasks(
    session: Session,
    name: str,
    wanted: Sequence[RunState],
    limit: int | None,
    *,
    footprint: bool,
    as_json: bool,
) -> None:
    from kifabrik.customer.sweeps import task_views  # noqa: PLC0415 - only needed for the tasks of a sweep
    from kifabrik.jobs.matrix import show_value  # noqa: PLC0415

    sweep = session.catalogue().sweep(name)
    found = [(n, one) for n, one in sorted(task_views(session, sweep).items()) if not wanted or one.state in wanted]
    shown = found[:limit]
    points = dict(enumerate(sweep.matrix.points(), 1))
    if as_json:
        show_json([{"task": n, "parameters": dict(points[n]), **one.model_dump(mode="json")} for n, one in shown])
        return
    if not found:
        remark("There are none of these.")
        return
    if footprint:
        rows = [(number, one.run, *_amounts(one.footprint)) for number, one in shown]
        show_table(["TASK", "RUN", *_AMOUNTS], rows, right=(0, *range(2, 2 + len(_AMOUNTS))))
    else:
        rows = [_task_cells(number, map(show_value, points[number].values()), one) for number, one in shown]
        show_table(["TASK", *sweep.matrix.names, "RUN", "STATE", "TIME", "COST"], rows, right=(0,))
    if len(found) > len(shown):
        remark(f"These are the first {len(shown)} of {len(found)} tasks; without --limit all are shown.")


def _task_cells(number: int, values: Iterable[str], one: RunView) -> tuple[object, ...]:
    time = format_duration(one.footprint.wall_s) if one.footprint.wall_s else ""
    cost = Money(one.footprint.cost_micro_eur) if one.finished else ""
    return (number, *values, one.run, one.state.value, time, cost)
