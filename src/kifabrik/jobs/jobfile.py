"""The job file: what a person writes, parsed into types.

Invariants:
- unknown keys are errors with a suggestion; YAML aliases, tags and multiple documents are refused;
- every path in it is absolute inside the sandbox and stays in the folder meant for it;
- sizes, durations, GPUs and money are parsed here, so nothing later sees their text.
"""

import difflib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.jobs.matrix import Matrix
from kifabrik.jobs.parts import (
    FORMS,
    AbsolutePath,
    EnvironmentPart,
    Euros,
    FlexiblePart,
    Name,
    NewName,
    Part,
    PlacePart,
    ResourcesPart,
    RetryPart,
    Seconds,
    SlurmPart,
)
from kifabrik.jobs.plain_yaml import parse_plain
from kifabrik.jobs.references import InputReference
from kifabrik.values import MICRO_PER_EUR, MOST_TASKS, Money, Place

_LARGEST_BYTES: Final = 256 * 1024
MOST_NEEDS: Final = 50


class JobFile(Part):
    """A whole job file."""

    name: NewName
    purpose: Name
    run: str = Field(min_length=1, max_length=100_000)
    data: dict[AbsolutePath, str] = Field(default_factory=dict)
    workdir: str = "."
    environment: EnvironmentPart = Field(default_factory=EnvironmentPart)
    resources: ResourcesPart = Field(default_factory=ResourcesPart)
    outputs: dict[NewName, AbsolutePath] = Field(default_factory=dict, max_length=100)
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
    """A grid or a list of parameters: the job is a sweep, one task for each point. See `swept`."""
    max_parallel: int = Field(default=0, ge=0, le=MOST_TASKS)
    needs: list[Name] = Field(default_factory=list, max_length=MOST_NEEDS)
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
        raise NotFoundError(f"there is no job file {path}", hint="See docs/job-file.md for one.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", hint="Save it as UTF-8 in your editor.") from None


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
        job.resources.parsed()
    except ValidationError as error:
        raise _first_fault(error, where) from None
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from None
    return job


def _first_fault(error: ValidationError, where: str) -> UsageError:
    # A misspelt key is also a missing one: what was written is named, not what was meant.
    fault = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    names = [str(part) for part in fault["loc"]]
    place = ".".join(names) or "the file"
    if fault["type"] == "extra_forbidden":
        known = _known_keys(names[:-1])
        near = difflib.get_close_matches(names[-1], known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}."
        return UsageError(f"{where}: unknown key {place!r}", hint=hint)
    if fault["type"] == "missing":
        return UsageError(f"{where}: {place!r} is missing", hint="See docs/job-file.md for an example.")
    if fault["type"] == "string_pattern_mismatch":
        message = f"{where}: {place}: {fault['input']!r} is not of the right form"
        return UsageError(message, hint=FORMS.get(fault["ctx"]["pattern"], "See docs/job-file.md for an example."))
    message = str(fault["msg"]).removeprefix("Value error, ")
    if isinstance(fault["input"], str | int | float) and message.startswith("Input"):
        message = f"{fault['input']!r} does not fit: {message[0].lower()}{message[1:]}"
    return UsageError(f"{where}: {place}: {message}" if names else f"{where}: {message}")


def _known_keys(above: list[str]) -> list[str]:
    model: Any = JobFile
    for name in above:
        field = model.model_fields.get(name)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items()]
