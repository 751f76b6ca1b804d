"""`kifabrik results`."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.plain import plain
from kifabrik.cli.terminal import done, remark, show_json, show_table, waiting
from kifabrik.customer.named import SweepName
from kifabrik.customer.session import open_session
from kifabrik.customer.sweep_plot import plot
from kifabrik.customer.sweeps import TaskResult, ranked, sweep_results
from kifabrik.durable import write_whole
from kifabrik.errors import UsageError
from kifabrik.jobs.matrix import show_value
from kifabrik.runs.states import RunState
from kifabrik.values import MICRO_PER_EUR, Money, format_duration

_MOST_SHOWN: Final = 100


@click.command(
    epilog="""\b
    Examples:
      kifabrik results press-search --by auc
      kifabrik results press-search --by loss --min --plot loss.svg
      kifabrik results press-search --csv > results.csv
    """
)
@click.argument("sweep")
@click.option("--by", "metric", help="Metric to sort by, the best first.")
@click.option("--min/--max", "lowest", default=False, help="Whether lower or higher is better; default higher.")
@click.option("--published", is_flag=True, help="Only metrics the job publishes: asks the keyholder for no key.")
@click.option(
    "--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw the metric: FILE.svg."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values, every task.")
@click.option("--limit", default=_MOST_SHOWN, show_default=True, type=click.IntRange(1), help="Rows shown at most.")
@home_option
@json_option
def results(
    sweep: str,
    metric: str | None,
    lowest: bool,
    published: bool,
    picture: Path | None,
    as_csv: bool,
    limit: int,
    home: Path,
    as_json: bool,
) -> None:
    """Show every task of SWEEP with its parameters and metrics, as one table and one picture.

    Metrics lie sealed in the factory. This device asks the keyholder for the keys of many logs at once, and
    opens them here.
    """
    if picture is not None and picture.suffix != ".svg":
        raise UsageError(f"{picture.name} is not the name of an SVG file", hint="Name it like auc.svg.")
    if picture is not None and not metric:
        raise UsageError("--plot needs --by: which metric to draw", hint="Such as: --by auc --plot auc.svg")
    with open_session(home) as session:
        found = session.catalogue().sweep(sweep)
        opened = 0
        with waiting("Opening metrics …") as say:

            def told(count: int) -> None:
                nonlocal opened
                opened += count
                say(f"Opening metrics … {opened}")

            rows = sweep_results(session, found, sealed=not published, told=told)
    rows = ranked(rows, metric, lowest=lowest) if metric else rows
    if picture is not None and metric:
        write_whole(picture, plot(rows, metric, found.name, lowest=lowest).encode(), mode=0o644)
    if as_json:
        show_json([_as_json(row) for row in rows])
    elif as_csv:
        _write_csv(found, rows)
    else:
        _show(found, rows, metric, limit)
    if picture is not None and not (as_json or as_csv):
        done(f"drawn in {picture}")


def _show(sweep: SweepName, rows: Sequence[TaskResult], metric: str | None, limit: int) -> None:
    metrics = _metrics(rows, metric)
    names = sweep.matrix.names
    end = len(names) + len(metrics)
    remark(f"{sweep.name}  {sweep.run}")
    show_table(
        ["TASK", *names, *metrics, "STATE", "TIME", "COST"],
        [
            (
                row.number,
                *(show_value(row.point[name]) for name in names),
                *(f"{row.metrics[name]:.6g}" if name in row.metrics else "" for name in metrics),
                row.state.value,
                format_duration(row.wall_s) if row.wall_s else "",
                Money(row.cost_micro_eur),
            )
            for row in rows[:limit]
        ],
        right=(0, *range(1 + len(names), 1 + end), end + 2, end + 3),
    )
    cost = Money(sum(row.cost_micro_eur for row in rows))
    well = sum(row.state is RunState.SUCCEEDED for row in rows)
    more = f"; {len(rows) - limit} more rows: --limit, --csv or --json" if len(rows) > limit else ""
    remark(f"  {well} of {len(rows)} tasks have succeeded, for {cost} in all{more}")


def _metrics(rows: Sequence[TaskResult], first: str | None) -> list[str]:
    """Names of all metrics, the one that was asked for first."""
    return sorted({name for row in rows for name in row.metrics}, key=lambda name: (name != first, name))


def _write_csv(sweep: SweepName, rows: Sequence[TaskResult]) -> None:
    metrics, names = _metrics(rows, None), sweep.matrix.names
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["task", "run", *names, *metrics, "state", "seconds", "eur"])
    for row in rows:
        numbers = [repr(row.metrics[name]) if name in row.metrics else "" for name in metrics]
        values = [plain(show_value(row.point[name])) for name in names]
        cost = row.cost_micro_eur / MICRO_PER_EUR
        writer.writerow([row.number, row.run, *values, *numbers, row.state.value, row.wall_s, f"{cost:.6f}"])


def _as_json(row: TaskResult) -> dict[str, Any]:
    return {
        "task": row.number,
        "run": row.run,
        "parameters": dict(row.point),
        "metrics": dict(row.metrics),
        "state": row.state.value,
        "reason": row.reason,
        "wall_s": row.wall_s,
        "cost_micro_eur": row.cost_micro_eur,
    }
