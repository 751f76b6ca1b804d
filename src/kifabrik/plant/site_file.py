"""Reading a site file: YAML with units; what is wrong is named by key and line."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from kifabrik.errors import UsageError
from kifabrik.plant.law.rows import rules
from kifabrik.plant.site import Site

SHIPPED: Final = Path(str(resources.files("kifabrik.plant"))) / "sites"
_HINT: Final = "`kifabrik plant template munich` writes a whole one, with a remark beside every number."


def shipped_sites() -> list[str]:
    """Names of the sites that come with kifabrik."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def find_site(name: str) -> Path:
    """The file of a site: a path, or the name of a shipped one, with or without its ending.

    Raises:
        UsageError: There is no such file.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = SHIPPED / f"{path.stem}.yaml"
    if path.parent == Path() and path.suffix in {"", ".yaml"} and shipped.is_file():
        return shipped
    hint = f"Name a file, or a shipped site: {', '.join(shipped_sites())}."
    raise UsageError(f"There is no site file {name}.", hint=hint)


@dataclass(frozen=True)
class SiteFile:
    """A site, and the text it was read from.

    Attributes:
        site: What it says.
        text: As it stood in the file.
        changes: Values that were set after reading, by path.
    """

    site: Site
    text: str
    changes: Mapping[str, Any]


def load_site(name: str, changes: Mapping[str, Any] | None = None) -> Site:
    """Read a site; as `open_site`, without its text."""
    return open_site(name, changes).site


def open_site(name: str, changes: Mapping[str, Any] | None = None) -> SiteFile:
    """Read a site.

    Args:
        name: A path, or the name of a shipped site.
        changes: Values to set first, by path: `{"river.year": 2003, "it.gpus": 20000}`.

    Raises:
        UsageError: It cannot be read or is wrong; the message names the key and its line.
    """
    path = find_site(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    return SiteFile(parse_site(text, str(path), changes), text, dict(changes or {}))


def parse_site(text: str, where: str, changes: Mapping[str, Any] | None = None) -> Site:
    """Parse the text of a site file.

    Args:
        text: YAML.
        where: What to call it in messages.
        changes: As for `load_site`.

    Raises:
        UsageError: It is wrong; the message names the key and its line.
    """
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        document = yaml.safe_load(text)
        lines = _lines(root, where)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise UsageError(f"{where}{line}: {problem}.", hint=_HINT) from None
    except RecursionError:
        raise UsageError(f"{where} is nested too deeply.", hint=_HINT) from None
    if not isinstance(document, dict):
        raise UsageError(f"{where} is not a site file: it holds no keys.", hint=_HINT)
    for key, value in (changes or {}).items():
        _change(document, key, value)
    try:
        site = Site.model_validate(document)
    except ValidationError as error:
        raise UsageError(_told(error, lines, where), hint=_HINT) from None
    _require_fields(site, lines, where)
    return site


def _require_fields(site: Site, lines: Mapping[tuple[str | int, ...], int], where: str) -> None:
    """That what the operator states is asked for by a register."""
    for name in site.operator.stated:
        known = rules().asked_to_state()
        if name not in known:
            line = lines.get(("operator", "stated", name), 1)
            near = get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"Near to it are {', '.join(near)}." if near else "docs/plant.md says where the fields stand."
            raise UsageError(f"{where}, line {line}: operator.stated.{name} is no field of a register.", hint=hint)


def _change(document: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    place: Any = document
    for name in above:
        place = place.get(name) if isinstance(place, dict) else None
    model: Any = Site
    for name in above:
        field = model.model_fields.get(name) if hasattr(model, "model_fields") else None
        model = field.annotation if field else None
    if not isinstance(place, dict) or last not in getattr(model, "model_fields", {}):
        raise UsageError(
            f"A site has no {key}.", hint="Paths are those of its file, such as river.year or it.gpus."
        )
    place[last] = value


def _lines(node: Any, where: str, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], int]:
    """The line of each key."""
    found = {path: node.start_mark.line + 1} if node is not None else {}
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                message = f"{where}, line {key.start_mark.line + 1}: {key.value!r} stands there twice."
                raise UsageError(message, hint="Keep one of the two.")
            seen.add(key.value)
            found |= _lines(value, where, (*path, key.value))
            found[*path, key.value] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            found |= _lines(value, where, (*path, number))
    return found


def _told(error: ValidationError, lines: Mapping[tuple[str | int, ...], int], where: str) -> str:
    """All that is wrong, a line each."""
    told = []
    for one in error.errors():
        path = one["loc"]
        near = next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), 1)
        named = ".".join(str(part) for part in path) or "the site"
        reason = {"missing": "is missing", "extra_forbidden": "is not known here"}.get(one["type"])
        said = one["msg"].removeprefix("Value error, ")
        told.append(
            f"{where}, line {near}: {named} {reason}" if reason else f"{where}, line {near}: {named}: {said}"
        )
    return "\n".join(told)
