"""`kifabrik ps`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import ago, remark, show_json, show_table
from kifabrik.customer.session import open_session
from kifabrik.values import Money, format_duration


@click.command(
    epilog="""\b
    Example:
      kifabrik ps --limit 10
    """
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="How many at most.")
@home_option
@json_option
def ps(limit: int, home: Path, as_json: bool) -> None:
    """List runs, newest first. Job names come from your ledger; the factory does not know them."""
    with open_session(home) as session:
        views = session.runs.all(limit=limit)
        names = session.catalogue().job_names([view.run for view in views]) if views else {}
    if as_json:
        show_json([{"name": names.get(view.run, ""), **view.model_dump(mode="json")} for view in views])
        return
    if not views:
        remark("No runs yet. Order one with: kifabrik apply job.yaml")
        return
    show_table(
        ["RUN", "JOB", "STATE", "TIME", "COST", "ORDERED"],
        [
            (
                view.run,
                names.get(view.run, "?"),
                view.state.value,
                format_duration(view.footprint.wall_s) if view.footprint.wall_s else "",
                Money(view.footprint.cost_micro_eur) if view.finished else "",
                ago(view.created),
            )
            for view in views
        ],
        right=(3, 4),
    )
