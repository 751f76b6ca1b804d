"""The watch as a job of an AI factory: `python -m kifabrik.recipes.maintenance.job`, in a room without network.

    … /data/readings --out /out/watch --language de

What it prints is the run's log, which is sealed; metrics go to the file that `KIFABRIK_METRICS` names.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kifabrik.recipes import run_log
from kifabrik.recipes.maintenance.faults import read_faults
from kifabrik.recipes.maintenance.reading import read_readings
from kifabrik.recipes.maintenance.report import write_report
from kifabrik.recipes.maintenance.report.page import summary
from kifabrik.recipes.maintenance.saving import save_study
from kifabrik.recipes.maintenance.saying import Sayer
from kifabrik.recipes.maintenance.watching import Wishes, watch


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the words after the command say; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kifabrik.recipes.maintenance.job", description="A watch.")
    parser.add_argument("readings", type=Path, help="folder of CSV files or workbooks")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--title", default="machine")
    parser.add_argument("--label", default="", help="column above 0 while a fault goes on")
    parser.add_argument("--faults", type=Path, default=None, help="a list of faults")
    parser.add_argument("--leave-out", action="append", default=[], help="a column that is no sensor")
    parser.add_argument("--given", action="append", default=[], help="a sensor that says what the machine was told")
    parser.add_argument("--learn", type=float, default=0.6)
    parser.add_argument("--before", type=int, default=72, help="hours")
    parser.add_argument("--false-alarms", type=float, default=1.0, help="a month")
    parser.add_argument("--every", type=int, default=60, help="seconds between rows without times")
    parser.add_argument("--language", choices=("de", "en"), default="en")
    said = parser.parse_args(arguments)
    return run_log.attempt(lambda: _run(said))


def _run(said: argparse.Namespace) -> None:
    readings = read_readings(said.readings, label=said.label, leave_out=said.leave_out, every=said.every)
    sayer = Sayer(said.language)
    run_log.say(sayer.read(readings))
    for column in readings.left_out:
        run_log.say(f"left out {column.name}: {sayer.left_out(column)}")
    for remark in sayer.remarks(readings):
        run_log.say(remark)
    before = np.timedelta64(said.before, "h").astype("timedelta64[s]")
    wishes = Wishes(learn=said.learn, before=before, false_a_month=said.false_alarms, given=tuple(said.given))
    study = watch(readings, read_faults(said.faults) if said.faults else (), wishes)
    save_study(study, said.out, sayer)
    write_report(study, said.out, sayer, said.title)
    run_log.say(summary(study, sayer))
    run_log.report("alarms", len(study.alarms))
    run_log.report("false_alarms_a_month", study.verdict.false_a_month)
    if study.verdict.seen:
        run_log.report("announced", study.verdict.announced / len(study.verdict.seen))


if __name__ == "__main__":
    sys.exit(main())
