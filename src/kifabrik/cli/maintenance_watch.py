"""`kifabrik maintenance watch`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kifabrik.cli.folding import folded
from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.terminal import remark, show_json, show_table, warn
from kifabrik.errors import UsageError

if TYPE_CHECKING:
    from kifabrik.recipes.maintenance.reading import Readings
    from kifabrik.recipes.maintenance.saying import Sayer
    from kifabrik.recipes.maintenance.watching import Alarm, Study

_MOST = 10


@click.command(
    epilog="""\b
    Examples:
      kifabrik maintenance watch readings --out result
      kifabrik maintenance watch messwerte --label Störung --given Last --out ergebnis --language de
      kifabrik maintenance watch readings --faults faults.csv --before 48h --out result
      kifabrik maintenance watch readings --leave-out Recipe --leave-out Shift --out result
    """
)
@click.argument("readings", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the result."
)
@click.option("--label", default="", metavar="COLUMN", help="Column that is above 0 while a fault goes on.")
@click.option(
    "--faults",
    "list_of_faults",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Table of known faults: columns from (von), and perhaps to (bis) and what (was).",
)
@click.option("--leave-out", multiple=True, metavar="COLUMN", help="A column that is no sensor; may be repeated.")
@click.option(
    "--given",
    multiple=True,
    metavar="COLUMN",
    help="A sensor that says what the machine was told to do, such as its load; never blamed. May be repeated.",
)
@click.option(
    "--learn",
    type=click.FloatRange(0.05, 0.95),
    default=0.6,
    show_default=True,
    help="Share of the rows, the first.",
)
@click.option(
    "--before",
    default="",
    help="An alarm so long before a fault, or less, announces it; 72h if left out, 0 where no column holds times.",
)
@click.option(
    "--false-alarms",
    type=click.FloatRange(0.01, 1000),
    default=1.0,
    show_default=True,
    help="How many a month to put up with; the limit is set by it.",
)
@click.option("--every", default="1m", show_default=True, help="Time from row to row, where no column holds times.")
@click.option("--title", default="", help="What the report calls the machine; the folder's name if left out.")
@language_option("Of report and tables.")
@json_option
def watch(
    readings: Path,
    out: Path,
    label: str,
    list_of_faults: Path | None,
    leave_out: tuple[str, ...],
    given: tuple[str, ...],
    learn: float,
    before: str,
    false_alarms: float,
    every: str,
    title: str,
    language: Literal["de", "en"],
    *,
    as_json: bool,
) -> None:
    """Learn from the first rows of READINGS what is usual, and report when the rest was not.

    READINGS is a folder of CSV files or workbooks (or one file), a column per sensor, the first line naming them.
    Comma or point, semicolon or tab, UTF-8 or Windows do not matter.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    from kifabrik.recipes.maintenance.faults import read_faults  # noqa: PLC0415
    from kifabrik.recipes.maintenance.reading import read_readings  # noqa: PLC0415
    from kifabrik.recipes.maintenance.report import write_report  # noqa: PLC0415
    from kifabrik.recipes.maintenance.report.page import summary  # noqa: PLC0415
    from kifabrik.recipes.maintenance.saving import save_study  # noqa: PLC0415
    from kifabrik.recipes.maintenance.saying import Sayer  # noqa: PLC0415
    from kifabrik.recipes.maintenance.watching import Wishes  # noqa: PLC0415
    from kifabrik.recipes.maintenance.watching import watch as study_of  # noqa: PLC0415
    from kifabrik.values import parse_duration  # noqa: PLC0415

    if readings.is_dir() and out.resolve().is_relative_to(readings.resolve()):
        raise UsageError(f"{out} lies among the readings", hint="Name another folder for the result.")
    found = read_readings(readings, label=label, leave_out=leave_out, every=max(1, parse_duration(every)))
    wishes = Wishes(
        learn=learn,
        before=np.timedelta64(parse_duration(before or ("72h" if found.timed else "0")), "s"),
        false_a_month=false_alarms,
        given=given,
    )
    sayer = Sayer(language)
    if not as_json:
        _say_read(found, sayer)
    study = study_of(found, read_faults(list_of_faults) if list_of_faults else (), wishes)
    save_study(study, out, sayer)
    report = write_report(study, out, sayer, title or readings.resolve().stem)
    if as_json:
        show_json(_document(study, sayer) | {"report": str(report)})
        return
    show_alarms(study.alarms, study.readings.names, study.readings, sayer)
    click.echo(folded(summary(study, sayer), sys.stdout))
    remark(sayer.words("said_report", path=report))


def show_alarms(alarms: "tuple[Alarm, ...]", names: tuple[str, ...], readings: "Readings", sayer: "Sayer") -> None:
    """Print the strongest alarms in order of time."""
    strongest = sorted(sorted(alarms, key=lambda one: -one.strength)[:_MOST], key=lambda one: one.start)
    rows = [
        (
            sayer.time(alarm.start, readings),
            sayer.time(alarm.end, readings),
            sayer.figure(alarm.strength),
            ", ".join(
                "{} {} ({})".format(names[one.sensor], *sayer.pair(one.value, one.expected)) for one in alarm.causes
            ),
        )
        for alarm in strongest
    ]
    if rows:
        head = [sayer.words(word).upper() for word in ("from", "to", "strength")]
        show_table([*head, f"{sayer.words('shows')} ({sayer.words('expected')})".upper()], rows, right=(2,))


def alarm_document(alarm: "Alarm", names: tuple[str, ...]) -> dict[str, Any]:
    """An alarm as JSON."""
    return {
        "from": str(alarm.start),
        "to": str(alarm.end),
        "strength": round(alarm.strength, 4),
        "lasts": alarm.lasts,
        "sensors": [
            {"name": names[one.sensor], "shows": one.value, "expected": one.expected, "outside_range": one.out}
            for one in alarm.causes
        ],
    }


def _say_read(found: "Readings", sayer: "Sayer") -> None:
    remark(sayer.read(found))
    for column in found.left_out:
        remark(f"  {sayer.words('said_left')}  {column.name}: {sayer.left_out(column)}")
    for odd in sayer.remarks(found):
        warn(odd)
    if not found.timed:
        remark(f"  {sayer.words('said_untimed')}")


def _document(study: "Study", sayer: "Sayer") -> dict[str, Any]:
    verdict = study.verdict
    return {
        "sensors": list(study.readings.names),
        "left_out": [{"name": one.name, "why": sayer.left_out(one)} for one in study.readings.left_out],
        "rows": len(study.readings.times),
        "remarks": sayer.remarks(study.readings),
        "learnt_rows": study.good,
        "limit": study.watcher.limit,
        "alarms": [alarm_document(alarm, study.readings.names) for alarm in study.alarms],
        "faults": [
            {
                "from": str(one.fault.start),
                "to": str(one.fault.end),
                "what": one.fault.what,
                "lead_s": None if one.lead is None else int(one.lead.astype(int)),
                "late": one.late,
            }
            for one in verdict.seen
        ],
        "false_alarms": len(verdict.false),
        "months_without_fault": verdict.months,
        "false_alarms_a_month": verdict.false_a_month,
        "false_alarms_a_month_at_most": verdict.false_at_most,
    }
