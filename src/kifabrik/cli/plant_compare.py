"""`kifabrik plant compare`."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.plant_sites import change_of, figure, plain_numbers, site_options
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.errors import UsageError
from kifabrik.values import format_duration

if TYPE_CHECKING:
    from kifabrik.plant.comparing import Case, Jobs


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant compare munich --vary it.gpus=5000,10000,20000
      kifabrik plant compare munich --vary river.year=2003,2014 --data tables --out what-if
      kifabrik plant compare munich --trace philly.csv.gz --vary policy=backfill,heat-aware --flexible 0.3
    """
)
@site_options
@click.option(
    "--vary", "varied", multiple=True, required=True, metavar="KEY=A,B,…", help="May be given several times."
)
@click.option(
    "--load", "load_name", default="constant:0.8", show_default=True, help="Without a trace: as for `run`."
)
@click.option("--trace", "trace_file", type=click.Path(path_type=Path), help="Jobs to schedule; as for `schedule`.")
@click.option(
    "--share",
    type=click.FloatRange(0, 2, min_open=True),
    default=0.8,
    show_default=True,
    help="Of all GPU time that the jobs ask for.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="How many, larger if need be. [as many as it takes]")
@click.option(
    "--flexible", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Share that may wait."
)
@click.option(
    "--patience", type=click.FloatRange(min=0), default=24.0, show_default=True, help="Hours it may wait."
)
@click.option("--workers", type=click.IntRange(min=1), help="Cases at once. [one for each core]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write table and small multiples there."
)
@language_option("Of the page.")
@json_option
def compare(
    site: str, changes: tuple[str, ...], year: int | None, data: Path | None, varied: tuple[str, ...],
    load_name: str,
    trace_file: Path | None, share: float, jobs: int | None, flexible: float, patience: float, workers: int | None,
    out: Path | None, language: Literal["de", "en"], *, as_json: bool,
) -> None:  # fmt: skip
    """Simulate SITE under every combination of values, and put the years side by side."""
    from kifabrik.plant import comparing  # noqa: PLC0415 - slow to import

    variations = dict(_variation(text) for text in varied)
    same = dict(change_of(text) for text in changes) | ({"year": year} if year else {})
    work = _jobs(trace_file, share, jobs, flexible, patience)
    count = len(comparing.combinations(variations))
    with counting("years", count, quiet=as_json) as progress:
        cases = comparing.compare(
            site,
            variations,
            changes=same,
            load=load_name,
            jobs=work,
            folder=data,
            workers=min(workers or os.cpu_count() or 1, count),
            progress=progress,
        )
    page = None
    if out:
        from kifabrik.plant.report.multiples import write_comparison  # noqa: PLC0415

        page = write_comparison(cases, out, language)
    if as_json:
        show_json([_plain(case) for case in cases])
        return
    _show(cases)
    if page:
        remark(f"Small multiples: {page}")


def _variation(text: str) -> tuple[str, list[Any]]:
    key, values = change_of(text)
    split = [change_of(f"{key}={part}")[1] for part in str(values).split(",")] if "," in str(values) else [values]
    if len({str(value) for value in split}) < len(split):
        raise UsageError(f"{text} names a value twice.", hint="Name each once.")
    return key, split


def _jobs(path: Path | None, share: float, count: int | None, flexible: float, patience: float) -> "Jobs | None":
    if path is None:
        return None
    from kifabrik.plant.comparing import Jobs  # noqa: PLC0415 - slow to import
    from kifabrik.plant.workload.reading import read_trace  # noqa: PLC0415

    return Jobs(read_trace(path), share, count, flexible, patience)


def _show(cases: "Sequence[Case]") -> None:
    queued = any(case.queue for case in cases)
    heads = ["CASE", "IT GWH", "PUE", "ERF", "LIMIT H", "CUT MWH", "HEAT GWH", *(["USE", "WAIT"] if queued else [])]
    rows = []
    for case in cases:
        summary, queue = case.study.summary, case.queue
        row = [
            case.name,
            figure(summary.it / 1e6, 1),
            figure(summary.pue),
            f"{summary.erf:.1%}",
            figure(summary.limit_hours, 0),
            figure(summary.curtailed / 1000, 0),
            figure(summary.to_customers / 1e6, 2),
        ]
        if queued:
            row += [f"{queue.gpu_use:.1%}", format_duration(round(queue.waiting_mean))] if queue else ["-", "-"]
        rows.append(row)
    show_table(heads, rows, right=range(1, len(heads)))
    unclosed = [case.name for case in cases if not case.study.summary.closed]
    remark(f"Balances of all {len(cases)} years close within 0.1 %." if not unclosed else f"NOT CLOSED: {unclosed}")
    for source in sorted({f"{case.study.river_source}; {case.study.weather_source}" for case in cases}):
        remark(f"River, weather: {source}")


def _plain(case: "Case") -> dict[str, Any]:
    return {
        "values": dict(case.values),
        "summary": plain_numbers(asdict(case.study.summary)),
        "queue": plain_numbers(asdict(case.queue)) if case.queue else None,
    }
