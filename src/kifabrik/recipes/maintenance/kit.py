"""The watch as a kit: a job file, the recipe's code, and example readings to try it with."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kifabrik.recipes.kits import CODE, Kit, Setting, limits, name_of, one_of, sealed_steps, within, without
from kifabrik.recipes.maintenance.example import write_example

_JOB: Final = """\
# Learn what is usual on sealed readings of a machine, and report when it was not.
name: {name}
purpose: {purpose}
data: {{/data/readings: {dataset}}}
workdir: {code}
environment: {{requirements: requirements.txt}}
run: >-
  {run}
resources: {{cpu: {cpu}, memory: {memory}}}
outputs: {{watch: /out/watch}}
publish: []                    # the factory sees no figure; alarms, announced, false_alarms_a_month are there
max_duration: 1h
budget: {budget} EUR
retry: {{attempts: 3, on: [preemption, node-failure]}}
"""

_README: Final = """\
# Watching a machine on sealed readings

The readings are sealed here and learnt from in the factory, without network; report, list of alarms and model come
back sealed. The factory sees neither readings nor code nor results.

    {steps}

- The folder you seal holds CSV files or workbooks, one column per sensor. Nothing else should lie in it.
- If a column says when a fault went on, name it: `--set label=Fault`. If you have a list of faults, put it on line
  `run` as `--faults /data/faults/faults.csv`, and a dataset of its own on line `data`.
- New readings are checked here, with what was learnt: `kifabrik maintenance check FOLDER --model {result}`.
- `code/` is the recipe as it is installed here. It is yours: change it, it travels sealed.
"""
_RESULT: Final = "watch"
_UNSAFE: Final = "'\"\n\\"


def _files(values: Mapping[str, str]) -> dict[str, str]:
    words = ["python", "-m", "kifabrik.recipes.maintenance.job", "/data/readings", "--out", "/out/watch"]
    words += ["--title", values["title"], "--learn", f"0.{int(values['learn']):02d}", "--before", values["before"]]
    words += ["--false-alarms", values["false-alarms"], "--language", values["language"]]
    words += ["--label", values["label"]] if values["label"] else []
    words += ["--given", values["given"]] if values["given"] else []
    job = _JOB.format(code=CODE, run=shlex.join(words), **values)
    steps = "\n    ".join(_steps(Path(), values))
    return {"job.yaml": job, "README.md": _README.format(steps=steps, result=_RESULT)}


def _steps(folder: Path, values: Mapping[str, str]) -> tuple[str, ...]:
    return sealed_steps(folder, values, ["job.yaml"], _RESULT)


MAINTENANCE: Final = Kit(
    name="maintenance",
    about="Watch a machine on its sealed readings; alarms with their sensors and a report come back.",
    package="maintenance",
    extra="maintenance",
    settings=(
        Setting("name", "machine-watch", "name of the job", name_of("job")),
        Setting("dataset", "machine-readings", "dataset that holds the readings", name_of("dataset")),
        Setting("purpose", "predictive-maintenance", "what the data is used for", name_of("purpose")),
        Setting("title", "machine", "what the report calls the machine", without(_UNSAFE)),
        Setting("label", "", "column above 0 while a fault went on", without(_UNSAFE)),
        Setting(
            "given", "", "sensor that says what the machine was told to do, such as its load", without(_UNSAFE)
        ),
        Setting("learn", "60", "per cent of the rows to learn from, the first ones", within(1, 99)),
        Setting("before", "72", "hours before a fault in which an alarm announces it", within(1, 10_000)),
        Setting("false-alarms", "1", "a month to put up with", within(1, 1000)),
        Setting("language", "en", "of the report: de or en", one_of("de", "en")),
        *limits(cpu=1, memory="2GB", budget=1),
    ),
    files=_files,
    steps=_steps,
    example=write_example,
)
