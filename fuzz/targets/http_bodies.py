"""Bodies of the HTTP API as both sides parse them: what one accepts, it writes again and reads alike."""

import importlib
import json
import math
import pkgutil
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

import kifabrik.wire
from fuzz.material import DIGEST, TIME
from fuzz.target import Target, agree
from kifabrik.errors import IntegrityError, KifabrikError
from kifabrik.wire.body import Body

for _module in pkgutil.iter_modules(kifabrik.wire.__path__):
    importlib.import_module(f"kifabrik.wire.{_module.name}")


def _kinds(base: type[Body] = Body) -> Iterator[type[Body]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


KINDS = {kind.__name__: kind for kind in sorted(_kinds(), key=lambda kind: kind.__name__)}


def one(data: bytes) -> None:
    """Read `Name` LF body, as the service does what it is sent and a client what it is answered."""
    name, _, body = data.partition(b"\n")
    kind = KINDS.get(name.decode("ascii", errors="replace"))
    if kind is None:
        raise IntegrityError("no body of that name")
    try:
        read = kind.model_validate_json(body)
    except ValidationError as error:
        error.errors(include_url=False, include_context=False)
        raise IntegrityError("not such a body") from None
    if _is_finite(read.model_dump()):
        agree(kind.model_validate_json(read.model_dump_json()), read, f"a {kind.__name__} written and read again")


def _is_finite(value: Any) -> bool:
    """JSON has no word for the others, so they are written as nothing."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _example(schema: dict[str, Any], parts: dict[str, Any], name: str = "") -> Any:
    """Make a value a schema describes."""
    if "$ref" in schema:
        return _example(parts[schema["$ref"].rpartition("/")[2]], parts, name)
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], parts, name)
    if schema.get("type") == "object":
        return {field: _example(inner, parts, field) for field, inner in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [_example(schema["items"], parts, name)] if "items" in schema else []
    return schema.get("const", _plain_example(schema, name))


def _plain_example(schema: dict[str, Any], name: str) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "string":
        texts = {"at": TIME, "created": TIME, "country": "DE", "python": "3.11"}
        return DIGEST if "a-f" in schema.get("pattern", "") else texts.get(name, "AAAA")
    return {"integer": max(1, int(schema.get("minimum", 1))), "number": 1.5}.get(schema.get("type", ""), True)


def seeds() -> Iterator[bytes]:
    """One of each kind, after its own schema."""
    for name, kind in KINDS.items():
        schema = kind.model_json_schema()
        yield f"{name}\n{json.dumps(_example(schema, schema.get('$defs', {})))}".encode()


TARGET = Target(
    "bodies of the HTTP API",
    one,
    (KifabrikError,),
    seeds,
    (
        b"Infinity",
        b"NaN",
        b"1e400",
        b"\\ud800",
        b"null",
        b"[[[[",
        b"-0",
        b"9223372036854775808",
        b"AA==",
        b"A",
        b"\xff",
    ),
)
