"""The parts of a job file, and the texts in it that are parsed at once."""

from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from kifabrik.datasets.names import is_name
from kifabrik.jobs.gpu_requests import parse_gpu
from kifabrik.jobs.variables import fault_of_variables
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.values import MOST_NODES, Money, Resources, format_time, parse_duration, parse_size


class Part(BaseModel):
    """A part of a job file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _absolute(text: str) -> str:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or str(path) != text.rstrip("/"):
        raise ValueError(f"{text!r} is not a plain absolute path such as /out/model")
    return str(path)


def _no_id(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"{text!r} looks like an id: call it by a name")
    return text


_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_PYTHON: Final = r"^3\.\d{1,2}$"
_COUNTRY: Final = r"^([A-Z]{2})?$"
FORMS: Final = {
    _NAME: "Use 1 to 64 lower-case letters, digits, '-', '_' and '.', starting with a letter or digit.",
    _PYTHON: "Write it like 3.11, in quotes.",
    _COUNTRY: "Use the two capital letters of ISO 3166, such as DE.",
}
"""What to write, by the pattern it must match."""

Name = Annotated[str, Field(pattern=_NAME)]
NewName = Annotated[Name, AfterValidator(_no_id)]
"""What something is called from now on, and not what something is found by."""
AbsolutePath = Annotated[str, BeforeValidator(lambda value: _absolute(str(value)))]
Seconds = Annotated[int, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
Euros = Annotated[Money, BeforeValidator(Money.from_text)]


class EnvironmentPart(Part):
    """What the job's Python environment is made from."""

    requirements: str | list[str] = ""
    """A requirements file beside the job file, or the requirements themselves as a list."""
    python: str = Field(default="3.11", pattern=_PYTHON)
    index: str | None = None
    find_links: list[str] = Field(default_factory=list, alias="find-links")
    variables: dict[str, str] = Field(default_factory=dict)

    @field_validator("variables")
    @classmethod
    def _can_be_given(cls, variables: dict[str, str]) -> dict[str, str]:
        fault = fault_of_variables(variables)
        if fault:
            raise ValueError(fault)
        return variables


class ResourcesPart(Part):
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


class PlacePart(Part):
    """Where the job may run."""

    country: str = Field(default="", pattern=_COUNTRY)
    site: str = Field(default="", max_length=64)
    node_class: str = Field(default="", alias="class", max_length=64)


class RetryPart(Part):
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


class SlurmPart(Part):
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


class FlexiblePart(Part):
    """That runs may wait for a better hour of the plant: heat is wanted, or the river is cool."""

    until: datetime
    """When they are to have ended; without a zone, UTC."""

    def time(self) -> str:
        """The time as statements write it."""
        return format_time(self.until if self.until.tzinfo else self.until.replace(tzinfo=UTC))
