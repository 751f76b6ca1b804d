"""What is wrong with a plan, as a sentence that names the place."""

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from kifabrik.errors import UsageError


def first_fault(error: ValidationError, kind: type[BaseModel], where: str) -> UsageError:
    """Return the first fault of a plan.

    Args:
        error: What pydantic found.
        kind: Of plan.
        where: Name of the file.
    """
    fault = error.errors(include_url=False)[0]
    names = [str(part) for part in fault["loc"]]
    place = ".".join(names) or "the file"
    if fault["type"] == "extra_forbidden":
        known = _known(kind, fault["loc"][:-1])
        near = difflib.get_close_matches(names[-1], known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}." if known else ""
        return UsageError(f"{where}: unknown key {place!r}", hint=hint)
    if fault["type"] == "missing":
        return UsageError(f"{where}: {place!r} is missing", hint="docs/sap.md has an example.")
    if fault["type"] == "string_too_short":
        return UsageError(f"{where}: {place!r} is empty", hint="Fill it in; docs/sap.md says what goes there.")
    message = str(fault["msg"]).removeprefix("Value error, ")
    return UsageError(f"{where}: {place}: {message}" if names else f"{where}: {message}")


def _known(kind: type[BaseModel], above: tuple[int | str, ...]) -> list[str]:
    model: Any = kind
    for name in above:
        if isinstance(name, int):
            continue
        field = model.model_fields.get(name)
        found = _model_in(field.annotation) if field is not None else None
        if found is None:
            return []
        model = found
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [one for one in map(_model_in, getattr(annotation, "__args__", ())) if one is not None]
    return inner[0] if len(inner) == 1 else None
