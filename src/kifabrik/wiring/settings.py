"""Files an operator writes settings in: read whole, with a sentence for whatever is wrong in them."""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from kifabrik.errors import KifabrikError, UsageError
from kifabrik.values import parse_duration, parse_size

M = TypeVar("M", bound=BaseModel)


def _size(value: object) -> object:
    try:
        return parse_size(value) if isinstance(value, str) else value
    except KifabrikError as error:
        raise ValueError(error.message) from None


def _duration(value: object) -> object:
    try:
        return parse_duration(value) if isinstance(value, str) else value
    except KifabrikError as error:
        raise ValueError(error.message) from None


Duration = Annotated[int, BeforeValidator(_duration)]
"""Seconds, or text such as `14d`."""

Size = Annotated[int, BeforeValidator(_size)]
"""Bytes, or text such as `1TB`."""


def read_settings(file: Path, cls: type[M], missing: UsageError) -> M:
    """Read a TOML file.

    Args:
        file: The file.
        cls: What it says.
        missing: Raised if there is no such file.

    Raises:
        UsageError: A setting is wrong; the message names it.
    """
    try:
        return cls.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise missing from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text", hint="Save it as UTF-8 in your editor.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}", hint="docs/operations.md shows one.") from None
    except ValidationError as error:
        raise _first_fault(file, cls, error) from None


def _first_fault(file: Path, cls: type[BaseModel], error: ValidationError) -> UsageError:
    """Return the error that names a setting, with the nearest known one where there is none of its name."""
    first = error.errors()[0]
    names = [str(part) for part in first["loc"]]
    where, hint = ".".join(names), "docs/operations.md lists all settings."
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(names[-1], _settings_of(cls, names[:-1]), n=1)
        return UsageError(f"{file}: unknown setting {where!r}", hint=f"Did you mean {near[0]!r}?" if near else hint)
    if first["type"] == "missing":
        return UsageError(f"{file}: {where!r} is missing", hint=hint)
    message = str(first["msg"]).removeprefix("Value error, ")
    if message.startswith("Input"):
        message = f"{first['input']!r} does not fit: {message[0].lower()}{message[1:]}"
    return UsageError(f"{file}: {where}: {message}", hint=hint)


def _settings_of(cls: type[BaseModel], above: list[str]) -> list[str]:
    for name in above:
        field = cls.model_fields.get(name)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        cls = field.annotation
    return list(cls.model_fields)
