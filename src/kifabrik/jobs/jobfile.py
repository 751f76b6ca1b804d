"""The job file: what a person writes, parsed into types.

Invariants:
- unknown keys are errors with a suggestion; YAML aliases, tags and multiple documents are refused;
- every path in it is absolute inside the sandbox and stays in the folder meant for it;
- sizes, durations, GPUs and money are parsed here, so nothing later sees their text.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.jobs.matrix import Matrix
from kifabrik.jobs.plain_yaml import parse_plain
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.values import (
    MICRO_PER_EUR,
    MOST_NODES,
    MOST_TASKS,
    Money,
    Place,
    Resources,
    format_time,
    parse_duration,
    parse_size,
)

_LARGEST_BYTES: Final = 256 * 1024
_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MOST_NEEDS: Final = 50
_GPU: Final = re.compile(
    r"(?P<model>[A-Za-z][A-Za-z0-9 _-]*?)(?::(?P<of_model>\d+))?"
    r"|(?P<any>\d+)"
    r"|(?P<memory>\d+\s*[GT]i?B)\.\.(?::(?P<of_memory>\d+))?"
)
_REFERENCE: Final = re.compile(r"(?P<model>model:)?(?P<name>[a-z0-9][a-z0-9._-]{0,63})(?:@(?P<version>[1-9]\d*))?")
_OUTPUT: Final = re.compile(
    r"output:(?P<name>[a-z0-9][a-z0-9._-]{0,63})(?:/(?P<task>[1-9]\d{0,4}))?/(?P<output>[a-z0-9][a-z0-9._-]{0,63})"
)


@dataclass(frozen=True)
class InputReference:
    """A dataset, a model or an output of a run by the name people use.

    Args:
        name: Dataset or model name; of an output, the name or id of the run.
        model: Whether it is a model, made by an earlier run.
        version: 0 for the newest.
        output: Name of the output of a run, which may still go on; empty for a dataset or model.
        task: Number of the task of a sweep that puts it out; 0 if the run is no sweep.
    """

    name: str
    model: bool = False
    version: int = 0
    output: str = ""
    task: int = 0

    @classmethod
    def from_text(cls, text: str) -> "InputReference":
        """Read `press-line-7@3`, `model:press-anomaly@2` or `output:prepare/features`.

        Versions may be left out; of a sweep's task it is `output:sweep/17/features`.

        Raises:
            UsageError: The text is not a reference.
        """
        output = _OUTPUT.fullmatch(text)
        if output is not None:
            return cls(output["name"], output=output["output"], task=int(output["task"] or 0))
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise UsageError(
                f"not a dataset or model: {text!r}",
                hint="Write NAME, NAME@VERSION, model:NAME or output:RUN/OUTPUT.",
            )
        return cls(match["name"], match["model"] is not None, int(match["version"] or 0))

    @property
    def run(self) -> str:
        """What the run that puts it out is called: `prepare`, or `sweep/17`."""
        return f"{self.name}/{self.task}" if self.task else self.name

    def __str__(self) -> str:
        if self.output:
            return f"output:{self.run}/{self.output}"
        version = f"@{self.version}" if self.version else ""
        return f"{'model:' if self.model else ''}{self.name}{version}"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _absolute(text: str) -> str:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or str(path) != text.rstrip("/"):
        raise ValueError(f"{text!r} is not a plain absolute path such as /out/model")
    return str(path)


Name = Annotated[str, Field(pattern=_NAME)]
AbsolutePath = Annotated[str, BeforeValidator(lambda value: _absolute(str(value)))]
Seconds = Annotated[int, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
Euros = Annotated[Money, BeforeValidator(Money.from_text)]


class EnvironmentPart(_Part):
    """What the job's Python environment is made from."""

    requirements: str | list[str] = ""
    """A requirements file beside the job file, or the requirements themselves as a list."""
    python: str = Field(default="3.11", pattern=r"^3\.\d{1,2}$")
    index: str | None = None
    find_links: list[str] = Field(default_factory=list, alias="find-links")
    variables: dict[str, str] = Field(default_factory=dict)


class ResourcesPart(_Part):
    """What each node must offer; in the shape users of dstack and SkyPilot know."""

    gpu: str | int = 0
    cpu: int = Field(default=1, ge=1, le=4096)
    memory: Size = 2 * 10**9
    nodes: int = Field(default=1, ge=1, le=MOST_NODES)
    disk: Size = 0

    def parsed(self) -> Resources:
        """Return the resources as values.

        Raises:
            UsageError: The GPU request is not of a known form.
        """
        model, count, memory = parse_gpu(str(self.gpu))
        return Resources(
            cpus=self.cpu,
            memory_bytes=self.memory,
            gpu_count=count,
            gpu_model=model,
            gpu_memory_bytes=memory,
            disk_bytes=self.disk,
            nodes=self.nodes,
        )


class PlacePart(_Part):
    """Where the job may run."""

    country: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    site: str = Field(default="", max_length=64)
    node_class: str = Field(default="", alias="class", max_length=64)


class RetryPart(_Part):
    """When another attempt is made."""

    attempts: int = Field(default=1, ge=1, le=20)
    on: list[str] = Field(default_factory=lambda: ["preemption", "node-failure"])

    @field_validator("on")
    @classmethod
    def _known(cls, causes: list[str]) -> list[str]:
        for cause in causes:
            if cause not in ("preemption", "node-failure", "error"):
                raise ValueError(f"{cause!r} is not one of preemption, node-failure, error")
        return causes


class SlurmPart(_Part):
    """What is asked of a Slurm cluster; one machine sets it aside."""

    partition: str = ""
    qos: str = ""
    account: str = ""
    constraint: str = ""
    reservation: str = ""
    exclusive: bool = False
    switches: str = ""
    dependency: str = ""
    signal: str = ""
    licenses: str = ""
    nice: int = 0
    begin: str = ""

    def parsed(self) -> SlurmOptions:
        """Return the wishes as values.

        Raises:
            UsageError: A value does not have its form.
        """
        return SlurmOptions(**self.model_dump())


class FlexiblePart(_Part):
    """That runs may wait for a better hour of the plant: heat is wanted, or the river is cool."""

    until: datetime
    """When they are to have ended; without a zone, UTC."""

    def time(self) -> str:
        """The time as statements write it."""
        return format_time(self.until if self.until.tzinfo else self.until.replace(tzinfo=UTC))


class JobFile(_Part):
    """A whole job file."""

    name: str = Field(pattern=_NAME)
    purpose: str = Field(pattern=_NAME)
    run: str = Field(min_length=1, max_length=100_000)
    data: dict[AbsolutePath, str] = Field(default_factory=dict)
    workdir: str = "."
    environment: EnvironmentPart = Field(default_factory=EnvironmentPart)
    resources: ResourcesPart = Field(default_factory=ResourcesPart)
    outputs: dict[Annotated[str, Field(pattern=_NAME)], AbsolutePath] = Field(default_factory=dict, max_length=100)
    publish: list[Annotated[str, Field(max_length=100)]] = Field(default_factory=list, max_length=64)
    checkpoint: AbsolutePath | None = None
    max_duration: Seconds = 3600
    budget: Euros = Money(0)
    place: PlacePart = Field(default_factory=PlacePart)
    retry: RetryPart = Field(default_factory=RetryPart)
    slurm: SlurmPart = Field(default_factory=SlurmPart)
    priority: int = Field(default=0, ge=-100, le=100)
    ask: bool = False
    flexible: FlexiblePart | None = None
    matrix: Any = None
    """A grid or a list of parameters: the job is a sweep, one task for each point. See `points`."""
    max_parallel: int = Field(default=0, ge=0, le=MOST_TASKS)
    needs: list[Annotated[str, Field(pattern=_NAME)]] = Field(default_factory=list, max_length=MOST_NEEDS)
    """Runs or sweeps that must succeed first, by job name or id; those whose outputs are used need no mention."""

    @field_validator("matrix")
    @classmethod
    def _matrix(cls, written: Any) -> Any:
        if written is not None:
            try:
                Matrix.from_plain(written)
            except UsageError as error:
                raise ValueError(f"{error.message} {error.hint}".strip()) from None
        return written

    @model_validator(mode="after")
    def _fits_together(self) -> "JobFile":
        if self.max_parallel and self.matrix is None:
            raise ValueError("max_parallel is for a sweep: say its points with matrix")
        for name in self.swept().names if self.matrix is not None else ():
            if name in self.environment.variables:
                raise ValueError(f"{name!r} stands in the matrix and among the environment's variables")
        return self

    @field_validator("data")
    @classmethod
    def _data_paths(cls, data: dict[str, str]) -> dict[str, str]:
        for path, reference in data.items():
            if path == "/data":
                raise ValueError("give each input a folder of its own, such as /data/press")
            if not path.startswith("/data/") or "/" in path.removeprefix("/data/"):
                raise ValueError(f"{path!r} is not a folder directly beneath /data")
            InputReference.from_text(reference)
        return data

    @field_validator("outputs")
    @classmethod
    def _output_paths(cls, outputs: dict[str, str]) -> dict[str, str]:
        for path in outputs.values():
            if not path.startswith("/out/"):
                raise ValueError(
                    f"{path!r} is not beneath /out: only declared outputs beneath /out leave the sandbox"
                )
        return outputs

    @field_validator("checkpoint")
    @classmethod
    def _checkpoint_path(cls, path: str | None) -> str | None:
        if path not in (None, "/checkpoint"):
            raise ValueError("the checkpoint folder is /checkpoint")
        return path

    def inputs(self) -> dict[str, InputReference]:
        """Mount path to what is shown there."""
        return {path: InputReference.from_text(text) for path, text in self.data.items()}

    def swept(self) -> Matrix:
        """Return the points of the sweep.

        Raises:
            UsageError: The job is no sweep.
        """
        return Matrix.from_plain(self.matrix)

    def changed(self, *, variables: Mapping[str, str], **changes: Any) -> "JobFile":
        """Return the job with more environment variables and other fields.

        Raises:
            UsageError: A field does not exist, or its value makes no sense.
        """
        body = self.model_dump(by_alias=True, exclude={"budget"})
        body["budget"] = f"{Decimal(self.budget.micro_eur) / MICRO_PER_EUR}"
        body["environment"]["variables"] |= variables
        try:
            return JobFile.model_validate(body | changes)
        except ValidationError as error:
            raise _first_fault(error, "job") from None

    def where(self) -> Place:
        """Return the place as a value."""
        return Place(self.place.country, self.place.site, self.place.node_class)


def parse_gpu(text: str) -> tuple[str, int, int]:
    """Read `0`, `2`, `H200`, `H200:4`, `24GB..` or `24GB..:2`.

    Returns:
        Model (empty for any), count, least memory in bytes (0 for any).

    Raises:
        UsageError: The text is none of these.
    """
    match = _GPU.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"not a GPU request: {text!r}", hint="Write it like H200:4, 2 or 24GB..")
    if match["any"]:
        return "", int(match["any"]), 0
    if match["memory"]:
        return "", int(match["of_memory"] or 1), parse_size(match["memory"])
    return match["model"], int(match["of_model"] or 1), 0


def read_job(path: Path) -> JobFile:
    """Read a job file.

    Raises:
        NotFoundError: There is none.
        UsageError: It is not a job file; the message names the key and the line.
    """
    return parse_job(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Read the text of a job file.

    Raises:
        NotFoundError: There is none.
        UsageError: It is too large, or not text.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise UsageError(f"{path} is larger than a job file can be ({_LARGEST_BYTES // 1024} kB)")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no job file {path}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None


def parse_job(text: str, where: str = "job file") -> JobFile:
    """Parse the text of a job file.

    Raises:
        UsageError: As for `read_job`.
    """
    body = parse_plain(text, where)
    if not isinstance(body, Mapping):
        raise UsageError(f"{where} is not a job: it must be keys and values", hint="See docs/job-file.md.")
    try:
        job = JobFile.model_validate(body)
        job.slurm.parsed()
    except ValidationError as error:
        raise _first_fault(error, where) from None
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from None
    return job


def _first_fault(error: ValidationError, where: str) -> UsageError:
    fault = error.errors(include_url=False)[0]
    names = [str(part) for part in fault["loc"]]
    place = ".".join(names) or "the file"
    if fault["type"] == "extra_forbidden":
        known = _known_keys(names[:-1])
        near = difflib.get_close_matches(names[-1], known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}."
        return UsageError(f"{where}: unknown key {place!r}", hint=hint)
    if fault["type"] == "missing":
        return UsageError(f"{where}: {place!r} is missing", hint="See docs/job-file.md for an example.")
    message = str(fault["msg"]).removeprefix("Value error, ")
    return UsageError(f"{where}: {place}: {message}" if names else f"{where}: {message}")


def _known_keys(above: list[str]) -> list[str]:
    model: Any = JobFile
    for name in above:
        field = model.model_fields.get(name)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items()]
