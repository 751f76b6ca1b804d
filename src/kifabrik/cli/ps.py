"""`kifabrik ps`."""

from collections.abc import Sequence
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import ago, remark, show_json, show_table
from kifabrik.client.runs import RunLine
from kifabrik.customer.session import Session, open_session
from kifabrik.runs.states import RunState, is_end
from kifabrik.values import Money, format_duration

_UNFINISHED = tuple(state for state in RunState if not is_end(state))


@click.command(
    epilog="""\b
    Example:
      kifabrik ps --limit 10
      kifabrik ps --unfinished
      kifabrik ps --state failed --state refused
    """
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="How many at most.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in RunState]),
    help="Only runs of this state; may be given several times.",
)
@click.option("--unfinished", is_flag=True, help="Only runs that have not ended.")
@home_option
@json_option
def ps(limit: int, states: Sequence[str], unfinished: bool, home: Path, as_json: bool) -> None:
    """List runs, newest first. Job names come from your ledger; the factory does not know them."""
    wanted = tuple(map(RunState, states)) + (_UNFINISHED if unfinished else ())
    with open_session(home) as session:
        if as_json:
            views = session.runs.all(limit=limit, states=wanted)
            names = _names(session, [view.run for view in views])
            show_json([{"name": names.get(view.run, ""), **view.model_dump(mode="json")} for view in views])
            return
        lines = session.runs.lines(limit=limit, states=wanted)
        names = _names(session, [line.run for line in lines])
    if not lines:
        remark("There are none of these." if wanted else "No runs yet. Order one with: kifabrik apply job.yaml")
        return
    show_table(
        ["RUN", "JOB", "STATE", "TIME", "COST", "ORDERED"],
        [_cells(line, names.get(line.run, "?")) for line in lines],
        right=(3, 4),
    )


def _names(session: Session, runs: Sequence[str]) -> dict[str, str]:
    return session.catalogue().job_names(runs) if runs else {}


def _cells(line: RunLine, name: str) -> tuple[object, ...]:
    return (
        line.run,
        name,
        line.state.value,
        format_duration(line.wall_s) if line.wall_s else "",
        Money(line.cost_micro_eur) if line.finished else "",
        ago(line.created),
    )
