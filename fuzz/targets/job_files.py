"""Job files: YAML by hand or by an attacker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from fuzz.material import text_of
from fuzz.target import Target, agree
from kifabrik.errors import UsageError
from kifabrik.jobs.jobfile import JobFile, parse_job
from kifabrik.jobs.plain_yaml import parse_plain

_EXAMPLES = Path(__file__).parents[2] / "examples"
_WHOLE = b"""name: press-anomaly
purpose: predictive-maintenance
data: {/data/press: press-line-7@3, /data/model: "model:press@2", /data/x: "output:search/17/features"}
matrix: {lr: [0.1, 0.01], opt: [adam, sgd], deep: [true, false]}
max_parallel: 2
needs: [prepare]
environment: {requirements: [numpy], variables: {A: "1"}}
run: |
  python train.py --data /data/press
resources: {gpu: "24GB..:2", cpu: 4, memory: 16GB, nodes: 1, disk: 50GB}
outputs: {model: /out/model}
publish: [auc]
checkpoint: /checkpoint
max_duration: 2h 30m
budget: 25 EUR
place: {country: DE, class: a}
retry: {attempts: 3, on: [preemption]}
"""


def one(data: bytes) -> None:
    """Read as YAML, compared in shape with PyYAML's own reader, then as a job and all it is made of."""
    text = text_of(data)
    agree(_shape(parse_plain(text, "job")), _shape(yaml.load(text, yaml.BaseLoader)), "the shape of a text")  # noqa: S506
    job = parse_job(text)
    job.inputs()
    job.where()
    job.resources.parsed()
    agree(JobFile.changed(job, variables={}), job, "a job changed in nothing")


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(number): _shape(inner) for number, inner in enumerate(value.values())}
    return [_shape(inner) for inner in value] if isinstance(value, list) else "scalar"


def seeds() -> Iterator[bytes]:
    """The examples, and one with every key."""
    yield _WHOLE
    for path in sorted(_EXAMPLES.glob("*/job.yaml")):
        yield path.read_bytes()


TARGET = Target(
    "job files",
    one,
    (UsageError,),
    seeds,
    (
        *(
            b"&a ",
            b"*a",
            b"!!python/object:os.system",
            b"!!timestamp ",
            b"!!int ",
            b"<<: ",
            b"? ",
            b"---\n",
            b"|2\n",
        ),
        *(
            b"2026-13-45",
            b"0x_",
            b"1:99",
            b"!!binary ",
            b"!!set ",
            b"1e999",
            b".inf",
            b"%YAML 1.2\n",
            b"2001-01-01",
        ),
    ),
)
