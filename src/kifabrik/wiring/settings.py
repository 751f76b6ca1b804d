"""Files an operator writes settings in: read whole, with a sentence for whatever is wrong in them."""

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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{file}: {where}: {first['msg']}", hint="docs/operations.md lists all settings."
        ) from None
