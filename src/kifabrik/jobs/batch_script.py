"""An existing sbatch script as a job: `#SBATCH` lines become resources and wishes, three comments name sealed data.

    #SBATCH --gpus-per-node=h200:4 --time=2:00:00
    #KIFABRIK purpose predictive-maintenance
    #KIFABRIK data /data/press=press-line-7
    #KIFABRIK output model=/out/model
    python train.py --data /data/press --out /out/model

Invariants:
- the script is not changed; to Slurm itself the three lines are comments;
- what is asked for is what Slurm would have given, or an error that says why not.

Source: sbatch(1) of 22.05 to 25.11.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from kifabrik.errors import UsageError
from kifabrik.jobs.batch_lines import SET_ASIDE, Word, kifabrik_words, slurm_words
from kifabrik.jobs.jobfile import JobFile
from kifabrik.orders.slurm_options import SlurmOptions

_MEMORY: Final = re.compile(r"(\d{1,15})([KMGT]?)B?", re.IGNORECASE)
_MEMORY_UNITS: Final = {"": 2**20, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
"""Of sbatch: binary, and MiB without a letter."""
_GRES: Final = re.compile(r"(?:gpu:)?(?:(?P<model>[A-Za-z][\w.-]*):)?(?P<count>\d{1,6})")
_CLOCK: Final = re.compile(r"(?:(\d{1,9})-)?(\d{1,9})(?::(\d{1,9}))?(?::(\d{1,9}))?")
_DEFAULT_LIMIT_S: Final = 3600
_ATTEMPTS_OF_A_REQUEUE: Final = 3
"""What `--requeue` means here: Slurm itself would try for ever."""
_OPTION_NAMES: Final = (
    "account", "begin", "constraint", "dependency", "licenses", "partition", "qos", "reservation",
    "signal", "switches",
)  # fmt: skip


@dataclass(frozen=True)
class BatchJob:
    """What a script asks for.

    Args:
        job: As a job file would have said it; it runs the script.
        array: Its tasks, as sbatch was told them; empty for one job.
        remarks: What was set aside, and why: for the person to read.
    """

    job: JobFile
    array: str
    remarks: tuple[str, ...]


def parse_batch(text: str, file: str) -> BatchJob:
    """Read an sbatch script.

    Args:
        text: The whole script.
        file: Its name beside the job's code, such as `train.sbatch`.

    Raises:
        UsageError: A line makes no sense; the message names it.
    """
    if not text.startswith("#!"):
        raise UsageError(f"{file} is not a script: its first line must name its shell, such as #!/bin/bash")
    words = slurm_words(text, file)
    given = {word.name: word for word in words}
    try:
        body = _body(given, file) | _sealed(kifabrik_words(text, file), file) | {"slurm": _wishes(given)}
        if "requeue" in given:
            body["retry"] = {"attempts": _ATTEMPTS_OF_A_REQUEUE}
        job = JobFile.model_validate(body)
        job.resources.parsed()
        array = SlurmOptions(array=given["array"].value).array if "array" in given else ""
        job.slurm.parsed()
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise UsageError(f"{file}: {place}: {str(fault['msg']).removeprefix('Value error, ')}") from None
    except UsageError as error:
        told = error.message if error.message.startswith(file) else f"{file}: {error.message}"
        raise UsageError(told, hint=error.hint) from None
    aside = {word.name: word for word in words if word.name in SET_ASIDE}
    remarks = tuple(f"line {word.line}: --{name} is set aside: {SET_ASIDE[name]}" for name, word in aside.items())
    return BatchJob(job, array, remarks)


def _wishes(given: dict[str, Word]) -> dict[str, Any]:
    texts: dict[str, Any] = {name: given[name].value for name in _OPTION_NAMES if name in given}
    nice = given["nice"].value or "100" if "nice" in given else "0"
    if not nice.isdigit():
        raise UsageError(f"--nice={nice} is not a number from 0 on; only the operator makes runs earlier")
    if given.get("exclusive", Word(0, "", "")).value:
        raise UsageError("--exclusive takes no value here")
    return texts | {"exclusive": "exclusive" in given, "nice": int(nice)}


def _body(given: dict[str, Word], file: str) -> dict[str, Any]:
    def value(name: str, otherwise: str = "") -> str:
        return given[name].value if name in given else otherwise

    nodes = _count(value("nodes", "1"), "nodes")
    per_node = _tasks_per_node(value("ntasks"), value("ntasks-per-node"), nodes, named="nodes" in given)
    if per_node.nodes != nodes:
        nodes = per_node.nodes
    cpus = per_node.tasks * _count(value("cpus-per-task", "1"), "cpus-per-task")
    resources: dict[str, Any] = {"nodes": nodes, "cpu": cpus, "gpu": _gpus(given, nodes, per_node.tasks)}
    if "mem" in given and "mem-per-cpu" in given:
        raise UsageError("--mem and --mem-per-cpu exclude each other")
    if "mem" in given:
        resources["memory"] = _memory(value("mem"))
    elif "mem-per-cpu" in given:
        resources["memory"] = _memory(value("mem-per-cpu")) * cpus
    name = re.sub(r"[^a-z0-9._-]+", "-", value("job-name", file.rpartition(".")[0] or file).lower()).strip("-._")
    return {
        "name": name[:64] or "job",
        "run": f"bash {file}" if re.fullmatch(r"[A-Za-z0-9_.-]+", file) else _bad_name(file),
        "resources": resources,
        "max_duration": _time(value("time")) if "time" in given else _DEFAULT_LIMIT_S,
    }


def _bad_name(file: str) -> str:
    raise UsageError(f"the script's name {file[:60]!r} may hold letters, digits, '.', '_' and '-' only")


def _sealed(words: Sequence[Word], file: str) -> dict[str, Any]:
    data: dict[str, str] = {}
    outputs: dict[str, str] = {}
    purpose = ""
    for word in words:
        where = f"{file}, line {word.line}"
        left, equals, right = word.value.partition("=")
        if word.name == "purpose" and not purpose:
            purpose = word.value
        elif word.name == "data" and equals and left not in data:
            data[left.strip()] = right.strip()
        elif word.name == "output" and equals and left not in outputs:
            outputs[left.strip()] = right.strip()
        else:
            raise UsageError(
                f"{where}: not a line for kifabrik, or one that stands there twice",
                hint="Write '#KIFABRIK purpose WORD', '#KIFABRIK data /data/NAME=DATASET' or"
                " '#KIFABRIK output NAME=/out/FOLDER'.",
            )
    if not purpose:
        raise UsageError(
            f"{file} does not say what for", hint="Add a line such as: #KIFABRIK purpose predictive-maintenance"
        )
    return {"purpose": purpose, "data": data, "outputs": outputs}


@dataclass(frozen=True)
class _Layout:
    nodes: int
    tasks: int


def _tasks_per_node(ntasks: str, ntasks_per_node: str, nodes: int, *, named: bool) -> _Layout:
    """Tasks on each node; without `--nodes`, `--ntasks` and `--ntasks-per-node` say how many there are."""
    each = _count(ntasks_per_node, "ntasks-per-node") if ntasks_per_node else 0
    total = _count(ntasks, "ntasks") if ntasks else 0
    if total and each and not named:
        nodes = -(-total // each)
    if not total:
        return _Layout(nodes, each or 1)
    if total % nodes or (each and total != each * nodes):
        raise UsageError(
            f"--ntasks={total} does not divide evenly over {nodes} nodes", hint="Use --ntasks-per-node."
        )
    return _Layout(nodes, total // nodes)


def _gpus(given: dict[str, Word], nodes: int, tasks: int) -> str:
    named = [name for name in ("gpus", "gpus-per-node", "gpus-per-task", "gres") if name in given]
    if not named:
        return "0"
    if len(named) > 1:
        raise UsageError(f"--{named[0]} and --{named[1]} both ask for GPUs", hint="Keep one of them.")
    value = given[named[0]].value
    match = _GRES.fullmatch(value) if value.startswith("gpu:") == (named[0] == "gres") else None
    if match is None:
        raise UsageError(f"--{named[0]}={value[:60]} is not a number of GPUs", hint="Write --gpus-per-node=h200:4.")
    count = int(match["count"]) * (tasks if named[0] == "gpus-per-task" else 1)
    if named[0] == "gpus":
        if count % nodes:
            raise UsageError(f"--gpus={count} does not divide evenly over {nodes} nodes")
        count //= nodes
    return f"{match['model']}:{count}" if match["model"] and count else str(count)


def _count(text: str, name: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,6}", text):
        raise UsageError(
            f"--{name}={text[:40]} is not a number from 1 on", hint="Ranges are not taken; name one number."
        )
    return int(text)


def _memory(text: str) -> int:
    match = _MEMORY.fullmatch(text)
    if match is None or not int(match[1]):
        raise UsageError(f"{text[:40]!r} is not an amount of memory", hint="Write --mem=16G.")
    return int(match[1]) * _MEMORY_UNITS[match[2].upper()]


def _time(text: str) -> int:
    """Read `90` (minutes), `90:00`, `1:30:00`, `1-12`, `1-12:00` or `1-12:00:00` and return seconds."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise UsageError(f"{text[:40]!r} is not a time limit", hint="Write --time=2:00:00.")
    days, *clock = match.groups()
    numbers = [int(part) for part in clock if part is not None]
    if days is not None:  # days-hours[:minutes[:seconds]]
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:  # noqa: PLR2004 - hours:minutes:seconds
        hours, minutes, seconds = numbers
    else:  # minutes[:seconds]
        hours, minutes, seconds = 0, *[*numbers, 0][:2]
    total = ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
    if not total:
        raise UsageError("a run without a time limit is not taken", hint="Write --time=2:00:00.")
    return total
